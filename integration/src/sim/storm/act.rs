//! Lets things happen in a world.

use std::time::Duration;

use serde_json::json;

use crate::error::Result;
use crate::sim::World;
use crate::sim::aws::state::{Power, RecordSet, RuleKey, Source};
use crate::sim::check::wish::EXCLUDED;
use crate::sim::event::{Actor, Creator, Event, Seam};
use crate::sim::kube::{Resource, UNDECODABLE};
use crate::sim::world::{DOMAIN, LEASE, NAMESPACE, OTHERS_TTL};

use super::catalogue::Kinds;
use super::happening::{Foreign, Happening, Stored, What, Wish};
use super::weather::{Sky, Weather};

/// A zone below the one of all names.
const BELOW: &str = "sub.example.com";

/// What comes later of something that has happened.
enum Later {
    /// The instance runs again, and its Node says so.
    Starts { node: String, instance: String },
    /// A Node goes away.
    Goes { node: String },
    /// A process goes on.
    Thaws { replica: u32 },
    /// Something can be decoded again.
    Readable(Place),
}

/// Where something is stored: what it is, in which namespace, under which name.
type Place = (Resource, &'static str, String);

/// A world in which things happen.
pub(super) struct Acting {
    pub world: World,
    sky: Sky,
    later: Vec<(Duration, Later)>,
}

impl Acting {
    pub fn new(world: World) -> Acting {
        let sky = Sky::new(world.stage.clock.clone(), world.random.fork("weather"));
        world.fates.set(sky.plan());
        Acting { world, sky, later: Vec::new() }
    }

    /// All of it, in order, and what comes of it.
    pub async fn all(&mut self, happenings: &[Option<Happening>]) -> Result<()> {
        for (number, happening) in happenings.iter().enumerate() {
            let Some(happening) = happening else { continue };
            self.pass(happening.after).await?;
            self.world.stage.journal.record(Event::Note(format!("[{number}] {happening}")));
            self.act(&happening.what)?;
        }
        while let Some(at) = self.later.iter().map(|(at, _)| *at).min() {
            let now = self.world.stage.clock.now();
            self.pass(at.saturating_sub(now)).await?;
        }
        Ok(())
    }

    async fn pass(&mut self, time: Duration) -> Result<()> {
        let end = self.world.stage.clock.now() + time;
        loop {
            let now = self.world.stage.clock.now();
            let (due, later) = std::mem::take(&mut self.later).into_iter().partition(|(at, _)| *at <= now);
            self.later = later;
            let due: Vec<(Duration, Later)> = due;
            for (_, what) in due {
                self.comes_later(what);
            }
            if now >= end {
                return Ok(());
            }
            let next = self.later.iter().map(|(at, _)| *at).min().map_or(end, |at| at.min(end));
            self.world.pass(next - now).await?;
        }
    }

    fn comes_later(&mut self, what: Later) {
        match what {
            Later::Starts { node, instance } => {
                // It may have ended meanwhile, or its Node have gone: then nothing comes of it.
                if self.world.aws.start_instance(Actor::Nature, &instance).is_ok() {
                    let _ = self.world.show_addresses(&node);
                    let _ = self.world.kube.by(Actor::Nature).set_ready(&node, true);
                }
            }
            Later::Goes { node } => {
                let _ = self.world.kube.by(Actor::Nature).delete(Resource::Nodes, "", &node);
            }
            Later::Thaws { replica } => {
                if let Some(replica) = self.world.replica(replica) {
                    replica.thaw();
                }
            }
            Later::Readable(place) => self.garbled(&place, false),
        }
    }

    /// Does one thing. Errors are those of the story itself; what can't be done as the world is, isn't.
    fn act(&mut self, what: &What) -> Result<()> {
        match what {
            What::Create(service, wish) => self.create(*service, wish),
            What::Delete(service) => self.delete(*service),
            What::Recreate(service, wish) => {
                self.delete(*service);
                self.create(*service, wish);
            }
            What::Annotate(service, name, value) => self.annotate(*service, name, value.as_deref()),
            What::Ports(service, ports) => {
                let (namespace, name) = place(*service);
                let change = json!({"spec": {"ports": crate::sim::world::spec_ports(ports)}});
                let _ = self.world.kube.by(Actor::Person).patch(Resource::Services, namespace, &name, &change);
            }
            What::Endpoints(service, places) => self.endpoints(*service, *places),
            What::Garbled(what, lasts) => {
                if let Some(place) = self.stored(*what) {
                    self.garbled(&place, true);
                    self.later.push((self.world.stage.clock.now() + *lasts, Later::Readable(place)));
                }
            }
            What::Local(service, local) => {
                let (namespace, name) = place(*service);
                let spec = match local {
                    true => json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local"}),
                    false => json!({"externalTrafficPolicy": "Cluster"}),
                };
                let hand = self.world.kube.by(Actor::Person);
                let _ = hand.patch(Resource::Services, namespace, &name, &json!({"spec": spec}));
            }
            What::ExternalIps(service, addresses) => {
                let (namespace, name) = place(*service);
                let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
                let _ = self.world.kube.by(Actor::Person).set_external_ips(namespace, &name, &addresses);
            }
            What::NodesAddress(service, node) => {
                let (namespace, name) = place(*service);
                let node = self.at(*node).and_then(|(node, _)| self.world.addresses(&node));
                if let Some((private, _)) = node {
                    let hand = self.world.kube.by(Actor::Person);
                    let _ = hand.set_external_ips(namespace, &name, &[&private.to_string()]);
                }
            }
            What::DeleteMany => (1..=u8::MAX).for_each(|service| self.delete(service)),
            What::LoseAnnotations => (1..=u8::MAX).for_each(|service| self.annotate(service, "hostname", None)),
            What::NodeJoins(interfaces) => {
                self.world.add_node(*interfaces)?;
            }
            What::Replicas(count) => self.world.run_at_most(*count)?,
            What::Kill | What::Terminate | What::Freeze(_) | What::CutOff(_) | What::DiesAtWrite(..) => {
                self.happens_to_leader(what);
            }
            What::ClockOff(seconds) => self.world.clock_off = *seconds,
            What::AwsClockOff(seconds) => self.world.aws.set_clock_off(*seconds),
            What::Lease(kind) => self.lease(*kind),
            What::Weather(weather) => self.sky.comes(*weather),
            What::Calm => {}
            What::RecordByHand(_) | What::TwinByHand(_) | What::ForeignRecord(..) | What::OthersName(_) => {
                self.names(what);
            }
            What::ZoneBelow(there) => self.zone_below(*there)?,
            What::ZoneAnew => {
                self.world.aws.delete_zone(Actor::Person, &self.world.zone)?;
                self.world.zone = self.world.aws.create_zone(Actor::Person, DOMAIN, false)?;
            }
            What::NodeEnds(..)
            | What::NodeDeleted(_)
            | What::Reboots(..)
            | What::Ready(..)
            | What::Taint(..)
            | What::Pool(..)
            | What::Excluded(..)
            | What::Elastic(_)
            | What::Stranger(_) => self.node(what)?,
            What::ForeignGroup(_)
            | What::ForeignRule(..)
            | What::RuleByHand(..)
            | What::DetachByHand(_)
            | What::GroupByHand(_) => self.firewall(what)?,
        }
        Ok(())
    }

    fn create(&self, service: u8, wish: &Wish) {
        let (namespace, name) = place(service);
        let annotations: Vec<(&str, &str)> =
            wish.annotations.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let made = self.world.add_service_in(namespace, &name, wish.local.is_some(), &wish.ports, &annotations);
        if let (Ok(()), Some(places)) = (made, wish.local) {
            self.endpoints(service, places);
        }
    }

    fn delete(&self, service: u8) {
        let (namespace, name) = place(service);
        let _ = self.world.kube.by(Actor::Person).delete(Resource::Services, namespace, &name);
        for half in 0..2 {
            let nature = self.world.kube.by(Actor::Nature);
            let _ = nature.delete(Resource::EndpointSlices, namespace, &format!("{name}-{half}"));
        }
    }

    fn endpoints(&self, service: u8, places: u8) {
        let (namespace, name) = place(service);
        let nodes = self.world.node_names().into_iter().enumerate();
        let ready = nodes.filter(|(at, _)| places >> (at % 8) & 1 == 1).map(|(_, node)| node).collect();
        if self.world.kube.look(|look| look.service(namespace, &name).is_some()) {
            let _ = self.world.show_endpoints(namespace, &name, &ready);
        }
    }

    fn stored(&self, what: Stored) -> Option<Place> {
        Some(match what {
            Stored::Service(service) => {
                let (namespace, name) = place(service);
                (Resource::Services, namespace, name)
            }
            Stored::Slice(service, half) => {
                let (namespace, name) = place(service);
                (Resource::EndpointSlices, namespace, format!("{name}-{half}"))
            }
            Stored::Node(at) => (Resource::Nodes, "", self.at(at)?.0),
        })
    }

    fn garbled(&self, (resource, namespace, name): &Place, garbled: bool) {
        let change = json!({"metadata": {"annotations": {UNDECODABLE: garbled.then_some("true")}}});
        let _ = self.world.kube.by(Actor::Nature).patch(*resource, namespace, name, &change);
    }

    fn lease(&self, kind: u8) {
        let person = self.world.kube.by(Actor::Person);
        let (namespace, name) = LEASE;
        let _ = match kind {
            0 => person.delete(Resource::Leases, namespace, name),
            1 => person.patch(Resource::Leases, namespace, name, &json!({"spec": {"holderIdentity": null}})),
            _ => {
                let nonsense =
                    json!({"spec": {"holderIdentity": "somebody", "renewTime": null, "leaseTransitions": i32::MAX}});
                person.patch(Resource::Leases, namespace, name, &nonsense)
            }
        };
    }

    fn annotate(&self, service: u8, name: &str, value: Option<&str>) {
        let (namespace, service) = place(service);
        let _ = self.world.kube.by(Actor::Person).annotate(namespace, &service, &[(&annotation(name), value)]);
    }

    fn happens_to_leader(&mut self, what: &What) {
        let now = self.world.stage.clock.now();
        let Some(number) = self.world.leader() else { return };
        let Some(replica) = self.world.replica(number).filter(|replica| !replica.has_ended()) else { return };
        match what {
            What::Kill => replica.kill(),
            What::Terminate => replica.terminate(),
            What::Freeze(time) => {
                replica.freeze();
                self.later.push((now + *time, Later::Thaws { replica: number }));
            }
            What::CutOff(lasts) => self.sky.comes(Weather {
                kinds: Kinds { refusals: false, losses: true, lies: false, late: false },
                seam: Some(Seam::Kube),
                only: Some(number),
                lease: true,
                percent: 100,
                lasts: *lasts,
            }),
            What::DiesAtWrite(writes, after) => self.sky.dies_at_write(number, *writes, *after),
            _ => {}
        }
    }

    fn names(&self, what: &What) {
        let aws = &self.world.aws;
        let zone = self.world.zone.as_str();
        let _ = match what {
            What::RecordByHand(name) => aws.delete_record(Actor::Person, zone, name, "A"),
            What::TwinByHand(name) => aws.delete_record(Actor::Person, zone, &format!("a-{name}"), "TXT"),
            What::ForeignRecord(name, kind) => self.foreign_record(name, *kind),
            What::OthersName(name) => {
                let twin = "\"heritage=external-dns,external-dns/owner=another,external-dns/resource=service/a/b\"";
                aws.put_record(Actor::Controller, zone, &format!("a-{name}"), "TXT", OTHERS_TTL, &[twin])
                    .and_then(|()| aws.put_record(Actor::Controller, zone, name, "A", OTHERS_TTL, &["192.0.2.8"]))
            }
            _ => Ok(()),
        };
    }

    fn foreign_record(&self, name: &str, kind: Foreign) -> Result<()> {
        let (aws, zone) = (&self.world.aws, self.world.zone.as_str());
        match kind {
            Foreign::Address => aws.put_record(Actor::Person, zone, name, "A", OTHERS_TTL, &["192.0.2.7"]),
            Foreign::Cname => {
                // Nothing else may be under the name of one.
                let _ = aws.delete_record(Actor::Person, zone, name, "A");
                aws.put_record(Actor::Person, zone, name, "CNAME", OTHERS_TTL, &["lb.example.org"])
            }
            Foreign::Alias => {
                let target =
                    [("HostedZoneId", "Z1"), ("DNSName", "lb.example.org."), ("EvaluateTargetHealth", "false")];
                let other = target.map(|(name, value)| (format!("AliasTarget/{name}"), value.to_owned())).into();
                let record = RecordSet { ttl: None, values: Vec::new(), other, creator: Creator::Person };
                aws.put_record_set(Actor::Person, zone, name, "A", None, record)
            }
        }
    }

    fn zone_below(&self, there: bool) -> Result<()> {
        let name = format!("{BELOW}.");
        let known = self.world.aws.look(|state| {
            state.zones.values().find(|zone| zone.name == name || zone.name == BELOW).map(|zone| zone.id.clone())
        });
        match (known, there) {
            (None, true) => self.world.aws.create_zone(Actor::Person, BELOW, false).map(|_| ()),
            (Some(id), false) => self.world.aws.delete_zone(Actor::Person, &id),
            _ => Ok(()),
        }
    }

    /// The node at a place among those that there are: its name, and its instance.
    fn at(&self, place: u8) -> Option<(String, String)> {
        let names = self.world.node_names();
        let name = names.get(usize::from(place) % names.len().max(1))?.clone();
        let instance = self.world.instance(&name)?;
        Some((name, instance))
    }

    fn node(&mut self, what: &What) -> Result<()> {
        let now = self.world.stage.clock.now();
        let (What::NodeEnds(place, _)
        | What::NodeDeleted(place)
        | What::Reboots(place, _)
        | What::Ready(place, _)
        | What::Taint(place, _)
        | What::Pool(place, _)
        | What::Excluded(place, _)
        | What::Elastic(place)
        | What::Stranger(place)) = what
        else {
            return Ok(());
        };
        let Some((node, instance)) = self.at(*place) else { return Ok(()) };
        let nature = self.world.kube.by(Actor::Nature);
        match what {
            What::NodeEnds(_, after) => {
                if self.world.aws.terminate_instance(Actor::Nature, &instance).is_ok() {
                    let _ = nature.set_ready(&node, false);
                }
                self.later.push((now + *after, Later::Goes { node }));
            }
            What::NodeDeleted(_) => {
                let _ = nature.delete(Resource::Nodes, "", &node);
            }
            What::Reboots(_, down) if self.world.aws.stop_instance(Actor::Nature, &instance).is_ok() => {
                let _ = nature.set_ready(&node, false);
                self.later.push((now + *down, Later::Starts { node, instance }));
            }
            What::Ready(_, ready) => {
                let _ = nature.set_ready(&node, *ready);
            }
            What::Taint(_, there) => {
                let taints = match there {
                    true => json!([{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]),
                    false => json!(null),
                };
                let _ = nature.patch(Resource::Nodes, "", &node, &json!({"spec": {"taints": taints}}));
            }
            What::Pool(_, pool) => {
                let _ = nature.patch(Resource::Nodes, "", &node, &json!({"metadata": {"labels": {"pool": pool}}}));
            }
            What::Excluded(_, there) => {
                let labels = json!({(EXCLUDED): there.then_some("")});
                let _ = nature.patch(Resource::Nodes, "", &node, &json!({"metadata": {"labels": labels}}));
            }
            What::Elastic(_) => {
                let running = self.world.aws.look(|state| {
                    state.instances.get(&instance).is_some_and(|instance| instance.power == Power::Running)
                });
                if running {
                    let address = self.elastic().unwrap_or_else(|| self.world.aws.allocate_address(Actor::Person));
                    self.world.aws.associate_address(Actor::Person, address, &instance)?;
                    let _ = self.world.show_addresses(&node);
                }
            }
            What::Stranger(_) => {
                if let Some(address) = self.elastic() {
                    let new = crate::sim::aws::NewInstance::in_vpc(&self.world.vpc);
                    let stranger = self.world.aws.run_instance(Actor::Person, new)?;
                    self.world.aws.associate_address(Actor::Person, address, &stranger)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn elastic(&self) -> Option<std::net::Ipv4Addr> {
        self.world.aws.look(|state| state.elastic.values().next().map(|elastic| elastic.address))
    }

    fn firewall(&self, what: &What) -> Result<()> {
        let (What::ForeignGroup(place)
        | What::ForeignRule(place, _)
        | What::RuleByHand(place, _)
        | What::DetachByHand(place)
        | What::GroupByHand(place)) = what
        else {
            return Ok(());
        };
        let Some((_, instance)) = self.at(*place) else { return Ok(()) };
        let aws = &self.world.aws;
        let our = aws.look(|state| {
            let interface = state.primary(&instance)?;
            interface
                .groups
                .keys()
                .filter_map(|id| state.groups.get(id))
                .find(|group| group.creator == Creator::Us)
                .cloned()
        });
        if let What::ForeignGroup(_) = what {
            let name = format!("other-{instance}");
            let known =
                aws.look(|state| state.groups.values().find(|group| group.name == name).map(|group| group.id.clone()));
            let id = match known {
                Some(id) => id,
                None => aws.create_group(Actor::Controller, &self.world.vpc, &name, &[])?,
            };
            // An instance that has ended has no interface.
            let _ = aws.attach_group(Actor::Controller, &instance, &id);
        }
        let Some(our) = our else { return Ok(()) };
        // What is refused as things are isn't done: an interface keeps its last group.
        let _ = match what {
            What::ForeignRule(_, port) => {
                // Among others one of a kind that we never make.
                let source = match port {
                    0 => Source::Group(our.id.clone()),
                    _ => Source::V4("192.0.2.0/24".to_owned()),
                };
                let port = i32::from(*port);
                let rule = RuleKey { protocol: "tcp".to_owned(), from: port, to: port, source };
                aws.add_rule(Actor::Person, &our.id, rule, "by hand")
            }
            What::RuleByHand(_, number) => {
                let at = usize::from(*number) % our.rules.len().max(1);
                match our.rules.keys().nth(at) {
                    Some(rule) => aws.remove_rule(Actor::Person, &our.id, rule),
                    None => Ok(()),
                }
            }
            What::DetachByHand(_) => aws.detach_group(Actor::Person, &instance, &our.id),
            What::GroupByHand(_) => aws.delete_group(Actor::Person, &our.id),
            _ => Ok(()),
        };
        Ok(())
    }
}

/// Namespace and name of a Service by its number: one in three is in another namespace.
fn place(service: u8) -> (&'static str, String) {
    (if service % 3 == 2 { "others" } else { NAMESPACE }, format!("s{service}"))
}

fn annotation(name: &str) -> String {
    format!("{}{name}", crate::sim::check::wish::PREFIX)
}
