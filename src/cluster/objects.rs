//! Kubernetes objects as they come in, reduced to the fields that are used. Decodes one item at a time, so that
//! one that is odd disturbs no other. Keeps nothing.

use crate::expose::{Condition, FieldOwner, Node, PREFIX, Port, Protocol, Service, ServiceKey, ServiceKind};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};

/// Our field manager.
pub(super) const MANAGER: &str = "external-ips";

/// Namespace (empty for cluster-scoped objects) and name.
pub(super) type Key = ServiceKey;

/// One page of a list.
#[derive(Deserialize)]
pub(super) struct Page<'a> {
    #[serde(default)]
    pub metadata: PageMeta,
    #[serde(borrow)]
    pub items: Option<Vec<&'a RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageMeta {
    #[serde(default)]
    pub resource_version: String,
    #[serde(default, rename = "continue")]
    pub next: String,
}

/// One line of a watch.
#[derive(Deserialize)]
pub(super) struct Line<'a> {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(borrow)]
    pub object: &'a RawValue,
}

/// What identifies an object and its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub key: Key,
    pub uid: String,
    pub version: String,
}

#[derive(Deserialize)]
struct MetaOnly {
    metadata: IdentityMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IdentityMeta {
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    uid: String,
    resource_version: String,
}

/// Which object it is, even where the rest of it can't be read.
pub(super) fn identity(raw: &str) -> Option<Identity> {
    let meta = serde_json::from_str::<MetaOnly>(raw).ok()?.metadata;
    Some(Identity { key: Key::new(meta.namespace, meta.name), uid: meta.uid, version: meta.resource_version })
}

/// The resource version of a bookmark.
pub(super) fn bookmark(raw: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Mark {
        metadata: MarkMeta,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct MarkMeta {
        resource_version: String,
    }
    serde_json::from_str::<Mark>(raw).ok().map(|m| m.metadata.resource_version).filter(|v| !v.is_empty())
}

/// A kind of object that is watched.
pub(super) trait Resource: Clone + PartialEq + Send + Sized + 'static {
    /// Plural name, as in permissions.
    const NAME: &'static str;
    /// Path of the API group and version.
    const API: &'static str;
    /// Reads one object.
    fn decode(raw: &str) -> Result<Self, String>;
    /// Of an object that can't be read: the Service that it is a part of (empty: of none), where that can be read.
    fn service_of(_raw: &str) -> Option<String> {
        None
    }

    /// Reads one object, or what can be told of it.
    fn read(raw: &str) -> Result<Self, Broken> {
        Self::decode(raw).map_err(|why| Broken { why, service: Self::service_of(raw) })
    }
}

/// An object that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// Why.
    pub why: String,
    /// See [`Resource::service_of`].
    pub service: Option<String>,
}

/// A Service as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoredService {
    /// For the core; `local_nodes` and `unread_endpoints` are filled in when a snapshot is taken.
    pub service: Service,
    /// `externalTrafficPolicy` is `Local`.
    pub local: bool,
    /// `lastTransitionTime` of our condition.
    pub transition: Option<String>,
    /// Entries of the managed fields, by index, through which the 2018 version owns the list.
    pub legacy_entries: Vec<usize>,
}

/// An EndpointSlice: its Service and the nodes with ready endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Slice {
    /// Label `kubernetes.io/service-name`; empty where absent.
    pub service: String,
    /// Names of nodes.
    pub nodes: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMeta {
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    creation_timestamp: Option<String>,
    #[serde(default)]
    deletion_timestamp: Option<String>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(default)]
    managed_fields: Option<Vec<RawManaged>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawManaged {
    #[serde(default)]
    manager: String,
    #[serde(default)]
    operation: String,
    #[serde(default)]
    subresource: String,
    #[serde(default, rename = "fieldsV1")]
    fields: Option<RawFields>,
}

#[derive(Default, Deserialize)]
struct RawFields {
    #[serde(default, rename = "f:spec")]
    spec: Option<RawSpecFields>,
    #[serde(default, rename = "f:metadata")]
    metadata: Option<RawMetaFields>,
}

#[derive(Default, Deserialize)]
struct RawSpecFields {
    #[serde(default, rename = "f:externalIPs")]
    external_ips: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
struct RawMetaFields {
    #[serde(default, rename = "f:annotations")]
    annotations: Option<BTreeMap<String, IgnoredAny>>,
}

impl RawManaged {
    fn owns_list(&self) -> bool {
        let spec = self.fields.as_ref().and_then(|f| f.spec.as_ref());
        spec.is_some_and(|s| s.external_ips.is_some())
    }

    fn owns_annotation(&self) -> bool {
        let meta = self.fields.as_ref().and_then(|f| f.metadata.as_ref());
        meta.and_then(|m| m.annotations.as_ref()).is_some_and(|a| a.keys().any(|k| is_our_annotation(k)))
    }

