//! Free ports of the loopback address, for servers that can't be told to take any.

use std::net::TcpListener;

use crate::error::{Context, Result};

/// `N` different ports that were free just now. Another process may take one before its user does: whoever starts a
/// server on one tries again with another.
pub fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut listeners = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind("127.0.0.1:0").context("bind a port of 127.0.0.1")?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}
