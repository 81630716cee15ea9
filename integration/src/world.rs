//! The world of one test: its own namespace, node label, cluster name, Lease, AWS account, VPC and hosted zone, on the
//! control plane and the moto that all tests share. The daemon in it runs with its own ServiceAccount's rights.

mod lease;
mod node;
mod outcome;
mod rights;
mod service;

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Node as KubeNode, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::events::v1::Event;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::aws::{Aws, Network, REGION, Record, SecurityGroup, Zone};
use crate::control_plane::ControlPlane;
use crate::daemon::NewDaemon;
use crate::error::{Context, Result};
use crate::kube_gate::KubeGate;
use crate::moto::Moto;
use crate::recording_proxy::RecordingProxy;

pub use lease::LEASE;
pub use node::{NewNode, Node};
pub use service::{ANNOTATION_PREFIX, READY_CONDITION, ServiceBuilder, annotation, condition, external_ips};

/// The label by which the example's selector finds nodes; each world has its own value.
pub const NODE_LABEL: &str = "kops.k8s.io/instancegroup";

/// The domain of each world's hosted zone, as the example has it.
pub const DOMAIN: &str = "external-ips-test.my-org.com.";

/// One test's world.
#[derive(Clone)]
pub struct World {
    /// The control plane.
    pub control_plane: Arc<ControlPlane>,
    /// A client of it that may do everything.
    pub client: Client,
    /// The test's namespace, also that of the Lease.
    pub namespace: String,
    /// The value of [`NODE_LABEL`] on the test's nodes.
    pub node_group: String,
    /// The daemon's `--cluster-name`.
    pub cluster_name: String,
    /// The daemon's way to AWS.
    pub proxy: Arc<RecordingProxy>,
    /// The test's own way to AWS.
    pub aws: Aws,
    /// The VPC of the test's nodes.
    pub network: Network,
    /// The hosted zone of [`DOMAIN`].
    pub zone: Zone,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl World {
    /// A new world on the shared control plane and moto.
    pub async fn new() -> Result<Self> {
        let control_plane = crate::shared::control_plane().await?;
        let moto = crate::shared::moto().await?;
        let name = format!("test-{}-{}", std::process::id(), crate::unique());
        Self::on(control_plane, moto, &name).await
    }

    /// A new world on a control plane of its own: for a daemon that serves all namespaces.
    pub async fn alone() -> Result<Self> {
        let control_plane = crate::shared::another_control_plane().await?;
        let name = format!("test-{}-{}", std::process::id(), crate::unique());
        Self::on(control_plane, crate::shared::moto().await?, &name).await
    }

    /// A new world with a name of the caller's, which is its namespace, node group and cluster name.
    pub async fn on(control_plane: Arc<ControlPlane>, moto: Arc<Moto>, name: &str) -> Result<Self> {
        let client = control_plane.admin().await?;
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let namespace = serde_json::from_value(json!({"metadata": {"name": name}}))?;
        match namespaces.create(&PostParams::default(), &namespace).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            created => created.map(drop).context(format!("create namespace {name}"))?,
        }
        rights::grant_lease(&client, name).await?;
        let aws = Aws::new(Arc::clone(&moto), moto.new_account());
        let network = aws.create_network().await?;
        let zone = aws.create_zone(DOMAIN).await?;
        let proxy = Arc::new(RecordingProxy::start(moto.url(), aws.account()).await?);
        Ok(Self {
            control_plane,
            client,
            namespace: name.to_owned(),
            node_group: name.to_owned(),
            cluster_name: name.to_owned(),
            proxy,
            aws,
            network,
            zone,
        })
    }

    /// A daemon of this world with a token of its ServiceAccount, not started yet. `name` tells replicas apart: it is
    /// the pod's name, and `AwsCall::access_key` is `AKIA-name`.
    pub async fn daemon(&self, name: &str) -> Result<NewDaemon> {
        let token = rights::daemon_token(&self.control_plane).await?;
        let kubeconfig = self.control_plane.kubeconfig_for(&token)?;
        Ok(self.new_daemon(name, &kubeconfig.to_string_lossy()))
    }

    /// The same, with a recording proxy of its own before the API server.
    pub async fn daemon_behind_gate(&self, name: &str) -> Result<(NewDaemon, KubeGate)> {
        let gate = KubeGate::start(&self.control_plane).await?;
        let token = rights::daemon_token(&self.control_plane).await?;
        let kubeconfig = self.control_plane.kubeconfig_through(gate.url(), &token)?;
        Ok((self.new_daemon(name, &kubeconfig.to_string_lossy()), gate))
    }

    fn new_daemon(&self, name: &str, kubeconfig: &str) -> NewDaemon {
        NewDaemon { name: name.to_owned(), ..NewDaemon::default() }
            .arg("run")
            .flag("cluster-name", &self.cluster_name)
            .flag("namespace", &self.namespace)
            .flag("lease-namespace", &self.namespace)
            .flag("kubeconfig", kubeconfig)
            .flag("pod-name", name)
            .flag("listen", "127.0.0.1:0")
            .flag("log-format", "json")
            // moto's records are in force at once, and tests don't wait for caches that aren't there.
            .flag("dns-propagation", "1s")
            .env("AWS_REGION", REGION)
            .env("AWS_ENDPOINT_URL", self.proxy.url())
            .env("AWS_ACCESS_KEY_ID", format!("AKIA-{name}"))
            .env("AWS_SECRET_ACCESS_KEY", secret_key(name))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            // The profiles of whoever runs the tests are theirs.
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    }

