//! What a check may know of the cluster, what the daemon can't: who made what, and who wrote the Lease when.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::kinds::Resource;
use super::store::{Store, Stored};
use crate::sim::event::{Actor, Creator};

/// The cluster at one instant, read under the simulator's lock: keep it short, and ask the simulator nothing else.
pub struct Look<'a>(pub(super) &'a Store);

/// A Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceView {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid: another one, another Service.
    pub uid: String,
    /// The version of this state.
    pub version: u64,
    /// Unix seconds.
    pub created: i64,
    /// Who made the Service.
    pub creator: Creator,
    /// `spec.type`.
    pub kind: String,
    /// Ports: protocol and number.
    pub ports: Vec<(String, u16)>,
    /// All its annotations.
    pub annotations: BTreeMap<String, String>,
    /// `spec.externalIPs` in their order, each with who put it there. A server-side apply that takes an address over
    /// from somebody else doesn't change who put it.
    pub external_ips: Vec<(String, Creator)>,
    /// The field managers that own `spec.externalIPs`.
    pub external_ips_managers: BTreeSet<String>,
    /// `status.loadBalancer.ingress`: address (or name) and `ipMode`.
    pub ingress: Vec<(String, String)>,
    /// `spec.loadBalancerSourceRanges`.
    pub source_ranges: Vec<String>,
    /// Names of the nodes with a ready endpoint, where `externalTrafficPolicy` is `Local`.
    pub ready_nodes: Option<BTreeSet<String>>,
    /// `status.conditions`.
    pub conditions: Vec<ConditionView>,
    /// It is being deleted, and waits for its finalizers.
    pub deleting: bool,
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionView {
    /// Its type.
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// One word.
    pub reason: String,
    /// For people.
    pub message: String,
    /// Since when, as written.
    pub since: String,
}

/// A Node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeView {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The version of this state.
    pub version: u64,
    /// `spec.providerID`.
    pub provider_id: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Keys of its taints.
    pub taints: Vec<String>,
    /// Addresses: type and address.
    pub addresses: Vec<(String, String)>,
    /// Its condition Ready is True.
    pub ready: bool,
    /// It is cordoned.
    pub cordoned: bool,
    /// It is being deleted.
    pub deleting: bool,
}

/// A Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseView {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The version of this state.
    pub version: u64,
    /// Who holds it; empty: nobody.
    pub holder: String,
    /// `leaseDurationSeconds`; `None`: absent.
    pub duration: Option<Duration>,
    /// `leaseTransitions`.
    pub transitions: i64,
}

/// A write to a Lease that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseWrite {
    /// The request; `None`: it wasn't one.
    pub call: Option<u64>,
    /// Who.
    pub actor: Actor,
    /// When the request arrived (it left the sender at the same instant or before).
    pub sent: Duration,
    /// When it took effect.
    pub accepted: Duration,
    /// Namespace and name.
    pub lease: (String, String),
    /// The holder before.
    pub before: String,
    /// The holder after; empty: given up, or the Lease is deleted.
    pub holder: String,
    /// `leaseDurationSeconds` after it.
    pub duration: Option<Duration>,
    /// It was deleted.
    pub deleted: bool,
}

/// An object as it is looked at; made once for each version.
#[derive(Debug)]
pub(super) enum View {
    Service(Box<ServiceView>),
    Node(Box<NodeView>),
    Lease(Box<LeaseView>),
    Slice(SliceView),
    Other,
}

