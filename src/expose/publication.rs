//! The addresses on the Service, and what its owner is told.

use super::Reason;

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

impl Condition {
    /// The condition with that reason.
    pub fn new(ready: bool, reason: Reason, message: impl Into<String>) -> Condition {
        Condition {
            ready,
            reason: reason.to_string(),
            message: message.into(),
        }
    }
}
