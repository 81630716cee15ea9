//! Instances and addresses.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::error::{Context as _, Result, fail};
use crate::sim::event::{Actor, Creator};

use super::super::Aws;
use super::super::ec2;
use super::super::state::{Elastic, Group, Instance, Interface, Power, RuleKey, Source, Vpc};
use super::super::world::World;

/// An instance to run.
#[derive(Clone, Debug)]
pub struct NewInstance {
    /// Its VPC.
    pub vpc: String,
    /// Its availability zone.
    pub zone: String,
    /// How many interfaces it has, at least one.
    pub interfaces: usize,
    /// Its primary private address; `None`: one that is free.
    pub private_ip: Option<Ipv4Addr>,
    /// Whether AWS gives it a public address at each start.
    pub public: bool,
    /// Its IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
    /// Its groups; empty: the VPC's group `default`.
    pub groups: Vec<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

impl NewInstance {
    /// One with a single interface and a public address, in zone `eu-west-1a`.
    pub fn in_vpc(vpc: &str) -> NewInstance {
        NewInstance {
            vpc: vpc.to_owned(),
            zone: "eu-west-1a".to_owned(),
            interfaces: 1,
            private_ip: None,
            public: true,
            ipv6: None,
            groups: Vec::new(),
            tags: BTreeMap::new(),
        }
    }
}

fn instance<'a>(world: &'a World, id: &str) -> Result<&'a Instance> {
    world.state.instances.get(id).map(|instance| &**instance).context(format!("there is no instance {id}"))
}

fn primary(world: &World, id: &str) -> Result<String> {
    let interface = world.state.primary(id).context(format!("the instance {id} has no interface"))?;
    Ok(interface.id.clone())
}

impl Aws {
    /// Makes a VPC with its group `default`, and returns its id. One that is the region's default VPC takes the
    /// revoke of a rule that isn't there without an error.
    pub fn create_vpc(&self, actor: Actor, default: bool) -> String {
        let made = self.act(actor, |world, now| {
            let (id, default_group) = (world.id("vpc"), world.id("sg"));
            let rule =
                RuleKey { protocol: "-1".to_owned(), from: -1, to: -1, source: Source::Group(default_group.clone()) };
            let group = Group {
                id: default_group.clone(),
                name: "default".to_owned(),
                description: "default VPC security group".to_owned(),
                vpc: id.clone(),
                tags: BTreeMap::new(),
                rules: BTreeMap::from([(rule, ec2::rule(world, Creator::Person, now, ""))]),
                creator: Creator::Person,
                created_at: now,
                detached_at: None,
            };
            world.state.groups.put(default_group.clone(), group);
            world.state.vpcs.put(id.clone(), Vpc { id: id.clone(), default, default_group });
            world.changed(now, format!("{id} is made"));
            Ok(id)
        });
        made.unwrap_or_default()
    }

    /// Runs an instance, and returns its id.
    ///
    /// # Errors
    /// When the VPC or a group isn't there, or the address is taken.
    pub fn run_instance(&self, actor: Actor, new: NewInstance) -> Result<String> {
        self.act(actor, |world, now| {
            let vpc = world.state.vpcs.get(&new.vpc).context(format!("there is no VPC {}", new.vpc))?;
            let groups = if new.groups.is_empty() { vec![vpc.default_group.clone()] } else { new.groups.clone() };
            if let Some(missing) = groups.iter().find(|id| !world.state.groups.contains_key(*id)) {
                return fail(format!("there is no group {missing}"));
            }
            let taken = |ip| world.state.interfaces.values().any(|interface| interface.private_ip == ip);
            if let Some(ip) = new.private_ip.filter(|ip| taken(*ip)) {
                return fail(format!("{ip} is taken"));
            }
            let id = world.id("i");
            let subnet = format!("subnet-{}", new.zone);
            let mut interfaces = Vec::new();
            for index in 0..new.interfaces.max(1) {
                let eni = world.id("eni");
                let is_primary = index == 0;
                let interface = Interface {
                    id: eni.clone(),
                    instance: Some(id.clone()),
                    device_index: u32::try_from(index).unwrap_or(u32::MAX),
                    vpc: new.vpc.clone(),
                    subnet: subnet.clone(),
                    private_ip: new.private_ip.filter(|_| is_primary).unwrap_or_else(|| free_private(world)),
                    public_ip: (is_primary && new.public).then(|| world.public_address()),
                    ipv6: new.ipv6.filter(|_| is_primary),
                    groups: groups.iter().map(|group| (group.clone(), actor.creator())).collect(),
                };
                world.state.interfaces.put(eni.clone(), interface);
                interfaces.push(eni);
            }
            let instance = Instance {
                id: id.clone(),
                power: Power::Running,
                zone: new.zone.clone(),
                vpc: new.vpc.clone(),
                subnet,
                interfaces,
                tags: new.tags.clone(),
                gets_public_ip: new.public,
                launched_at: now,
            };
            world.state.instances.put(id.clone(), instance);
            world.changed(now, format!("{id} runs"));
            Ok(id)
        })
    }

