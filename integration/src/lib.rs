//! The harness: the simulators ([`sim`]), the real control plane, moto, recording proxies in front of both, and the
//! daemon itself.
//!
//! It serves the tests and the demo. Everything runs on free ports of the loopback address, and nothing outlives the
//! process that started it. What is slow to build lives in a cache ([`cache`]).

// Only JSON of our own making is indexed here.
#![allow(clippy::indexing_slicing)]

pub mod aws;
pub mod cache;
pub mod cargo;
pub mod children;
pub mod control_plane;
pub mod daemon;
pub mod demo;
mod error;
pub mod eventually;
pub mod intercept;
pub mod kube_gate;
pub mod moto;
pub mod ports;
pub mod python;
pub mod recording_proxy;
pub mod run_directory;
pub mod shared;
pub mod sim;
mod wire;
pub mod world;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

pub use error::{Context, Error, Result, fail};

/// The directory of this crate.
pub fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The repository's directory.
pub fn repository() -> PathBuf {
    directory().parent().map(Path::to_owned).unwrap_or_default()
}

/// A number that no one else in this process gets.
pub fn unique() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Chooses ring for TLS: kube and hyper-rustls leave the choice open. Harmless when done again.
pub fn install_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Sets a member of a JSON object; anything else is left alone.
pub(crate) fn set(object: &mut serde_json::Value, name: &str, value: serde_json::Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}
