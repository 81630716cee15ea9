//! Answers of kind `Status`: what the API server says when it doesn't do what was asked. Words and details are those
//! of `k8s.io/apimachinery/pkg/api/errors`.

use serde_json::{Value, json};

use super::kinds::Resource;

/// A refusal.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// HTTP status.
    pub code: u16,
    /// One word.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// Member `details`; null where there is none.
    pub details: Value,
    /// In seconds.
    pub retry_after: Option<u32>,
}

/// Why one field is refused.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cause {
    pub reason: &'static str,
    pub field: String,
    pub message: String,
}

impl Cause {
    fn new(reason: &'static str, field: impl Into<String>, message: String) -> Cause {
        Cause { reason, field: field.into(), message }
    }

    pub(super) fn required(field: impl Into<String>, detail: &str) -> Cause {
        let message = if detail.is_empty() { "Required value".to_owned() } else { format!("Required value: {detail}") };
        Cause::new("FieldValueRequired", field, message)
    }

    pub(super) fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Cause {
        Cause::new("FieldValueInvalid", field, format!("Invalid value: {value}: {detail}"))
    }

    pub(super) fn duplicate(field: impl Into<String>, value: &Value) -> Cause {
        Cause::new("FieldValueDuplicate", field, format!("Duplicate value: {value}"))
    }

    pub(super) fn forbidden(field: impl Into<String>, detail: &str) -> Cause {
        Cause::new("FieldValueForbidden", field, format!("Forbidden: {detail}"))
    }

    pub(super) fn unsupported(field: impl Into<String>, value: &Value, supported: &[&str]) -> Cause {
        let supported: Vec<String> = supported.iter().map(|value| format!("\"{value}\"")).collect();
        let message = format!("Unsupported value: {value}: supported values: {}", supported.join(", "));
        Cause::new("FieldValueNotSupported", field, message)
    }
}

impl Status {
    pub(super) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Status {
        Status { code, reason, message: message.into(), details: Value::Null, retry_after: None }
    }

    fn about(mut self, resource: Resource, name: &str) -> Status {
        let mut details = json!({"kind": resource.plural()});
        if !name.is_empty() {
            details["name"] = json!(name);
        }
        if !resource.group().is_empty() {
            details["group"] = json!(resource.group());
        }
        self.details = details;
        self
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Status {
        Status::new(400, "BadRequest", message)
    }

    pub(super) fn unauthorized() -> Status {
        Status::new(401, "Unauthorized", "Unauthorized")
    }

    /// A failure without a reason.
    pub(super) fn failed(code: u16, message: impl Into<String>) -> Status {
        Status::new(code, "", message)
    }

    /// A patch whose result is no object of the kind.
    pub(super) fn unfit_patch(patched: &Value, why: &str) -> Status {
        let cause = Cause::invalid("patch", &json!(patched.to_string()), why);
        let mut status = Status::new(422, "Invalid", format!(" \"\" is invalid: {}: {}", cause.field, cause.message));
        let cause = json!({"reason": cause.reason, "message": cause.message, "field": cause.field});
        status.details = json!({"causes": [cause]});
        status
    }

    /// Options that don't fit.
    pub(super) fn invalid_options(kind: &str, causes: &[Cause]) -> Status {
        let mut status = Status::invalid(Resource::ConfigMaps, "", causes);
        status.message = status.message.replacen("ConfigMap", &format!("{kind}.meta.k8s.io"), 1);
        status.details["kind"] = json!(kind);
        status.details["group"] = json!("meta.k8s.io");
        status
    }

    /// No such path.
    pub(super) fn no_such_path() -> Status {
        let mut status = Status::new(404, "NotFound", "the server could not find the requested resource");
        status.details = json!({});
        status
    }

    pub(super) fn not_found(resource: Resource, name: &str) -> Status {
        Status::new(404, "NotFound", format!("{} \"{name}\" not found", resource.qualified())).about(resource, name)
    }

    pub(super) fn already_exists(resource: Resource, name: &str) -> Status {
        let message = format!("{} \"{name}\" already exists", resource.qualified());
        Status::new(409, "AlreadyExists", message).about(resource, name)
    }

    pub(super) fn conflict(resource: Resource, name: &str, why: &str) -> Status {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", resource.qualified());
        Status::new(409, "Conflict", message).about(resource, name)
    }

    /// Written on an older state.
    pub(super) fn modified(resource: Resource, name: &str) -> Status {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Status::conflict(resource, name, why)
    }

    /// Refused by admission control.
    pub(super) fn forbidden(resource: Resource, name: &str, why: &str) -> Status {
        let message = if name.is_empty() {
            format!("{} is forbidden: {why}", resource.qualified())
        } else {
            format!("{} \"{name}\" is forbidden: {why}", resource.qualified())
        };
        Status::new(403, "Forbidden", message).about(resource, name)
    }

    pub(super) fn invalid(resource: Resource, name: &str, causes: &[Cause]) -> Status {
        let list: Vec<String> = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let why = match list.as_slice() {
            [one] => one.clone(),
            all => format!("[{}]", all.join(", ")),
        };
        // Events are validated in their old form.
        let resource = resource.shelf();
        let kind = match resource.group() {
            "" => resource.kind_name().to_owned(),
            group => format!("{}.{group}", resource.kind_name()),
        };
        let mut status = Status::new(422, "Invalid", format!("{kind} \"{name}\" is invalid: {why}"));
        let causes: Vec<Value> = causes
            .iter()
            .map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}))
            .collect();
        status.details = json!({"kind": resource.kind_name(), "causes": causes});
        if !name.is_empty() {
            status.details["name"] = json!(name);
        }
        if !resource.group().is_empty() {
            status.details["group"] = json!(resource.group());
        }
        status
    }

    /// The same, as the storage words it: by the resource's name.
    pub(super) fn invalid_for_resource(resource: Resource, name: &str, causes: &[Cause]) -> Status {
        let mut status = Status::invalid(resource, name, causes);
        status.message = status.message.replacen(resource.kind_name(), resource.plural(), 1);
        status.details["kind"] = json!(resource.plural());
        status
    }

    /// A conflict, as the storage words it: by the kind's name.
    pub(super) fn conflict_of_kind(resource: Resource, name: &str, why: &str) -> Status {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", resource.kind_name());
        let mut status = Status::new(409, "Conflict", message).about(resource, name);
        status.details["kind"] = json!(resource.kind_name());
        status
    }

    pub(super) fn expired(message: impl Into<String>) -> Status {
        Status::new(410, "Expired", message)
    }

    pub(super) fn method_not_allowed() -> Status {
        let mut status =
            Status::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource");
        status.details = json!({});
        status
    }

    pub(super) fn unsupported_media_type() -> Status {
        let mut status = Status::new(415, "UnsupportedMediaType", "415: Unsupported Media Type");
        status.details = json!({});
        status
    }

    /// A version that isn't there yet.
    pub(super) fn too_large_version(asked: u64, current: u64) -> Status {
        let mut status =
            Status::new(504, "Timeout", format!("Timeout: Too large resource version: {asked}, current: {current}"));
        status.details = json!({
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1
        });
        status.retry_after = Some(1);
        status
    }

    /// The object on the wire.
    pub(super) fn body(&self) -> Value {
        let mut body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            body["reason"] = json!(self.reason);
        }
        if !self.details.is_null() {
            body["details"] = self.details.clone();
        }
        if let Some(seconds) = self.retry_after {
            body["details"]["retryAfterSeconds"] = json!(seconds);
        }
        body
    }
}
