//! Where the story plays: control plane, AWS, nodes, Services and replicas, and what is left of ours in the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::say;
use crate::aws::REGION;
use crate::control_plane::{ControlPlane, Options};
use crate::daemon::Daemon;
use crate::error::{Context, Result, fail};
use crate::eventually::within;
use crate::moto::Moto;
use crate::world::{ANNOTATION_PREFIX, DOMAIN, NewNode, World, annotation, condition, external_ips};

/// The replicas' `--lease-duration`: shorter than the default, so that nobody waits long for the take-over.
pub(super) const LEASE_SECONDS: u32 = 5;

/// The namespace and the cluster's name.
const NAME: &str = "demo";

/// The stage.
pub(super) struct Stage {
    pub(super) world: World,
    replicas: BTreeMap<String, Arc<Daemon>>,
    /// The groups of each interface before we came.
    interfaces: BTreeMap<String, Vec<String>>,
}

impl Stage {
    /// Builds what isn't built yet and starts everything but the replicas.
    pub(super) async fn set() -> Result<Self> {
        say("ExternalIPs on a real kube-apiserver and etcd, with moto in the place of AWS; all on this machine.");
        let began = Instant::now();
        tokio::task::spawn_blocking(crate::daemon::binary).await??;
        let since = |began: Instant| format!("{:>7.3} s", began.elapsed().as_secs_f64());
        say(&format!("  {}     the daemon is built", since(began)));
        let control_plane = Arc::new(ControlPlane::start(Options::default()).await?);
        say(&format!("  {}     kube-apiserver is ready at {}", since(began), control_plane.url()));
        control_plane.apply_yaml(&crate::repository().join("deploy/base")).await?;
        let moto = Arc::new(Moto::start().await?);
        let mut world = World::on(control_plane, moto, NAME).await?;
        // The example's selector, as it is printed in the README.
        world.node_group = "general".to_owned();
        say(&format!("  {}     AWS is ready at {}, with a hosted zone for {DOMAIN}", since(began), world.proxy.url()));
        for (name, zone) in [("one", "a"), ("two", "b"), ("three", "c"), ("four", "a")] {
            let node = world.node(name, NewNode::default().zone(zone)).await?;
            let public = node.public().unwrap_or("none").to_owned();
            say(&format!("  {}     node {}: {}, public address {public}", since(began), node.name, node.instance.id));
        }
        let mut interfaces = BTreeMap::new();
        for instance in world.aws.instances().await? {
            let interface = instance.primary_interface()?;
            interfaces.insert(interface.id.clone(), interface.groups.clone());
        }
        // The first replica need not wait for another one that might be there without its knowing.
        world.released_lease().await?;
        Ok(Self { world, replicas: BTreeMap::new(), interfaces })
    }

    /// Starts a replica as a process of its own.
    pub(super) async fn start_replica(&mut self, name: &str) -> Result<Arc<Daemon>> {
        let lease = format!("{LEASE_SECONDS}s");
        let daemon = self.world.daemon(name).await?.flag("lease-duration", &lease);
        let daemon = Arc::new(daemon.start().await?);
        self.replicas.insert(name.to_owned(), Arc::clone(&daemon));
        Ok(daemon)
    }

    /// The replica that the Lease names.
    pub(super) async fn leader(&self) -> Result<Option<String>> {
        let holder = self.world.lease_holder().await?;
        Ok(self.replicas.keys().find(|name| holder.starts_with(&format!("{name}_"))).cloned())
    }

    /// Waits until a replica says that it is ready to take over.
    pub(super) async fn ready(&self, name: &str) -> Result<()> {
        let replica = self.replicas.get(name).context("no such replica")?;
        let look = || async { Ok(replica.get("/readyz").await?.0) };
        within(super::PATIENCE, format!("{name} is ready"), look, |status| *status == 200).await.map(drop)
    }

    /// Kills a replica.
    pub(super) fn kill(&self, name: &str) -> Result<()> {
        self.replicas.get(name).context("no such replica")?.kill();
        Ok(())
    }

    /// Applies the example as it is.
    pub(super) async fn apply_example(&self) -> Result<()> {
        let example = crate::directory().join("examples/udp-server.yaml");
        let namespace = format!("--namespace={}", self.world.namespace);
        let path = example.to_string_lossy();
        self.world.control_plane.kubectl(&["apply", &namespace, "--filename", &path]).await.map(drop)
    }