/// An EndpointSlice.
#[derive(Debug)]
pub(super) struct SliceView {
    /// The Service's name.
    service: String,
    /// Names of the nodes with a ready endpoint.
    nodes: BTreeSet<String>,
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn texts(value: &Value, pointer: &str) -> BTreeMap<String, String> {
    let map = value.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
    map.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

fn seconds(value: &Value, pointer: &str) -> Option<Duration> {
    value.pointer(pointer).and_then(Value::as_u64).map(Duration::from_secs)
}

/// The holder that a Lease names.
pub(super) fn holder(lease: &Value) -> String {
    text(lease, "/spec/holderIdentity")
}

/// Its duration.
pub(super) fn duration(lease: &Value) -> Option<Duration> {
    seconds(lease, "/spec/leaseDurationSeconds")
}

impl View {
    pub fn of(stored: &Stored) -> View {
        match stored.resource {
            Resource::Services => View::Service(Box::new(service(stored))),
            Resource::Nodes => View::Node(Box::new(node(stored))),
            Resource::Leases => View::Lease(Box::new(lease(stored))),
            Resource::EndpointSlices => View::Slice(slice(&stored.value)),
            _ => View::Other,
        }
    }

    fn service(&self) -> Option<&ServiceView> {
        if let View::Service(view) = self { Some(view) } else { None }
    }

    fn node(&self) -> Option<&NodeView> {
        if let View::Node(view) = self { Some(view) } else { None }
    }

    fn lease(&self) -> Option<&LeaseView> {
        if let View::Lease(view) = self { Some(view) } else { None }
    }

    fn slice(&self) -> Option<&SliceView> {
        if let View::Slice(view) = self { Some(view) } else { None }
    }
}

fn service(stored: &Stored) -> ServiceView {
    let value = &stored.value;
    let created = text(value, "/metadata/creationTimestamp").parse::<jiff::Timestamp>();
    let ip = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let external = list(value, "/spec/externalIPs").map(ip);
    let owns = |fields: &super::fields::Fields| fields.has(&["f:spec", "f:externalIPs"]);
    ServiceView {
        namespace: stored.meta("namespace").to_owned(),
        name: stored.meta("name").to_owned(),
        uid: stored.uid().to_owned(),
        version: stored.version,
        created: created.map_or(0, jiff::Timestamp::as_second),
        creator: stored.creator,
        kind: text(value, "/spec/type"),
        ports: list(value, "/spec/ports")
            .map(|port| {
                let number = port.get("port").and_then(Value::as_u64).unwrap_or_default();
                (text(port, "/protocol"), u16::try_from(number).unwrap_or_default())
            })
            .collect(),
        annotations: texts(value, "/metadata/annotations"),
        external_ips: external
            .map(|address| {
                let creator = stored.addresses.get(&address).copied().unwrap_or(stored.creator);
                (address, creator)
            })
            .collect(),
        external_ips_managers: stored.managers.iter().filter(|m| owns(&m.fields)).map(|m| m.name.clone()).collect(),
        ingress: list(value, "/status/loadBalancer/ingress")
            .map(|ingress| {
                let address = text(ingress, "/ip");
                (if address.is_empty() { text(ingress, "/hostname") } else { address }, text(ingress, "/ipMode"))
            })
            .collect(),
        source_ranges: list(value, "/spec/loadBalancerSourceRanges").map(ip).collect(),
        // Which they are is in other objects.
        ready_nodes: (text(value, "/spec/externalTrafficPolicy") == "Local").then(BTreeSet::new),
        conditions: list(value, "/status/conditions")
            .map(|condition| ConditionView {
                kind: text(condition, "/type"),
                status: text(condition, "/status"),
                reason: text(condition, "/reason"),
                message: text(condition, "/message"),
                since: text(condition, "/lastTransitionTime"),
            })
            .collect(),
        deleting: value.pointer("/metadata/deletionTimestamp").is_some(),
    }
}

fn node(stored: &Stored) -> NodeView {
    let value = &stored.value;
    NodeView {
        name: stored.meta("name").to_owned(),
        uid: stored.uid().to_owned(),
        version: stored.version,
        provider_id: text(value, "/spec/providerID"),
        labels: texts(value, "/metadata/labels"),
        taints: list(value, "/spec/taints").map(|taint| text(taint, "/key")).collect(),
        addresses: list(value, "/status/addresses").map(|a| (text(a, "/type"), text(a, "/address"))).collect(),
        ready: list(value, "/status/conditions").any(|c| c["type"] == "Ready" && c["status"] == "True"),
        cordoned: value.pointer("/spec/unschedulable").and_then(Value::as_bool).unwrap_or_default(),
        deleting: value.pointer("/metadata/deletionTimestamp").is_some(),
    }
}

fn slice(value: &Value) -> SliceView {
    let labels = value.pointer("/metadata/labels");
    // Where nothing is said of it, it is ready (discovery.k8s.io/v1).
    let ready = |endpoint: &&Value| endpoint.pointer("/conditions/ready").and_then(Value::as_bool) != Some(false);
    SliceView {
        service: labels.map(|labels| text(labels, "/kubernetes.io~1service-name")).unwrap_or_default(),
        nodes: list(value, "/endpoints").filter(ready).map(|endpoint| text(endpoint, "/nodeName")).collect(),
    }
}

fn lease(stored: &Stored) -> LeaseView {
    let value = &stored.value;
    LeaseView {
        namespace: stored.meta("namespace").to_owned(),
        name: stored.meta("name").to_owned(),
        uid: stored.uid().to_owned(),
        version: stored.version,
        holder: holder(value),
        duration: duration(value),
        transitions: value.pointer("/spec/leaseTransitions").and_then(Value::as_i64).unwrap_or_default(),
    }
}

impl<'a> Look<'a> {
    /// The latest resourceVersion of anything.
    pub fn version(&self) -> u64 {
        self.0.version
    }

    /// All Services, by namespace and name.
    pub fn services(&self) -> impl Iterator<Item = Cow<'a, ServiceView>> {
        let all = self.0.shelf(Resource::Services).objects.values();
        all.filter_map(|stored| stored.view().service()).map(|view| self.with_endpoints(view))
    }

    /// A Service.
    pub fn service(&self, namespace: &str, name: &str) -> Option<Cow<'a, ServiceView>> {
        let view = self.0.get(Resource::Services, namespace, name)?.view().service()?;
        Some(self.with_endpoints(view))
    }

