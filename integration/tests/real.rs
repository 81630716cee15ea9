//! The daemon on the real API server and moto: one test a rule, each in a world of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod real {
    mod bad_answers;
    mod bad_input;
    mod changes;
    mod command_line;
    mod conflicts;
    mod kit;
    mod leadership;
    mod lifecycle;
    mod nodes;
    mod ownership;
    mod permissions;
    mod roles;
}
