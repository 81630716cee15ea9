//! What happens: bad weather, processes that end, instances that end or move, people who edit.

use std::time::Duration;

use serde_json::json;

use super::{NAME, Play};
use crate::demo::scene::POOL;
use crate::error::Result;
use crate::sim::event::{Actor, Seam};
use crate::sim::kube::Resource;
use crate::sim::storm::{Kinds, Weather};
use crate::world::{ANNOTATION_PREFIX, DOMAIN};

/// A Service: name, ports, nodes at most.
type Planned = (&'static str, &'static [(&'static str, u16)], u32);

/// The Services that there are when nobody has deleted one. Two of them want the same port, and so never share a node.
const SERVICES: [Planned; 5] = [
    ("dns", &[("UDP", 5353), ("TCP", 5353)], 2),
    ("game", &[("UDP", 6315)], 2),
    ("lobby", &[("UDP", 6315)], 2),
    ("sip", &[("UDP", 5060)], 3),
    ("turn", &[("TCP", 3478), ("UDP", 3478)], 3),
];

/// Fewer nodes than that are left alone.
const NODES_LEFT: usize = 3;

/// What comes later of something that has happened.
#[derive(Debug)]
pub(super) enum Later {
    /// A stopped instance runs again, with another address.
    Starts { node: String, instance: String },
    /// The Node of an instance that has ended goes away.
    Goes { node: String },
    /// Another node joins.
    Joins,
    /// A node is ready again.
    Ready { node: String },
    /// A Service that was deleted is made anew.
    Applies { service: &'static str },
}

impl Play {
    fn seconds(&self, from: usize, to: usize) -> Duration {
        Duration::from_millis((from * 1000 + self.random.below((to - from) * 1000)) as u64)
    }

    fn comes_in(&mut self, time: Duration, what: Later) {
        self.later.push((self.now() + time, what));
    }

    /// Makes a node: its name.
    pub(super) fn add_node(&mut self) -> Result<String> {
        self.nodes += 1;
        let name = format!("n{}", self.nodes);
        let zone = ["a", "b", "c"].get(self.nodes as usize % 3).copied().unwrap_or("a");
        self.world.add_node(&name, zone, &[POOL])?;
        Ok(name)
    }

    /// Somebody applies all Services.
    pub(super) async fn apply_all(&mut self) -> Result<()> {
        for (name, ..) in SERVICES {
            self.apply(name).await?;
        }
        Ok(())
    }

    async fn apply(&mut self, name: &'static str) -> Result<()> {
        let Some((_, ports, most)) = SERVICES.iter().find(|(service, ..)| *service == name) else { return Ok(()) };
        self.world.apply(&service(name, ports, *most)).await
    }

    /// What has become due.
    pub(super) fn what_is_due(&mut self) -> Result<()> {
        let now = self.now();
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.later).into_iter().partition(|(at, _)| *at <= now);
        self.later = later;
        for (_, what) in due {
            match what {
                Later::Starts { node, instance } => {
                    // It may have ended meanwhile, or its Node have been deleted by hand: nothing comes of it then.
                    if self.world.aws.start_instance(Actor::Nature, &instance).is_ok()
                        && self.world.show_addresses(&node).is_ok()
                        && self.world.set_ready(&node, true).is_ok()
                    {
                        self.tell(format!("{node} runs again, with another address"));
                    }
                }
                Later::Goes { node } => {
                    let _ = self.world.kube.by(Actor::Nature).delete(Resource::Nodes, "", &node);
                }
                Later::Joins => {
                    let name = self.add_node()?;
                    self.tell(format!("{name} joins"));
                }
                Later::Ready { node } => {
                    if self.world.set_ready(&node, true).is_ok() {
                        self.tell(format!("{node} is ready again"));
                    }
                }
                Later::Applies { service } => self.applied.push(service),
            }
        }
        Ok(())
    }

    /// Somebody applies what was deleted.
    pub(super) async fn apply_due(&mut self) -> Result<()> {
        for service in std::mem::take(&mut self.applied) {
            self.apply(service).await?;
            self.tell(format!("somebody applies {service} again"));
        }
        Ok(())
    }

    /// One thing happens.
    pub(super) fn something_happens(&mut self) -> Result<()> {
        match self.random.below(100) {
            0..=35 => self.weather(),
            36..=43 => self.replica_ends(true),
            44..=48 => self.replica_ends(false),
            49..=70 => self.node()?,
            _ => self.people(),
        }
        Ok(())
    }

    fn weather(&mut self) {
        let (name, kinds) = match self.random.below(4) {
            0 => ("refusals", Kinds { refusals: true, losses: false, lies: false, late: false }),
            1 => ("losses", Kinds { refusals: false, losses: true, lies: false, late: false }),
            2 => ("lies", Kinds { refusals: false, losses: false, lies: true, late: false }),
            _ => ("faults of all kinds", Kinds::PROMPT),
        };
        let (whose, seam) = match self.random.below(3) {
            0 => ("AWS", Some(Seam::Aws)),
            1 => ("Kubernetes", Some(Seam::Kube)),
            _ => ("both", None),
        };
        let percent = self.random.pick(&[20, 40, 60, 80]).copied().unwrap_or(20);
        let lasts = self.seconds(2, 8);
        self.sky.comes(Weather { kinds, seam, only: None, lease: self.random.percent(30), percent, lasts });
        self.tell(format!("{name} at {whose}: {percent} % of the calls, for {:.0} s", lasts.as_secs_f64()));
    }

    fn replica_ends(&mut self, at_once: bool) {
        if let Some(told) = self.troupe.one_ends(&self.world, &self.random, at_once) {
            self.tell(told);
        }
    }

    fn node(&mut self) -> Result<()> {
        // Those that run: what happens to one that is down already comes later.
        let running = self.world.kube.look(|look| {
            let nodes = look.nodes().filter(|node| node.ready);
            nodes.map(|node| node.name.clone()).collect::<Vec<String>>()
        });
        let Some(node) = self.random.pick(&running).cloned() else { return Ok(()) };
        let Some(instance) = self.world.instance(&node).filter(|_| running.len() > NODES_LEFT) else { return Ok(()) };
        let (aws, nature) = (self.world.aws.clone(), Actor::Nature);
        match self.random.below(10) {
            0..=2 => {
                aws.terminate_instance(nature, &instance)?;
                self.world.set_ready(&node, false)?;
                self.tell(format!("{node} is lost: its instance is terminated"));
                let (goes, joins) = (self.seconds(2, 8), self.seconds(3, 10));
                self.comes_in(goes, Later::Goes { node });
                self.comes_in(joins, Later::Joins);
            }
            3..=5 => {
                aws.stop_instance(nature, &instance)?;
                self.world.set_ready(&node, false)?;
                self.tell(format!("{node} stops"));
                let time = self.seconds(2, 8);
                self.comes_in(time, Later::Starts { node, instance });
            }
            6..=7 => {
                let address = aws.allocate_address(nature);
                aws.associate_address(nature, address, &instance)?;
                self.world.show_addresses(&node)?;
                self.tell(format!("{node} gets another address: {address}"));
            }
            _ => {
                self.world.set_ready(&node, false)?;
                self.tell(format!("{node} isn't ready for a while"));
                let time = self.seconds(3, 12);
                self.comes_in(time, Later::Ready { node });
            }
        }
        Ok(())
    }

    /// Somebody edits a Service. One that isn't there is made anew anyway.
    fn people(&mut self) {
        let Some((name, ports, _)) = self.random.pick(&SERVICES).copied() else { return };
        let kube = self.world.kube.clone();
        let person = kube.by(Actor::Person);
        let annotate = |annotation: &str, value: &str| {
            let annotation = format!("{ANNOTATION_PREFIX}{annotation}");
            person.annotate(NAME, name, &[(annotation.as_str(), Some(value))]).is_ok()
        };
        let told = match self.random.below(10) {
            0..=3 => {
                let most = 1 + self.random.below(4);
                annotate("maxips", &most.to_string()).then(|| format!("{name}: maxips={most}"))
            }
            4..=5 => {
                let by = self.random.below(3) as u16;
                let moved: Vec<_> = ports.iter().map(|(protocol, port)| port_of(protocol, port + by)).collect();
                let change = json!({"spec": {"ports": moved}});
                let done = person.patch(Resource::Services, NAME, name, &change).is_ok();
                done.then(|| format!("{name}: other ports"))
            }
            6..=7 => {
                let other = self.random.pick(&["", "-eu", "-us"]).copied().unwrap_or_default();
                annotate("hostname", &format!("{name}{other}.{DOMAIN}"))
                    .then(|| format!("{name}: hostname {name}{other}"))
            }
            8 => {
                let ranges = self.random.pick(&["0.0.0.0/0", "198.51.100.0/24,203.0.113.7/32"]).copied();
                let ranges = ranges.unwrap_or("0.0.0.0/0");
                annotate("source-ranges", ranges).then(|| format!("{name}: source-ranges={ranges}"))
            }
            _ => person.delete(Resource::Services, NAME, name).is_ok().then(|| {
                let time = self.seconds(1, 6);
                self.comes_in(time, Later::Applies { service: name });
                format!("{name}: deleted")
            }),
        };
        if let Some(told) = told {
            self.tell(format!("somebody edits {told}"));
        }
    }
}

fn port_of(protocol: &str, port: u16) -> serde_json::Value {
    json!({"name": format!("{}-{port}", protocol.to_lowercase()), "protocol": protocol, "port": port})
}

fn service(name: &str, ports: &[(&str, u16)], most: u32) -> serde_json::Value {
    let ports: Vec<_> = ports.iter().map(|(protocol, port)| port_of(protocol, *port)).collect();
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": NAME, "annotations": {
            format!("{ANNOTATION_PREFIX}hostname"): format!("{name}.{DOMAIN}"),
            format!("{ANNOTATION_PREFIX}selector"): format!("{}={}", POOL.0, POOL.1),
            format!("{ANNOTATION_PREFIX}maxips"): most.to_string(),
        }},
        "spec": {"ports": ports, "selector": {"app": name}},
    })
}
