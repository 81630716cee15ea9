#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub(crate) mod api;
mod chaos;
mod clocks;
mod closings;
mod handover;
mod layers;
mod odd;
mod outcomes;
mod racing;
mod settings;
pub(crate) mod world;
