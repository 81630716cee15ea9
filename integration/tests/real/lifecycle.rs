//! From the annotation to the open port and back.
