//! A small client for the AWS operations that one daemon needs: EC2 (`ec2` query protocol), Route 53
//! (`rest-xml`) and STS (`query`), generated from facts (`model/`), sent through one tower seam.
//!
//! The crate knows nothing of Kubernetes. [`Client::from_env`] makes a client of what the process has: its
//! environment, its clock, sockets. Nothing else in the crate reads the time of day, draws randomness or opens a
//! socket: with [`Client::new`] a [`TimeSource`], a [`Random`] and a [`Transport`] are handed in. Durations are
//! measured and waited for with tokio's clock.

pub mod classify;
pub mod client;
pub mod config;
pub mod credentials;
pub mod error;
pub mod generated;
pub mod http_transport;
mod imds;
mod key_document;
mod limiter;
pub mod observer;
pub mod operation;
pub mod partition;
pub mod protocol;
pub mod rates;
mod retry;
pub mod secret;
mod signing;
pub mod system;
pub mod time;
pub mod transport;

#[cfg(test)]
mod tests;

pub use client::{Client, ClientParts};
pub use config::{Config, ConfigError};
pub use credentials::{Credentials, CredentialsError};
pub use error::{Class, Error};
pub use generated::{ec2, route53, sts};
pub use http_transport::{CaBundle, HttpOptions, Proxies, http_transport};
pub use observer::{NoObserver, Observer};
pub use operation::{Encoded, Operation, Paged, Service};
pub use partition::Partition;
pub use rates::{Rate, Rates};
pub use secret::{Keys, Secret};
pub use system::SetUpError;
pub use time::{Random, TimeSource};
pub use transport::{Attempt, Direct, Transport, TransportError};

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
