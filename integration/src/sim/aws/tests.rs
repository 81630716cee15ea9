//! The simulator by itself: what it shows a client, on paused time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod describe;
mod ec2;
mod faults;
mod identity;
mod kit;
mod route53;
mod served;
