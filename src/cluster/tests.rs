//! Rules of the module, on a simulated API server and simulated time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod answers;
pub(crate) mod api;
mod events;
mod listing;
mod overtaking;
mod publishing;
mod uncertain;
mod views;
mod watching;
pub(crate) mod world;
