//! One leader at a time, and no leak when it dies.
