//! The real transport, against servers of a few lines on loopback or in memory.

mod answers;
mod connections;
mod kit;
mod proxy;
mod proxy_rules;
mod timeouts;
mod tls;
