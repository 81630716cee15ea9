//! The harness itself: what the other tests stand on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod harness {
    mod aws;
    mod kube;
    mod processes;
    mod world;
}
