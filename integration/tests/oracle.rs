//! The client's wire forms against botocore's: what we send and what we read, for every operation and inputs and
//! answers of all kinds. Needs the Python environment alone.
//!
//! Each comparison runs with a seed that is always the same and with a new one, which a failure tells;
//! `ORACLE_SEED=N` runs with that one alone. Of all cases that fail the shortest is shown.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod oracle {
    mod adding;
    mod answers;
    mod botocore;
    mod endpoints;
    mod errors;
    mod generated;
    mod json;
    mod requests;
    mod signatures;
}
