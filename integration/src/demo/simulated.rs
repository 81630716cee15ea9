//! The story on the simulators: no other program is needed. What is shown is what the simulators know themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use kube::Api;
use serde_json::json;

use super::facts::{Facts, ServiceFacts};
use super::scene::{LEASE_SECONDS, NAME, NODES, POOL, Progress, Scene, example};
use crate::aws::{Instance, Interface, Record, Rule, SecurityGroup};
use crate::children::find_program;
use crate::daemon::NewDaemon;
use crate::error::Result;
use crate::sim::aws::State;
use crate::sim::aws::state::{Group, Power, Source};
use crate::sim::check::{Patience, wish};
use crate::sim::event::{Actor, Creator};
use crate::sim::kube::{ServiceView, User};
use crate::sim::served::{REGION, ServedWorld, Setup};
use crate::world::{ANNOTATION_PREFIX, DOMAIN, READY_CONDITION, ServiceBuilder};

/// Changes take a moment to be seen and acted on where several processes share a machine that may be busy. Whoever plays
/// in the account by hand is given the time in which the daemon believes its own writes.
const PATIENCE: Patience =
    Patience { wish: Duration::from_secs(10), meddling: Patience::STORM.meddling, ..Patience::CALM };

/// A simulated cluster and account.
pub(super) struct Simulated {
    pub(super) world: ServedWorld,
    /// The replicas' numbers.
    numbers: BTreeMap<String, u32>,
}

impl Scene for Simulated {
    const TITLE: &'static str = "ExternalIPs in a simulated cluster with a simulated AWS, all on this machine. \
                                 The replicas are real: processes of their own.";
    const LOOK_EVERY: Duration = Duration::from_millis(300);

    async fn set(progress: &Progress) -> Result<Self> {
        let setup = Setup {
            seed: 1,
            cluster: NAME.to_owned(),
            domain: DOMAIN.to_owned(),
            namespace: NAME.to_owned(),
            lease: Duration::from_secs(LEASE_SECONDS.into()),
            ttl: Duration::from_secs(60),
            propagation: Duration::from_secs(1),
            full_sync: Duration::from_secs(60),
            patience: PATIENCE,
        };
        let world = ServedWorld::new(setup).await?;
        progress.say(&format!("the API server is ready at {}", world.kube_url()));
        progress.say(&format!("AWS is ready at {}, with a hosted zone for {DOMAIN}", world.aws_url()));
        for (name, zone) in NODES {
            let name = format!("{NAME}-{name}");
            let instance = world.add_node(&name, zone, &[POOL])?;
            let public = world.aws.look(|state| wish::addresses(state, &instance).map(|(_, public)| public));
            let public = public.map_or_else(|| "none".to_owned(), |public| public.to_string());
            progress.say(&format!("node {name}: {instance}, public address {public}"));
        }
        Ok(Self { world, numbers: BTreeMap::new() })
    }

    fn namespace(&self) -> &str {
        NAME
    }

    fn services(&self) -> Api<Service> {
        Api::namespaced(self.world.kube.client_in(User::admin(Actor::Person), NAME), NAME)
    }

    async fn apply_example(&self) -> Result<()> {
        self.apply(example()?).await
    }

    async fn apply(&self, service: ServiceBuilder) -> Result<()> {
        let mut body = serde_json::to_value(service.build())?;
        crate::set(&mut body, "apiVersion", json!("v1"));
        crate::set(&mut body, "kind", json!("Service"));
        self.world.apply(&body).await
    }

    async fn replica(&mut self, name: &str) -> Result<NewDaemon> {
        let (number, daemon) = self.world.daemon(name)?;
        self.world.note(number, "starts");
        self.numbers.insert(name.to_owned(), number);
        Ok(daemon)
    }

    fn killed(&self, name: &str) {
        if let Some(number) = self.numbers.get(name) {
            self.world.note(*number, "is killed");
        }
    }

    async fn holder(&self) -> Result<String> {
        Ok(self.world.holder())
    }

    async fn facts(&self) -> Result<Facts> {
        Ok(facts(&self.world))
    }

    fn listener(&self) -> Box<dyn Fn(&str)> {
        let (checker, clock) = (self.world.checker.clone(), self.world.stage.clock.clone());
        Box::new(move |line| checker.logged(clock.now(), line))
    }

