//! The simulated API server alone, and under the daemon's own code. What it must do is in `tests/contract_kube.rs`,
//! which the real one decides.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod daemon;
mod faults;
mod kit;
mod world;
