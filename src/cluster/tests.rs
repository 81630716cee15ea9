//! Rules of the module, on a simulated API server.
