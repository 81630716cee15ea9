//! The wire forms, operation by operation. The expected requests are what botocore 1.44 sends for the same input.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod answers;
mod bad_bodies;
mod bombs;
mod errors;
mod odd_values;
mod pages;
mod requests;
mod secrets;
