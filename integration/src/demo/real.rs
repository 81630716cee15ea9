//! The story on a real control plane, with moto in the place of AWS.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use kube::Api;

use super::facts::{Facts, ServiceFacts};
use super::scene::{LEASE_SECONDS, NAME, NODES, POOL, Progress, Scene};
use crate::aws::REGION;
use crate::control_plane::{ControlPlane, Options};
use crate::daemon::NewDaemon;
use crate::error::{Result, fail};
use crate::moto::Moto;
use crate::world::{ANNOTATION_PREFIX, DOMAIN, NewNode, ServiceBuilder, World, condition, external_ips};

/// A real cluster, and an emulated account.
pub(super) struct Real {
    world: World,
}

impl Scene for Real {
    const TITLE: &'static str =
        "ExternalIPs on a real kube-apiserver and etcd, with moto in the place of AWS; all on this machine.";
    const LOOK_EVERY: Duration = Duration::from_secs(2);

    async fn set(progress: &Progress) -> Result<Self> {
        let control_plane = Arc::new(ControlPlane::start(Options::default()).await?);
        progress.say(&format!("kube-apiserver is ready at {}", control_plane.url()));
        control_plane.apply_yaml(&crate::repository().join("deploy/base")).await?;
        let moto = Arc::new(Moto::start().await?);
        let mut world = World::on(control_plane, moto, NAME).await?;
        // The example's selector, as it is printed in the README.
        world.node_group = POOL.1.to_owned();
        progress.say(&format!("AWS is ready at {}, with a hosted zone for {DOMAIN}", world.proxy.url()));
        for (name, zone) in NODES {
            let node = world.node(name, NewNode::default().zone(zone)).await?;
            let public = node.public().unwrap_or("none");
            progress.say(&format!("node {}: {}, public address {public}", node.name, node.instance.id));
        }
        // The first replica need not wait for another one that might be there without its knowing.
        world.released_lease().await?;
        Ok(Self { world })
    }

    fn namespace(&self) -> &str {
        &self.world.namespace
    }

    fn services(&self) -> Api<Service> {
        self.world.services()
    }

    async fn apply_example(&self) -> Result<()> {
        let example = crate::directory().join("examples/udp-server.yaml");
        let namespace = format!("--namespace={}", self.world.namespace);
        let path = example.to_string_lossy();
        self.world.control_plane.kubectl(&["apply", &namespace, "--filename", &path]).await.map(drop)
    }

    async fn apply(&self, service: ServiceBuilder) -> Result<()> {
        self.world.apply(service).await.map(drop)
    }

    async fn replica(&mut self, name: &str) -> Result<NewDaemon> {
        Ok(self.world.daemon(name).await?.flag("lease-duration", format!("{LEASE_SECONDS}s")))
    }

    fn killed(&self, _name: &str) {}

    async fn holder(&self) -> Result<String> {
        self.world.lease_holder().await
    }

    async fn facts(&self) -> Result<Facts> {
        let world = &self.world;
        let services = world.services().list(&Default::default()).await?.items.into_iter().map(service);
        let nodes = world.nodes().list(&Default::default()).await?;
        let name = |node: k8s_openapi::api::core::v1::Node| {
            let provider_id = node.spec?.provider_id?;
            Some((provider_id.rsplit('/').next()?.to_owned(), node.metadata.name?))
        };
        let mut instances = world.aws.instances().await?;
        instances.retain(|instance| instance.state == "running");
        Ok(Facts {
            services: services.filter(ServiceFacts::concerns_us).collect(),
            instances,
            nodes: nodes.into_iter().filter_map(name).collect(),
            groups: world.owned_groups().await?,
            records: world.records().await?,
        })
    }

    fn listener(&self) -> Box<dyn Fn(&str)> {
        Box::new(|_| ())
    }

    fn invitation(&self) -> Result<String> {
        let control_plane = &self.world.control_plane;
        let kubeconfig = control_plane.kubeconfig_for(control_plane.admin_token())?;
        let kubectl = control_plane.kubectl_path();
        let (url, namespace) = (self.world.proxy.url(), &self.world.namespace);
        if !kubectl.is_file() {
            return fail(format!("{} is gone", kubectl.display()));
        }
        Ok(format!(
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
        ))
    }

    fn verdict(&self) -> Option<(String, Vec<String>)> {
        None
    }
}

fn service(service: Service) -> ServiceFacts {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let protocol = |protocol: &Option<String>| protocol.as_deref().unwrap_or("TCP").to_lowercase();
    ServiceFacts {
        ports: ports.map(|port| (protocol(&port.protocol), port.port.into())).collect(),
        external_ips: external_ips(&service),
        condition: condition(&service).map(|one| (one.status.clone(), one.reason.clone(), one.message.clone())),
        namespace: service.metadata.namespace.unwrap_or_default(),
        name: service.metadata.name.unwrap_or_default(),
        annotations: service.metadata.annotations.unwrap_or_default(),
    }
}
