//! Events: what a Service's owner reads in `kubectl describe`. Sends what it is told to; when to tell is decided
//! elsewhere.

use super::Cluster;
use super::call::call;
use super::error::Error;
use crate::expose::quote::excerpt;
use crate::expose::{PREFIX, ServiceKey};
use http::Method;
use serde_json::json;

/// Longest note, in bytes (events.k8s.io/v1).
const NOTE: usize = 1024;
/// Longest reason, action, controller and instance, in bytes (events.k8s.io/v1).
const WORD: usize = 128;

/// Whether something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// For information.
    Normal,
    /// Something needs attention.
    Warning,
}

impl Cluster {
    /// Records an Event about a Service. Texts that are too long are cut.
    ///
    /// # Errors
    /// See [`Class`](super::Class). Events aren't repeated after an unknown outcome: twice is worse than never.
    pub async fn event(
        &self,
        service: &ServiceKey,
        uid: &str,
        kind: EventKind,
        reason: &str,
        action: &str,
        message: &str,
    ) -> Result<(), Error> {
        let body = json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "namespace": service.namespace,
                "name": format!("{}.{:016x}", service.name, self.random.next_u64()),
            },
            "eventTime": self.now("%Y-%m-%dT%H:%M:%S.%6fZ"),
            "reportingController": format!("{PREFIX}controller"),
            "reportingInstance": excerpt(&self.instance, WORD),
            "action": excerpt(action, WORD),
            "reason": excerpt(reason, WORD),
            "regarding": {
                "apiVersion": "v1",
                "kind": "Service",
                "namespace": service.namespace,
                "name": service.name,
                "uid": uid,
            },
            "note": excerpt(message, NOTE),
            "type": match kind {
                EventKind::Normal => "Normal",
                EventKind::Warning => "Warning",
            },
        });
        let uri = format!("/apis/events.k8s.io/v1/namespaces/{}/events", service.namespace);
        let body = body.to_string().into_bytes();
        call(&self.client, Method::POST, &uri, Some("application/json"), body)
            .await
            .map(drop)
            .map_err(|f| f.into_error(&format!("recording an Event on {service}"), true))
    }
}
