//! The addresses on the Service, and what its owner is told.

use std::fmt::Display;

use super::Reason;
use super::quote::excerpt;

/// The annotation (without prefix) that tells which private addresses the daemon put into `spec.externalIPs`.
pub const ASSIGNED: &str = "assigned";

/// The annotation (without prefix) that tells their public twins.
pub const ADDRESSES: &str = "addresses";

/// A list as it stands in an annotation.
pub fn joined<T: Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// Whose a field of a Service is, by the object's managed fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldOwner {
    /// The field is absent or empty.
    Nobody,
    /// Ours, by server-side apply.
    Us,
    /// The 2018 version's: the manager `external-ips` by update, or from before the API server kept books.
    Legacy,
    /// Someone else's: the name of the field manager.
    Other(String),
}

/// The condition `external-ips.alpha.openfresh.github.io/Ready` of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// `True` or `False`.
    pub ready: bool,
    /// One word.
    pub reason: String,
    /// One sentence.
    pub message: String,
}

/// Bytes of a condition's message: what `metav1.Condition` allows.
const MESSAGE_AT_MOST: usize = 32_768;

impl Condition {
    /// The condition with that reason.
    pub fn new(ready: bool, reason: Reason, message: impl Into<String>) -> Condition {
        // Cut where it is made: what is read back is compared with it.
        let message = excerpt(&message.into(), MESSAGE_AT_MOST);
        Condition { ready, reason: reason.to_string(), message }
    }
}