    /// Adds an interface to an instance: it has several from now on. Returns the interface's id.
    ///
    /// # Errors
    /// When there is no such instance.
    pub fn add_interface(&self, actor: Actor, id: &str) -> Result<String> {
        self.act(actor, |world, now| {
            let primary = primary(world, id)?;
            let like = world.state.interfaces.get(&primary).context("no primary interface")?.clone();
            let (eni, private_ip) = (world.id("eni"), free_private(world));
            let device_index = u32::try_from(instance(world, id)?.interfaces.len()).unwrap_or(u32::MAX);
            let interface =
                Interface { id: eni.clone(), device_index, private_ip, public_ip: None, ipv6: None, ..(*like).clone() };
            world.state.interfaces.put(eni.clone(), interface);
            if let Some(instance) = world.state.instances.edit(id) {
                instance.interfaces.push(eni.clone());
            }
            world.changed(now, format!("{id} gets the interface {eni}"));
            Ok(eni)
        })
    }

    /// Stops an instance: its public address is no longer its own, unless it is an elastic one.
    ///
    /// # Errors
    /// When there is no such instance.
    pub fn stop_instance(&self, actor: Actor, id: &str) -> Result<()> {
        self.act(actor, |world, now| {
            let primary = primary(world, id)?;
            let elastic = world.state.elastic.values().any(|elastic| elastic.interface.as_ref() == Some(&primary));
            if let Some(interface) = world.state.interfaces.edit(&primary).filter(|_| !elastic) {
                interface.public_ip = None;
            }
            power(world, id, Power::Stopped)?;
            world.changed(now, format!("{id} has stopped"));
            Ok(())
        })
    }

    /// Starts a stopped instance: it gets another public address, unless it has an elastic one.
    ///
    /// # Errors
    /// When there is no such instance.
    pub fn start_instance(&self, actor: Actor, id: &str) -> Result<()> {
        self.act(actor, |world, now| {
            let primary = primary(world, id)?;
            let gets = instance(world, id)?.gets_public_ip;
            let address = world.public_address();
            if let Some(interface) = world.state.interfaces.edit(&primary)
                && interface.public_ip.is_none()
                && gets
            {
                interface.public_ip = Some(address);
            }
            if let Some(instance) = world.state.instances.edit(id) {
                instance.launched_at = now;
            }
            power(world, id, Power::Running)?;
            world.changed(now, format!("{id} runs again"));
            Ok(())
        })
    }

    /// An instance is seen in some state, and nothing else changes.
    ///
    /// # Errors
    /// When there is no such instance.
    pub fn set_power(&self, actor: Actor, id: &str, to: Power) -> Result<()> {
        self.act(actor, |world, now| {
            power(world, id, to)?;
            world.changed(now, format!("{id} is {}", to.wire().1));
            Ok(())
        })
    }

    /// Terminates an instance: its interfaces are gone, it is still shown for a while.
    ///
    /// # Errors
    /// When there is no such instance.
    pub fn terminate_instance(&self, actor: Actor, id: &str) -> Result<()> {
        self.act(actor, |world, now| {
            for eni in instance(world, id)?.interfaces.clone() {
                drop_interface(world, &eni, now);
            }
            if let Some(instance) = world.state.instances.edit(id) {
                instance.interfaces.clear();
            }
            power(world, id, Power::Terminated)?;
            world.changed(now, format!("{id} is terminated"));
            Ok(())
        })
    }

