//! The kinds of objects that the simulated API server knows, and what each is called.

pub(super) mod event;
pub(super) mod lease;
pub(super) mod names;
pub(super) mod node;
pub(super) mod others;
pub(super) mod service;

use super::schema::{self, Schema};

/// A resource, as paths and permissions name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// Namespaces.
    Namespaces,
    /// Services.
    Services,
    /// Nodes.
    Nodes,
    /// Pods: there are none, but people's tools ask for them.
    Pods,
    /// ConfigMaps.
    ConfigMaps,
    /// Events of the core group.
    Events,
    /// The same Events, of the group events.k8s.io.
    NewEvents,
    /// Leases.
    Leases,
    /// EndpointSlices.
    EndpointSlices,
    /// Questions about one's own permissions; never stored.
    AccessReviews,
}

pub(super) const ALL: [Resource; 10] = [
    Resource::Namespaces,
    Resource::Services,
    Resource::Nodes,
    Resource::Pods,
    Resource::ConfigMaps,
    Resource::Events,
    Resource::NewEvents,
    Resource::Leases,
    Resource::EndpointSlices,
    Resource::AccessReviews,
];

impl Resource {
    /// The resource of a path.
    pub(super) fn find(group: &str, version: &str, plural: &str) -> Option<Resource> {
        ALL.into_iter().find(|r| r.group() == group && r.version() == version && r.plural() == plural)
    }

    /// Whether a version of a group is served.
    pub(super) fn serves(group: &str, version: &str) -> bool {
        ALL.into_iter().any(|r| r.group() == group && r.version() == version)
    }

    /// Where its objects are kept.
    pub(super) fn shelf(self) -> Resource {
        if self == Resource::NewEvents { Resource::Events } else { self }
    }

    /// API group; empty: core.
    pub fn group(self) -> &'static str {
        match self {
            Resource::NewEvents => "events.k8s.io",
            Resource::Leases => "coordination.k8s.io",
            Resource::EndpointSlices => "discovery.k8s.io",
            Resource::AccessReviews => "authorization.k8s.io",
            _ => "",
        }
    }

    pub(super) fn version(self) -> &'static str {
        "v1"
    }

    /// `apiVersion` of its objects.
    pub(super) fn api_version(self) -> &'static str {
        match self {
            Resource::NewEvents => "events.k8s.io/v1",
            Resource::Leases => "coordination.k8s.io/v1",
            Resource::EndpointSlices => "discovery.k8s.io/v1",
            Resource::AccessReviews => "authorization.k8s.io/v1",
            _ => "v1",
        }
    }

    /// As in paths: `services`.
    pub fn plural(self) -> &'static str {
        match self {
            Resource::Namespaces => "namespaces",
            Resource::Services => "services",
            Resource::Nodes => "nodes",
            Resource::Pods => "pods",
            Resource::ConfigMaps => "configmaps",
            Resource::Events | Resource::NewEvents => "events",
            Resource::Leases => "leases",
            Resource::EndpointSlices => "endpointslices",
            Resource::AccessReviews => "selfsubjectaccessreviews",
        }
    }

    /// As in messages: `leases.coordination.k8s.io`.
    pub(super) fn qualified(self) -> String {
        match self.group() {
            "" => self.plural().to_owned(),
            group => format!("{}.{group}", self.plural()),
        }
    }

    pub(super) fn singular(self) -> &'static str {
        match self {
            Resource::Namespaces => "namespace",
            Resource::Services => "service",
            Resource::Nodes => "node",
            Resource::Pods => "pod",
            Resource::ConfigMaps => "configmap",
            Resource::Events | Resource::NewEvents => "event",
            Resource::Leases => "lease",
            Resource::EndpointSlices => "endpointslice",
            Resource::AccessReviews => "selfsubjectaccessreview",
        }
    }

    /// `kind` of its objects.
    pub fn kind_name(self) -> &'static str {
        match self {
            Resource::Namespaces => "Namespace",
            Resource::Services => "Service",
            Resource::Nodes => "Node",
            Resource::Pods => "Pod",
            Resource::ConfigMaps => "ConfigMap",
            Resource::Events | Resource::NewEvents => "Event",
            Resource::Leases => "Lease",
            Resource::EndpointSlices => "EndpointSlice",
            Resource::AccessReviews => "SelfSubjectAccessReview",
        }
    }

    pub(super) fn short_names(self) -> &'static [&'static str] {
        match self {
            Resource::Namespaces => &["ns"],
            Resource::Services => &["svc"],
            Resource::Nodes => &["no"],
            Resource::Pods => &["po"],
            Resource::ConfigMaps => &["cm"],
            Resource::Events | Resource::NewEvents => &["ev"],
            _ => &[],
        }
    }

    pub(super) fn namespaced(self) -> bool {
        !matches!(self, Resource::Namespaces | Resource::Nodes | Resource::AccessReviews)
    }

    pub(super) fn has_status(self) -> bool {
        matches!(self, Resource::Namespaces | Resource::Services | Resource::Nodes)
    }

    pub(super) fn verbs(self) -> &'static [&'static str] {
        match self {
            Resource::AccessReviews => &["create"],
            Resource::Pods => &["get", "list", "watch"],
            Resource::Namespaces => &["create", "delete", "get", "list", "patch", "update", "watch"],
            _ => &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        }
    }

    pub(super) fn schema(self) -> &'static Schema {
        match self {
            Resource::Services => &schema::SERVICE,
            Resource::Nodes => &schema::NODE,
            Resource::Namespaces => &schema::NAMESPACE,
            Resource::ConfigMaps => &schema::CONFIG_MAP,
            Resource::Events | Resource::NewEvents => &schema::EVENT,
            _ => &schema::PLAIN,
        }
    }
}
