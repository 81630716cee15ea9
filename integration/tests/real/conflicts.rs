//! Services that want the same thing.
