//! What the fuzz targets have in common: each tries a body and looks that more holds than "no panic". See README.md.

pub mod answers;
pub mod keys;
pub mod memory;
pub mod mutator;
pub mod operations;
mod pieces;
