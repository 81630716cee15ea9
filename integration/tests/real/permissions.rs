//! The documented permissions suffice.