    /// Ours by server-side apply to the object itself.
    fn ours(&self) -> bool {
        self.manager == MANAGER && self.operation == "Apply" && self.subresource.is_empty()
    }

    fn legacy(&self) -> bool {
        (self.manager == MANAGER && self.operation != "Apply") || self.manager == "before-first-apply"
    }
}

fn is_our_annotation(field: &str) -> bool {
    field.strip_prefix("f:").is_some_and(|k| k.starts_with(PREFIX))
}

/// Whose the list is. A list that nobody owns is from before the API server kept books.
fn owner(list_empty: bool, managed: &[RawManaged]) -> FieldOwner {
    if list_empty {
        return FieldOwner::Nobody;
    }
    let owners = || managed.iter().filter(|m| m.owns_list());
    if owners().any(RawManaged::ours) {
        return FieldOwner::Us;
    }
    if owners().any(|m| m.manager == MANAGER) {
        return FieldOwner::Legacy;
    }
    match owners().find(|m| !m.legacy()) {
        Some(other) => FieldOwner::Other(other.manager.clone()),
        None => FieldOwner::Legacy,
    }
}

#[derive(Deserialize)]
struct RawService {
    metadata: RawMeta,
    #[serde(default)]
    spec: RawServiceSpec,
    #[serde(default)]
    status: Option<RawStatus>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawServiceSpec {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default, rename = "clusterIP")]
    cluster_ip: Option<String>,
    #[serde(default)]
    ports: Option<Vec<RawPort>>,
    #[serde(default)]
    load_balancer_source_ranges: Option<Vec<String>>,
    #[serde(default, rename = "externalIPs")]
    external_ips: Option<Vec<String>>,
    #[serde(default)]
    external_traffic_policy: Option<String>,
    #[serde(default)]
    ip_families: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct RawPort {
    #[serde(default)]
    protocol: Option<String>,
    port: u16,
}

#[derive(Default, Deserialize)]
struct RawStatus {
    #[serde(default)]
    conditions: Option<Vec<RawCondition>>,
    #[serde(default)]
    addresses: Option<Vec<RawAddress>>,
}

#[derive(Deserialize)]
struct RawAddress {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    address: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawCondition {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    last_transition_time: Option<String>,
}

/// The type of our condition.
pub(super) fn condition_type() -> String {
    format!("{PREFIX}Ready")
}

fn parse<'a, T: Deserialize<'a>>(raw: &'a str) -> Result<T, String> {
    serde_json::from_str(raw).map_err(|e| e.to_string())
}

/// Unix seconds; objects always carry it, an absent one counts as the youngest.
fn seconds(timestamp: Option<&str>) -> Result<i64, String> {
    match timestamp {
        None => Ok(i64::MAX),
        Some(text) => text
            .parse::<jiff::Timestamp>()
            .map(|t| t.as_second())
            .map_err(|e| format!("creationTimestamp `{text}`: {e}")),
    }
}

impl Resource for StoredService {
    const NAME: &'static str = "services";
    const API: &'static str = "/api/v1";

