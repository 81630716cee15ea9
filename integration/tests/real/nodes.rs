//! Nodes that go, fall ill or change their address.
