//! The simulated API server alone, and under the daemon's own code. What it must do is in `tests/contract_kube.rs`,
//! which the real one decides.

mod daemon;
mod faults;
mod kit;
