//! What the person who starts it sees.
