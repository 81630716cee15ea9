//! The rules of the runtime, in one process, on paused time, with a transport that does as it is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod bad_answers;
mod classes;
mod config;
mod container;
mod credentials;
mod deadlines;
mod http;
mod imds;
mod key_documents;
mod kit;
mod limiter;
mod pages;
mod process;
mod profile_file;
mod profiles;
mod properties;
mod refresh;
mod retries;
mod roles;
mod secrets;
mod settings;
mod signing;
mod system;
mod wait;
