//! Services as tests write and read them.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::world::NODE_LABEL;

/// The prefix of the product's annotations and conditions.
pub const ANNOTATION_PREFIX: &str = "external-ips.alpha.openfresh.github.io/";

/// The condition that tells whether a Service is exposed.
pub const READY_CONDITION: &str = "external-ips.alpha.openfresh.github.io/Ready";

/// A Service to apply. It begins as the example ([`crate::world::World::example`]).
#[derive(Debug, Clone)]
pub struct ServiceBuilder {
    service: Service,
}

impl From<Service> for ServiceBuilder {
    fn from(service: Service) -> Self {
        Self { service }
    }
}

impl ServiceBuilder {
    /// With another name.
    pub fn name(mut self, name: &str) -> Self {
        self.service.metadata.name = Some(name.to_owned());
        self
    }

    /// With an annotation of ours (`hostname`, `selector`, `maxips`, `ttl`, `source-ranges`).
    pub fn annotation(mut self, name: &str, value: &str) -> Self {
        let annotations = self.service.metadata.annotations.get_or_insert_default();
        annotations.insert(format!("{ANNOTATION_PREFIX}{name}"), value.to_owned());
        self
    }

    /// Without one of them.
    pub fn without_annotation(mut self, name: &str) -> Self {
        let annotations = self.service.metadata.annotations.get_or_insert_default();
        annotations.remove(&format!("{ANNOTATION_PREFIX}{name}"));
        self
    }

    /// With another host name.
    pub fn hostname(self, hostname: &str) -> Self {
        self.annotation("hostname", hostname)
    }

    /// On the nodes of a group.
    pub fn node_group(self, group: &str) -> Self {
        self.annotation("selector", &format!("{NODE_LABEL}={group}"))
    }

    /// On at most so many nodes.
    pub fn max_ips(self, count: usize) -> Self {
        self.annotation("maxips", &count.to_string())
    }

    /// With one port.
    pub fn port(self, protocol: &str, port: u16) -> Self {
        self.ports(&[(protocol, port)])
    }

    /// With these ports.
    pub fn ports(self, ports: &[(&str, u16)]) -> Self {
        let ports = ports
            .iter()
            .map(|(protocol, port)| ServicePort {
                name: Some(format!("{}-{port}", protocol.to_lowercase())),
                port: (*port).into(),
                protocol: Some(protocol.to_uppercase()),
                ..ServicePort::default()
            })
            .collect();
        self.spec(|spec| spec.ports = Some(ports))
    }

    /// Of another type: `ClusterIP`.
    pub fn kind(self, kind: &str) -> Self {
        self.spec(|spec| spec.type_ = Some(kind.to_owned()))
    }

    /// With a load-balancer class (type LoadBalancer).
    pub fn class(self, class: &str) -> Self {
        self.spec(|spec| spec.load_balancer_class = Some(class.to_owned()))
    }

    /// With `externalTrafficPolicy: Local`.
    pub fn local_traffic(self) -> Self {
        self.spec(|spec| spec.external_traffic_policy = Some("Local".to_owned()))
    }

    /// With any other change of the spec.
    pub fn spec(mut self, change: impl FnOnce(&mut ServiceSpec)) -> Self {
        change(self.service.spec.get_or_insert_default());
        self
    }

    /// The Service.
    pub fn build(self) -> Service {
        self.service
    }
}

/// A Service's `spec.externalIPs`, sorted.
pub fn external_ips(service: &Service) -> Vec<String> {
    let spec = service.spec.as_ref();
    let mut addresses = spec.and_then(|spec| spec.external_ips.clone()).unwrap_or_default();
    addresses.sort();
    addresses
}

/// The value of an annotation of ours.
pub fn annotation<'a>(service: &'a Service, annotation: &str) -> Option<&'a str> {
    let annotations = service.metadata.annotations.as_ref()?;
    annotations.get(&format!("{ANNOTATION_PREFIX}{annotation}")).map(String::as_str)
}

/// The condition [`READY_CONDITION`] of a Service.
pub fn condition(service: &Service) -> Option<&Condition> {
    let conditions = service.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == READY_CONDITION)
}
