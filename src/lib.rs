//! Exposes annotated Kubernetes Services on the public addresses of AWS nodes.