    /// The test's Services.
    pub fn services(&self) -> Api<Service> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// All nodes of the cluster, other tests' too.
    pub fn nodes(&self) -> Api<KubeNode> {
        Api::all(self.client.clone())
    }

    /// The example of the README, with this world's node group in its selector; the name is [`DOMAIN`]'s.
    pub fn example(&self) -> Result<ServiceBuilder> {
        let text = std::fs::read_to_string(crate::directory().join("examples/udp-server.yaml"))?;
        let example: Service = serde_saphyr::from_str(&text)?;
        Ok(ServiceBuilder::from(example).node_group(&self.node_group))
    }

    /// Applies a Service server-side as a person would (field manager `test`), and returns it.
    pub async fn apply(&self, service: ServiceBuilder) -> Result<Service> {
        let service = service.build();
        let name = service.metadata.name.clone().context("a Service without a name")?;
        let mut body = serde_json::to_value(&service)?;
        crate::set(&mut body, "apiVersion", json!("v1"));
        crate::set(&mut body, "kind", json!("Service"));
        let parameters = PatchParams::apply("test");
        self.services().patch(&name, &parameters, &Patch::Apply(body)).await.context(format!("apply {name}"))
    }

    /// A Service as it is now.
    pub async fn service(&self, name: &str) -> Result<Service> {
        Ok(self.services().get(name).await?)
    }

    /// Deletes a Service.
    pub async fn delete_service(&self, name: &str) -> Result<()> {
        self.services().delete(name, &DeleteParams::default()).await.map(drop).context(format!("delete {name}"))
    }

    /// Sets an annotation of a Service, or removes it.
    pub async fn annotate(&self, service: &str, annotation: &str, value: Option<&str>) -> Result<()> {
        let mut annotations = BTreeMap::new();
        annotations.insert(format!("{ANNOTATION_PREFIX}{annotation}"), value);
        let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
        self.services().patch(service, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// Writes the EndpointSlice of a Service: one endpoint on each node, ready or not.
    pub async fn endpoints(&self, service: &str, endpoints: &[(&Node, bool)]) -> Result<()> {
        let endpoints: Vec<_> = endpoints
            .iter()
            .enumerate()
            .map(|(number, (node, ready))| {
                json!({
                    "addresses": [format!("10.244.0.{}", number + 1)], "conditions": {"ready": ready},
                    "nodeName": node.name
                })
            })
            .collect();
        let name = format!("{service}-1");
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": service}},
            "addressType": "IPv4", "endpoints": endpoints, "ports": []
        });
        let slices: Api<EndpointSlice> = Api::namespaced(self.client.clone(), &self.namespace);
        slices.patch(&name, &PatchParams::apply("test").force(), &Patch::Apply(slice)).await?;
        Ok(())
    }

    /// The daemon's Events about a Service: reason and note, in the order of their names. The API server has some to
    /// tell, too.
    pub async fn events(&self, service: &str) -> Result<Vec<(String, String)>> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let events = events.list(&ListParams::default()).await?;
        Ok(events
            .into_iter()
            .filter(|event| event.regarding.as_ref().and_then(|object| object.name.as_deref()) == Some(service))
            .filter(|event| event.reporting_controller.as_ref().is_some_and(|name| name.starts_with(ANNOTATION_PREFIX)))
            .map(|event| (event.reason.unwrap_or_default(), event.note.unwrap_or_default()))
            .collect())
    }

    /// The records of the test's zone.
    pub async fn records(&self) -> Result<Vec<Record>> {
        self.aws.records(&self.zone).await
    }

    /// The values of the A record of a name; none when there is no such record.
    pub async fn addresses_of(&self, name: &str) -> Result<Vec<String>> {
        let records = self.records().await?;
        let found = records.into_iter().find(|record| record.name == name && record.kind == "A");
        Ok(found.map(|record| record.values).unwrap_or_default())
    }

    /// The groups on the primary interface of a node, sorted.
    pub async fn groups_on(&self, node: &Node) -> Result<Vec<String>> {
        self.aws.interface_groups(&node.instance.primary_interface()?.id).await
    }

    /// The daemon's group for a node; `None` when there is none.
    pub async fn group_of(&self, node: &Node) -> Result<Option<SecurityGroup>> {
        let name = format!("external-ips/{}/{}", self.cluster_name, node.instance.id);
        Ok(self.owned_groups().await?.into_iter().find(|group| group.name == name))
    }

    /// The security groups that the daemon owns: those with the tag `external-ips/<cluster>`.
    pub async fn owned_groups(&self) -> Result<Vec<SecurityGroup>> {
        let tag = format!("external-ips/{}", self.cluster_name);
        let mut groups = self.aws.security_groups().await?;
        groups.retain(|group| group.tags.contains_key(&tag));
        groups.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(groups)
    }
}

/// The secret key of the replica `name`: to be found in no log, error, metric, Event or page.
pub fn secret_key(name: &str) -> String {
    format!("secret-of-{name}-{}", "x".repeat(24))
}