    fn with_endpoints(&self, view: &'a ServiceView) -> Cow<'a, ServiceView> {
        if view.ready_nodes.is_none() {
            return Cow::Borrowed(view);
        }
        let slices = self.0.shelf(Resource::EndpointSlices).objects.values();
        let its = slices
            .filter(|stored| stored.meta("namespace") == view.namespace)
            .filter_map(|stored| stored.view().slice())
            .filter(|slice| slice.service == view.name);
        let nodes = its.flat_map(|slice| slice.nodes.iter().cloned()).collect();
        Cow::Owned(ServiceView { ready_nodes: Some(nodes), ..view.clone() })
    }

    /// All Nodes, by name.
    pub fn nodes(&self) -> impl Iterator<Item = &'a NodeView> {
        self.0.shelf(Resource::Nodes).objects.values().filter_map(|stored| stored.view().node())
    }

    /// A Node.
    pub fn node(&self, name: &str) -> Option<&'a NodeView> {
        self.0.get(Resource::Nodes, "", name)?.view().node()
    }

    /// All Leases.
    pub fn leases(&self) -> impl Iterator<Item = &'a LeaseView> {
        self.0.shelf(Resource::Leases).objects.values().filter_map(|stored| stored.view().lease())
    }

    /// A Lease.
    pub fn lease(&self, namespace: &str, name: &str) -> Option<&'a LeaseView> {
        self.0.get(Resource::Leases, namespace, name)?.view().lease()
    }

    /// All writes to Leases that were accepted, in their order.
    pub fn lease_writes(&self) -> &'a [LeaseWrite] {
        &self.0.leases
    }

    /// The Events about an object, oldest first: reason and message.
    pub fn events(&self, namespace: &str, name: &str) -> Vec<(String, String)> {
        let of = |value: &&Value| {
            text(value, "/involvedObject/name") == name && text(value, "/involvedObject/namespace") == namespace
        };
        let mut all: Vec<_> = self.0.shelf(Resource::Events).objects.values().collect();
        all.sort_by_key(|stored| stored.version);
        let values = all.into_iter().map(|stored| &stored.value).filter(of);
        values.map(|value| (text(value, "/reason"), text(value, "/message"))).collect()
    }

    /// Any object as it is, without kind, apiVersion and managed fields.
    pub fn raw(&self, resource: Resource, namespace: &str, name: &str) -> Option<&'a Value> {
        self.0.get(resource, namespace, name).map(|stored| &stored.value)
    }
}
