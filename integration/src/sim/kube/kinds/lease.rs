//! Leases (kubernetes/pkg/apis/coordination/validation).

use serde_json::{Value, json};

use super::names;
use crate::sim::kube::status::Cause;

/// What is wrong with a Lease.
pub fn validate(lease: &Value) -> Vec<Cause> {
    let mut causes = names::metadata(lease, names::subdomain);
    let spec = &lease["spec"];
    if let Some(seconds) = spec["leaseDurationSeconds"].as_i64().filter(|seconds| *seconds <= 0) {
        causes.push(Cause::invalid("spec.leaseDurationSeconds", &json!(seconds), "must be greater than 0"));
    }
    if let Some(count) = spec["leaseTransitions"].as_i64().filter(|count| *count < 0) {
        causes.push(Cause::invalid("spec.leaseTransitions", &json!(count), "must be greater than or equal to 0"));
    }
    causes
}
