//! What isn't ours stays as it is.