    /// A terminated instance isn't shown any more.
    ///
    /// # Errors
    /// When there is no such instance.
    pub fn forget_instance(&self, id: &str) -> Result<()> {
        self.act(Actor::Nature, |world, now| {
            world.state.instances.take(id).context(format!("there is no instance {id}"))?;
            world.changed(now, format!("{id} isn't shown any more"));
            Ok(())
        })
    }

    /// Allocates an elastic address.
    pub fn allocate_address(&self, actor: Actor) -> Ipv4Addr {
        let made = self.act(actor, |world, now| {
            let address = world.public_address();
            world.state.elastic.put(address.to_string(), Elastic { address, interface: None });
            world.changed(now, format!("the elastic address {address} is allocated"));
            Ok(address)
        });
        made.unwrap_or(Ipv4Addr::UNSPECIFIED)
    }

    /// Gives an elastic address to an instance's primary interface, and takes it from where it was.
    ///
    /// # Errors
    /// When there is no such address or instance.
    pub fn associate_address(&self, actor: Actor, address: Ipv4Addr, id: &str) -> Result<()> {
        self.act(actor, |world, now| {
            let primary = primary(world, id)?;
            release(world, address)?;
            for other in others_at(world, &primary) {
                release(world, other)?;
            }
            if let Some(elastic) = world.state.elastic.edit(&address.to_string()) {
                elastic.interface = Some(primary.clone());
            }
            if let Some(interface) = world.state.interfaces.edit(&primary) {
                interface.public_ip = Some(address);
            }
            world.changed(now, format!("{address} is now of {id}"));
            Ok(())
        })
    }

    /// Takes an elastic address from whoever has it. A running instance that AWS gives addresses gets another one.
    ///
    /// # Errors
    /// When there is no such address.
    pub fn disassociate_address(&self, actor: Actor, address: Ipv4Addr) -> Result<()> {
        self.act(actor, |world, now| {
            release(world, address)?;
            world.changed(now, format!("{address} is of nobody"));
            Ok(())
        })
    }
}

fn power(world: &mut World, id: &str, to: Power) -> Result<()> {
    world.state.instances.edit(id).context(format!("there is no instance {id}"))?.power = to;
    Ok(())
}

fn others_at(world: &World, interface: &str) -> Vec<Ipv4Addr> {
    let there = world.state.elastic.values().filter(|elastic| elastic.interface.as_deref() == Some(interface));
    there.map(|elastic| elastic.address).collect()
}

fn release(world: &mut World, address: Ipv4Addr) -> Result<()> {
    let elastic =
        world.state.elastic.edit(&address.to_string()).context(format!("there is no elastic address {address}"))?;
    let Some(eni) = elastic.interface.take() else { return Ok(()) };
    let of = world.state.interfaces.get(&eni).and_then(|interface| interface.instance.clone());
    let running = of.and_then(|id| world.state.instances.get(&id).cloned());
    let gets = running.is_some_and(|instance| instance.gets_public_ip && instance.power == Power::Running);
    let another = world.public_address();
    if let Some(interface) = world.state.interfaces.edit(&eni) {
        interface.public_ip = gets.then_some(another);
    }
    Ok(())
}

/// An interface is deleted with its instance.
fn drop_interface(world: &mut World, eni: &str, now: Duration) {
    for address in others_at(world, eni) {
        if let Some(elastic) = world.state.elastic.edit(&address.to_string()) {
            elastic.interface = None;
        }
    }
    ec2::attach(world, eni, &[], Creator::Person, now);
    world.state.interfaces.take(eni);
}

/// 10.0.0.0/8, in the order of making.
fn free_private(world: &mut World) -> Ipv4Addr {
    loop {
        let number = world.number();
        let ip = Ipv4Addr::from(0x0a00_0100 + u32::try_from(number % 0xf0_0000).unwrap_or(0));
        if !world.state.interfaces.values().any(|interface| interface.private_ip == ip) {
            return ip;
        }
    }
}