    /// Applies a Service of type ClusterIP.
    pub(super) async fn apply_turn(&self) -> Result<()> {
        let turn = self.world.example()?.name("turn").kind("ClusterIP").hostname(&format!("turn.{DOMAIN}")).max_ips(3);
        self.world.apply(turn.ports(&[("TCP", 3478), ("UDP", 3478)])).await.map(drop)
    }

    /// Changes the example's port and how many nodes it wants.
    pub(super) async fn change_example(&self, port: u16, nodes: usize) -> Result<()> {
        let patch = json!({
            "metadata": {"annotations": {format!("{ANNOTATION_PREFIX}maxips"): nodes.to_string()}},
            "spec": {"ports": [{"port": port, "protocol": "UDP", "targetPort": port}]}
        });
        self.world.services().patch("udp-server", &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    /// Removes what asks for exposure from both Services.
    pub(super) async fn withdraw_annotations(&self) -> Result<()> {
        self.world.annotate("udp-server", "hostname", None).await?;
        self.world.annotate("turn", "hostname", None).await
    }

    /// Deletes both Services.
    pub(super) async fn delete_services(&self) -> Result<()> {
        self.world.delete_service("udp-server").await?;
        self.world.delete_service("turn").await
    }

    /// What is left of ours, and what isn't as it was.
    pub(super) async fn left_over(&self) -> Result<Vec<String>> {
        let mut left = Vec::new();
        left.extend(self.world.owned_groups().await?.into_iter().map(|group| format!("security group {}", group.name)));
        for record in self.world.records().await? {
            left.push(format!("record {} {}", record.name, record.kind));
        }
        for instance in self.world.aws.instances().await? {
            let interface = instance.primary_interface()?;
            if self.interfaces.get(&interface.id) != Some(&interface.groups) {
                left.push(format!("groups {:?} on {}", interface.groups, instance.id));
            }
        }
        for name in ["udp-server", "turn"] {
            let service = self.world.service(name).await?;
            left.extend(external_ips(&service).into_iter().map(|ip| format!("{name}: externalIP {ip}")));
            for ours in ["assigned", "addresses"] {
                left.extend(annotation(&service, ours).map(|value| format!("{name}: annotation {ours}={value}")));
            }
            left.extend(condition(&service).map(|condition| format!("{name}: condition {}", condition.reason)));
        }
        Ok(left)
    }

    /// The names of the nodes by instance.
    pub(super) async fn node_names(&self) -> Result<BTreeMap<String, String>> {
        let nodes = self.world.nodes().list(&Default::default()).await?;
        let name = |node: k8s_openapi::api::core::v1::Node| {
            let provider_id = node.spec?.provider_id?;
            Some((provider_id.rsplit('/').next()?.to_owned(), node.metadata.name?))
        };
        Ok(nodes.into_iter().filter_map(name).collect())
    }

    /// Tells how to look around.
    pub(super) fn invite(&self) -> Result<()> {
        let control_plane = &self.world.control_plane;
        let kubeconfig = control_plane.kubeconfig_for(control_plane.admin_token())?;
        let kubectl = control_plane.kubectl_path();
        let (url, namespace) = (self.world.proxy.url(), &self.world.namespace);
        if !kubectl.is_file() {
            return fail(format!("{} is gone", kubectl.display()));
        }
        say(&format!(
            "\nIt stays up until Ctrl-C. In another terminal:\n\n  \
             export KUBECONFIG={}\n  export AWS_ENDPOINT_URL={url} AWS_REGION={REGION}\n  \
             export AWS_ACCESS_KEY_ID=demo AWS_SECRET_ACCESS_KEY=demo\n\n  \
             kubectl -n {namespace} get services      # kubectl is also at {}\n  \
             kubectl -n {namespace} describe service udp-server\n  \
             kubectl -n {namespace} annotate service turn {ANNOTATION_PREFIX}maxips=1 --overwrite\n  \
             aws ec2 describe-security-groups --filters Name=tag-key,Values=external-ips/{NAME}\n  \
             aws route53 list-resource-record-sets --hosted-zone-id {}\n",
            kubeconfig.display(),
            kubectl.display(),
            self.world.zone.id,
        ));
        Ok(())
    }
}
