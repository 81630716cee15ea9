//! The simulator of AWS is held to the truth: the same requests go to it and to moto, and both must answer what AWS is
//! documented to answer. Where moto is known to be wrong, `known.rs` says how; nothing else may differ, and what is
//! listed there must really differ.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod contract_aws {
    mod ec2;
    mod ground;
    mod known;
    mod records;
    mod rules;
    mod runs;
    mod sts;
}
