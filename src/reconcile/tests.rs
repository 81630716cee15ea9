//! The loop on a simulated API server, AWS and Lease, on simulated time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod dry_run;
mod failures;
mod once;
mod order;
mod process;
mod telling;
mod terms;
mod timing;
mod world;