    fn decode(raw: &str) -> Result<StoredService, String> {
        let RawService { metadata, spec, status } = parse(raw)?;
        let kind = match spec.kind.as_deref() {
            None | Some("" | "ClusterIP") => ServiceKind::ClusterIp,
            Some("NodePort") => ServiceKind::NodePort,
            Some("LoadBalancer") => ServiceKind::LoadBalancer,
            Some("ExternalName") => ServiceKind::ExternalName,
            Some(other) => return Err(format!("unknown spec.type `{other}`")),
        };
        let ports = spec.ports.unwrap_or_default().into_iter().map(|p| {
            let protocol = match p.protocol.as_deref() {
                None | Some("" | "TCP") => Protocol::Tcp,
                Some("UDP") => Protocol::Udp,
                Some("SCTP") => Protocol::Sctp,
                Some(other) => return Err(format!("unknown protocol `{other}`")),
            };
            Ok(Port { protocol, number: p.port })
        });
        let ports = ports.collect::<Result<Vec<Port>, String>>()?;
        let external_ips = spec.external_ips.unwrap_or_default();
        let managed = metadata.managed_fields.unwrap_or_default();
        let annotations = metadata.annotations.unwrap_or_default().into_iter();
        let annotations = annotations.filter_map(|(k, v)| k.strip_prefix(PREFIX).map(|k| (k.to_owned(), v))).collect();
        let families = spec.ip_families.unwrap_or_default();
        let owner = owner(external_ips.is_empty(), &managed);
        let legacy_entries: Vec<usize> =
            managed.iter().enumerate().filter(|(_, m)| m.legacy() && m.owns_list()).map(|(i, _)| i).collect();
        let ours =
            status.and_then(|s| s.conditions).unwrap_or_default().into_iter().find(|c| c.kind == condition_type());
        Ok(StoredService {
            service: Service {
                key: Key::new(metadata.namespace, metadata.name),
                uid: metadata.uid,
                created: seconds(metadata.creation_timestamp.as_deref())?,
                kind,
                headless: spec.cluster_ip.as_deref() == Some("None"),
                ipv6_only: !families.is_empty() && !families.iter().any(|family| family == "IPv4"),
                ports,
                annotations,
                source_ranges: spec.load_balancer_source_ranges.unwrap_or_default(),
                half_taken_over: owner == FieldOwner::Us && !legacy_entries.is_empty(),
                external_ips_owner: owner,
                external_ips,
                owns_fields: managed.iter().any(|m| m.ours() && (m.owns_list() || m.owns_annotation())),
                local_nodes: None,
                unread_endpoints: None,
                deleting: metadata.deletion_timestamp.is_some(),
                ready: ours.as_ref().map(|c| Condition {
                    ready: c.status == "True",
                    reason: c.reason.clone().unwrap_or_default(),
                    message: c.message.clone().unwrap_or_default(),
                }),
            },
            local: spec.external_traffic_policy.as_deref() == Some("Local"),
            transition: ours.and_then(|c| c.last_transition_time),
            legacy_entries,
        })
    }
}

#[derive(Deserialize)]
struct RawNode {
    metadata: RawMeta,
    #[serde(default)]
    spec: RawNodeSpec,
    #[serde(default)]
    status: Option<RawStatus>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawNodeSpec {
    #[serde(default, rename = "providerID")]
    provider_id: Option<String>,
    #[serde(default)]
    unschedulable: Option<bool>,
    #[serde(default)]
    taints: Option<Vec<RawTaint>>,
}

#[derive(Deserialize)]
struct RawTaint {
    key: String,
}

impl Resource for Node {
    const NAME: &'static str = "nodes";
    const API: &'static str = "/api/v1";

    fn decode(raw: &str) -> Result<Node, String> {
        let RawNode { metadata, spec, status } = parse(raw)?;
        let RawStatus { conditions, addresses } = status.unwrap_or_default();
        let conditions = conditions.unwrap_or_default();
        let is_ip = |address: &RawAddress| matches!(address.kind.as_str(), "InternalIP" | "ExternalIP");
        let taints = spec.taints.unwrap_or_default();
        Ok(Node {
            name: metadata.name,
            created: seconds(metadata.creation_timestamp.as_deref())?,
            labels: metadata.labels.unwrap_or_default(),
            provider_id: spec.provider_id.unwrap_or_default(),
            ready: conditions.iter().any(|c| c.kind == "Ready" && c.status == "True"),
            cordoned: spec.unschedulable.unwrap_or_default(),
            deleting: metadata.deletion_timestamp.is_some(),
            taints: taints.into_iter().map(|t| t.key).collect(),
            addresses: addresses.unwrap_or_default().into_iter().filter(is_ip).map(|a| a.address).collect(),
        })
    }
}

#[derive(Deserialize)]
struct RawSlice {
    metadata: RawMeta,
    #[serde(default)]
    endpoints: Option<Vec<RawEndpoint>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEndpoint {
    #[serde(default)]
    node_name: Option<String>,
    #[serde(default)]
    conditions: Option<RawEndpointConditions>,
}

#[derive(Deserialize)]
struct RawEndpointConditions {
    #[serde(default)]
    ready: Option<bool>,
}

/// The label that names the Service of an EndpointSlice.
const SERVICE_LABEL: &str = "kubernetes.io/service-name";

impl Resource for Slice {
    const NAME: &'static str = "endpointslices";
    const API: &'static str = "/apis/discovery.k8s.io/v1";

    fn service_of(raw: &str) -> Option<String> {
        let object: serde_json::Value = serde_json::from_str(raw).ok()?;
        match object.get("metadata")?.get("labels") {
            None | Some(serde_json::Value::Null) => Some(String::new()),
            Some(labels) => match labels.as_object()?.get(SERVICE_LABEL) {
                None => Some(String::new()),
                Some(label) => label.as_str().map(str::to_owned),
            },
        }
    }

    fn decode(raw: &str) -> Result<Slice, String> {
        let RawSlice { metadata, endpoints } = parse(raw)?;
        let mut labels = metadata.labels.unwrap_or_default();
        // An absent `ready` means unknown, which is to be taken as ready (discovery.k8s.io/v1).
        let ready = |e: &RawEndpoint| e.conditions.as_ref().and_then(|c| c.ready).unwrap_or(true);
        Ok(Slice {
            service: labels.remove(SERVICE_LABEL).unwrap_or_default(),
            nodes: endpoints.unwrap_or_default().into_iter().filter(ready).filter_map(|e| e.node_name).collect(),
        })
    }
}
