//! Label and field selectors.

use serde_json::Value;

use super::kinds::Resource;
use super::status::Status;
use super::store::Stored;

/// What a list or watch is restricted to.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    namespace: String,
    labels: Vec<Label>,
    /// Field, value, whether they must be equal.
    fields: Vec<(String, String, bool)>,
}

#[derive(Clone, Debug)]
enum Label {
    Exists(String),
    Absent(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

impl Selection {
    pub fn parse(resource: Resource, namespace: &str, labels: &str, fields: &str) -> Result<Selection, Status> {
        let mut out = Selection { namespace: namespace.to_owned(), ..Selection::default() };
        for requirement in split(labels) {
            let unable = || Status::bad_request(format!("unable to parse requirement: {requirement}"));
            out.labels.push(label(&requirement).ok_or_else(unable)?);
        }
        for term in fields.split(',').filter(|term| !term.is_empty()) {
            let (field, value, equal) = if let Some((field, value)) = term.split_once("!=") {
                (field, value, false)
            } else if let Some((field, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
                (field, value, true)
            } else {
                return Err(Status::bad_request(format!("invalid selector: '{fields}'; can't understand '{term}'")));
            };
            if !known(resource, field) {
                return Err(Status::bad_request(format!("field label not supported: {field}")));
            }
            out.fields.push((field.to_owned(), value.to_owned(), equal));
        }
        Ok(out)
    }

    /// The one name that fields restrict this to: permissions look at it.
    pub fn name(&self) -> Option<&str> {
        self.fields.iter().find(|(field, _, equal)| field == "metadata.name" && *equal).map(|(_, value, _)| &**value)
    }

    pub fn matches(&self, object: &Stored) -> bool {
        (self.namespace.is_empty() || object.meta("namespace") == self.namespace)
            && self.labels.iter().all(|label| label.matches(&object.value))
            && self.fields.iter().all(|(field, value, equal)| (value_of(&object.value, field) == *value) == *equal)
    }

    /// Whether everything of the namespace is meant.
    pub fn is_whole(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }
}

fn known(resource: Resource, field: &str) -> bool {
    match field {
        "metadata.name" => true,
        "metadata.namespace" => resource.namespaced(),
        "spec.unschedulable" => resource == Resource::Nodes,
        "spec.clusterIP" | "spec.type" => resource == Resource::Services,
        "status.phase" => matches!(resource, Resource::Namespaces | Resource::Pods),
        "spec.nodeName" | "spec.serviceAccountName" => resource == Resource::Pods,
        "reason" | "type" | "source" | "reportingComponent" => resource.shelf() == Resource::Events,
        _ => {
            matches!(resource, Resource::Events) && field.starts_with("involvedObject.")
                || matches!(resource, Resource::NewEvents) && field.starts_with("regarding.")
        }
    }
}

fn value_of(object: &Value, field: &str) -> String {
    let field = match field {
        "source" => "source.component".to_owned(),
        field => field.replacen("regarding.", "involvedObject.", 1),
    };
    let pointer = format!("/{}", field.replace('.', "/"));
    match object.pointer(&pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(value)) => value.to_string(),
        _ if field == "spec.unschedulable" => "false".to_owned(),
        _ => String::new(),
    }
}

/// At commas outside of parentheses.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for character in text.chars() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(character);
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

fn label(text: &str) -> Option<Label> {
    let values = |text: &str| -> Option<Vec<String>> {
        let inner = text.trim().strip_prefix('(')?.strip_suffix(')')?;
        Some(inner.split(',').map(|value| value.trim().to_owned()).collect())
    };
    if let Some((key, list)) = text.split_once(" notin") {
        return Some(Label::NotIn(key.trim().to_owned(), values(list)?));
    }
    if let Some((key, list)) = text.split_once(" in") {
        return Some(Label::In(key.trim().to_owned(), values(list)?));
    }
    let pair = |(key, value): (&str, &str)| (key.trim().to_owned(), vec![value.trim().to_owned()]);
    if let Some((key, value)) = text.split_once("!=").map(pair) {
        return Some(Label::NotIn(key, value));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')).map(pair) {
        return Some(Label::In(key, value));
    }
    match text.strip_prefix('!') {
        Some(key) => Some(Label::Absent(key.trim().to_owned())),
        None if text.contains(char::is_whitespace) => None,
        None => Some(Label::Exists(text.to_owned())),
    }
}

impl Label {
    fn matches(&self, object: &Value) -> bool {
        let labels = object.get("metadata").and_then(|metadata| metadata.get("labels"));
        let of = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
        let is_in = |value: &str, values: &[String]| values.iter().any(|one| one == value);
        match self {
            Label::Exists(key) => of(key).is_some(),
            Label::Absent(key) => of(key).is_none(),
            Label::In(key, values) => of(key).is_some_and(|value| is_in(value, values)),
            Label::NotIn(key, values) => of(key).is_none_or(|value| !is_in(value, values)),
        }
    }
}
