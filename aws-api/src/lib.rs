//! A small client for the AWS operations that one daemon needs: EC2 (`ec2` query protocol), Route 53
//! (`rest-xml`) and STS (`query`), generated from facts (`model/`), sent through one tower seam.
//!
//! The crate knows nothing of Kubernetes. It never reads the clock, never draws randomness and never opens a
//! socket on its own: a [`TimeSource`], a [`Random`] and a [`Transport`] are handed in.

pub mod error;
pub mod generated;
pub mod operation;
pub mod protocol;
pub mod time;
pub mod transport;

pub use error::{Class, Error};
pub use generated::{ec2, route53, sts};
pub use operation::{Encoded, Operation, Paged, Service};
pub use time::{Random, TimeSource};
pub use transport::{Attempt, Transport, TransportError};

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
