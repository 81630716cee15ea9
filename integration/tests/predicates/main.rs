//! The checker is checked: each rule finds a wrong that is done by hand, and nothing in the right next to it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod absence;
mod answers;
mod consent;
mod counts;
mod ends;
mod names;
mod rest;
mod shown;
mod strangers;
mod succession;
mod town;
