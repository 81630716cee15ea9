//! What a request asks: the resource, the object, the verb. Knows nothing of what is there.

use std::collections::BTreeMap;

use http::request::Parts;
use http::{Method, header};

use super::kinds::Resource;
use super::status::Status;

/// How an object is to be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PatchKind {
    Merge,
    Strategic,
    Json,
    Apply,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch(PatchKind),
    Delete,
    DeleteCollection,
}

impl Verb {
    /// As permissions name it.
    pub fn name(self) -> &'static str {
        match self {
            Verb::Get => "get",
            Verb::List => "list",
            Verb::Watch => "watch",
            Verb::Create => "create",
            Verb::Update => "update",
            Verb::Patch(_) => "patch",
            Verb::Delete => "delete",
            Verb::DeleteCollection => "deletecollection",
        }
    }

    /// As calls name it: the kinds of patches apart.
    fn shown(self) -> &'static str {
        match self {
            Verb::Patch(PatchKind::Merge) => "merge",
            Verb::Patch(PatchKind::Strategic) => "strategic",
            Verb::Patch(PatchKind::Json) => "json-patch",
            Verb::Patch(PatchKind::Apply) => "apply",
            other => other.name(),
        }
    }

    pub fn is_read(self) -> bool {
        matches!(self, Verb::Get | Verb::List | Verb::Watch)
    }
}

/// A request about a resource.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub verb: Verb,
    pub resource: Resource,
    /// Empty: all, or none.
    pub namespace: String,
    /// Empty: the collection.
    pub name: String,
    /// `status` or empty.
    pub subresource: String,
    pub query: BTreeMap<String, String>,
    pub accept: String,
    pub user_agent: String,
}

/// What a request is about.
#[derive(Clone, Debug)]
pub(super) enum Route {
    Resource(Box<Asked>),
    /// What is served: a path below `/api`, `/apis`, `/version`, `/openapi`, ...
    Discovery {
        path: String,
        accept: String,
    },
    /// Nothing that is there.
    Nowhere(String, Status),
}

impl Asked {
    /// A parameter of the query; empty where absent.
    pub fn parameter(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    pub fn flag(&self, name: &str) -> bool {
        matches!(self.parameter(name), "true" | "1")
    }

    pub fn dry_run(&self) -> bool {
        self.parameter("dryRun") == "All"
    }

    /// The field manager: named, else what comes before the slash in `User-Agent`.
    pub fn manager(&self) -> &str {
        match self.parameter("fieldManager") {
            "" => self.user_agent.split('/').next().unwrap_or_default(),
            manager => manager,
        }
    }

    /// The resource, with the subresource.
    pub fn resource_path(&self) -> String {
        match &*self.subresource {
            "" => self.resource.plural().to_owned(),
            subresource => format!("{}/{subresource}", self.resource.plural()),
        }
    }

    /// For the journal: `kube:apply services`.
    pub fn operation(&self) -> String {
        let dry = if self.dry_run() && !self.verb.is_read() { " dry-run" } else { "" };
        format!("kube:{} {}{dry}", self.verb.shown(), self.resource_path())
    }

    /// For the journal: `namespace/name`.
    pub fn target(&self) -> String {
        match (&*self.namespace, &*self.name) {
            ("", name) => name.to_owned(),
            (namespace, "") => format!("{namespace}/"),
            (namespace, name) => format!("{namespace}/{name}"),
        }
    }

    pub fn mutates(&self) -> bool {
        !self.verb.is_read() && !self.dry_run() && self.resource != Resource::AccessReviews
    }
}

fn text(parts: &Parts, name: header::HeaderName) -> String {
    parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// Finds out what a request asks.
pub(super) fn route(parts: &Parts) -> Route {
    let path = parts.uri.path();
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let (group, version, rest) = match segments.as_slice() {
        ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
        ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
        _ => return Route::Discovery { path: path.to_owned(), accept: text(parts, header::ACCEPT) },
    };
    let nowhere = || Route::Nowhere(format!("kube:{} {path}", parts.method), Status::no_such_path());
    let (namespace, plural, rest) = match rest {
        ["namespaces", namespace, plural, rest @ ..] if *plural != "status" && *plural != "finalize" => {
            (*namespace, *plural, rest)
        }
        [plural, rest @ ..] => ("", *plural, rest),
        [] => return nowhere(),
    };
    let Some(resource) = Resource::find(group, version, plural) else {
        if Resource::serves(group, version) {
            return nowhere();
        }
        return Route::Discovery { path: path.to_owned(), accept: String::new() };
    };
    let (name, subresource) = match rest {
        [] => ("", ""),
        [name] => (*name, ""),
        [name, subresource] => (*name, *subresource),
        _ => return nowhere(),
    };
    if !(subresource.is_empty() || subresource == "status" && resource.has_status())
        || (!namespace.is_empty() && !resource.namespaced())
        || (namespace.is_empty() && resource.namespaced() && !name.is_empty())
    {
        return nowhere();
    }
    let query: BTreeMap<String, String> = parts
        .uri
        .query()
        .map(|query| form_urlencoded::parse(query.as_bytes()).into_owned().collect())
        .unwrap_or_default();
    let content_type = text(parts, header::CONTENT_TYPE);
    let watches = matches!(query.get("watch").map(String::as_str), Some("true" | "1"));
    let verb = match (&parts.method, name.is_empty()) {
        (&Method::GET, true) if watches => Verb::Watch,
        (&Method::GET, true) => Verb::List,
        (&Method::GET, false) => Verb::Get,
        (&Method::POST, true) => Verb::Create,
        (&Method::PUT, false) => Verb::Update,
        (&Method::DELETE, true) => Verb::DeleteCollection,
        (&Method::DELETE, false) => Verb::Delete,
        (&Method::PATCH, false) => match content_type.split(';').next().unwrap_or_default().trim() {
            "application/merge-patch+json" => Verb::Patch(PatchKind::Merge),
            "application/strategic-merge-patch+json" => Verb::Patch(PatchKind::Strategic),
            "application/json-patch+json" => Verb::Patch(PatchKind::Json),
            "application/apply-patch+yaml" => Verb::Patch(PatchKind::Apply),
            _ => return Route::Nowhere(format!("kube:patch {plural}"), Status::unsupported_media_type()),
        },
        _ => return Route::Nowhere(format!("kube:{} {plural}", parts.method), Status::method_not_allowed()),
    };
    if !resource.verbs().contains(&verb.name()) {
        return Route::Nowhere(format!("kube:{} {plural}", verb.name()), Status::method_not_allowed());
    }
    Route::Resource(Box::new(Asked {
        verb,
        resource,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        subresource: subresource.to_owned(),
        query,
        accept: text(parts, header::ACCEPT),
        user_agent: text(parts, header::USER_AGENT),
    }))
}