    fn invitation(&self) -> Result<String> {
        let kubeconfig = self.world.kubeconfig()?;
        let missing = if find_program("kubectl").is_some() { "" } else { "   # any kubectl will do" };
        Ok(format!(
            "\nIt stays up until Ctrl-C. In another terminal:\n\n  \
             export KUBECONFIG={}\n  export AWS_ENDPOINT_URL={} AWS_REGION={REGION}\n  \
             export AWS_ACCESS_KEY_ID=demo AWS_SECRET_ACCESS_KEY=demo\n\n  \
             kubectl -n {NAME} get services{missing}\n  \
             kubectl -n {NAME} describe service udp-server\n  \
             kubectl -n {NAME} annotate service turn {ANNOTATION_PREFIX}maxips=1 --overwrite\n  \
             kubectl delete node {NAME}-one\n  \
             aws ec2 describe-security-groups --filters Name=tag-key,Values=external-ips/{NAME}\n  \
             aws route53 list-resource-record-sets --hosted-zone-id {}\n",
            kubeconfig.display(),
            self.world.aws_url(),
            self.world.zone,
        ))
    }

    fn verdict(&self) -> Option<(String, Vec<String>)> {
        Some(verdict(&self.world))
    }
}

/// What the checker says of a world: in one line, and what was broken.
pub(super) fn verdict(world: &ServedWorld) -> (String, Vec<String>) {
    let violations: Vec<String> = world.violations().iter().map(ToString::to_string).collect();
    let (changes, calls) = (world.tally.changes(), world.tally.calls());
    (format!("checker: {changes} changes and {calls} requests judged, {} violations", violations.len()), violations)
}

/// What the simulators know.
pub(super) fn facts(world: &ServedWorld) -> Facts {
    let (services, nodes) = world.kube.look(|look| {
        let services: Vec<ServiceFacts> =
            look.services().map(|view| service(&view)).filter(ServiceFacts::concerns_us).collect();
        let nodes = look.nodes().filter_map(|node| Some((wish::instance_of(node)?.to_owned(), node.name.clone())));
        (services, nodes.collect())
    });
    world.aws.look(|state| Facts {
        services,
        instances: instances(state),
        nodes,
        groups: state.groups.values().filter(|group| group.creator == Creator::Us).map(|one| group(one)).collect(),
        records: records(state, &world.zone),
    })
}

fn service(view: &ServiceView) -> ServiceFacts {
    let mut external_ips: Vec<String> = view.external_ips.iter().map(|(address, _)| address.clone()).collect();
    external_ips.sort();
    let condition = view.conditions.iter().find(|condition| condition.kind == READY_CONDITION);
    ServiceFacts {
        namespace: view.namespace.clone(),
        name: view.name.clone(),
        annotations: view.annotations.clone(),
        ports: view.ports.iter().map(|(protocol, port)| (protocol.to_lowercase(), (*port).into())).collect(),
        external_ips,
        condition: condition.map(|one| (one.status.clone(), one.reason.clone(), one.message.clone())),
    }
}

fn instances(state: &State) -> Vec<Instance> {
    let running = state.instances.values().filter(|instance| instance.power == Power::Running);
    running
        .map(|instance| {
            let interfaces = instance.interfaces.iter().filter_map(|id| state.interfaces.get(id));
            let primary = state.primary(&instance.id);
            Instance {
                id: instance.id.clone(),
                state: "running".to_owned(),
                zone: instance.zone.clone(),
                private: primary.map(|interface| interface.private_ip.to_string()),
                public: primary.and_then(|interface| interface.public_ip).map(|ip| ip.to_string()),
                interfaces: interfaces
                    .map(|interface| Interface {
                        id: interface.id.clone(),
                        device_index: interface.device_index.into(),
                        groups: interface.groups.keys().cloned().collect(),
                    })
                    .collect(),
            }
        })
        .collect()
}

fn group(group: &Group) -> SecurityGroup {
    let mut rules: Vec<Rule> = group
        .rules
        .iter()
        .map(|(key, rule)| Rule {
            protocol: key.protocol.clone(),
            ports: (key.from.into(), key.to.into()),
            source: match &key.source {
                Source::V4(source) | Source::V6(source) | Source::Group(source) | Source::Prefix(source) => {
                    source.clone()
                }
            },
            description: rule.description.clone(),
        })
        .collect();
    rules.sort();
    SecurityGroup {
        id: group.id.clone(),
        name: group.name.clone(),
        description: group.description.clone(),
        vpc: group.vpc.clone(),
        tags: group.tags.clone(),
        rules,
    }
}

fn records(state: &State, zone: &str) -> Vec<Record> {
    let records = state.zones.get(zone).into_iter().flat_map(|zone| zone.records.iter());
    records
        .filter(|(key, _)| !["NS", "SOA"].contains(&key.kind()))
        .map(|(key, record)| {
            let values: Vec<&str> = record.values.iter().map(String::as_str).collect();
            Record::new(&key.plain_name(), key.kind(), record.ttl.unwrap_or_default().into(), &values)
        })
        .collect()
}
