//! Rules of the plan, each by name, on a small world of values in which a step has exactly its documented effect.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod brake;
mod firewall;
mod histories;
mod left_alone;
mod names;
mod refusals;
mod rules;
mod sharing;
mod succession;
mod ttls;
mod unseen;
mod world;
