//! Exposes annotated Kubernetes Services on the public addresses of AWS nodes.
//!
//! The library holds all of the daemon; the binary is a thin shell around it. Nothing in here opens a socket,
//! reads a clock or spawns a detached task on its own: a kube client, an AWS transport, the clocks and a source
//! of randomness are handed in.

pub mod args;
pub mod clock;
pub mod cloud;
pub mod cluster;
pub mod daemon;
pub mod expose;
pub mod leader;
pub mod logging;
pub mod metrics;
pub mod process;
pub mod reconcile;
pub mod serve;
pub mod system;
