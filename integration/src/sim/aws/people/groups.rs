//! Security groups and their rules.

use std::collections::BTreeMap;

use crate::error::{Context as _, Result, fail};
use crate::sim::event::Actor;

use super::super::Aws;
use super::super::ec2;
use super::super::state::{Group, RuleKey};
use super::super::world::World;

fn group(world: &World, id: &str) -> Result<Group> {
    Ok((**world.state.groups.get(id).context(format!("there is no group {id}"))?).clone())
}

/// The interface that is meant: itself, or an instance's primary one.
fn interface(world: &World, of: &str) -> Result<String> {
    if world.state.interfaces.contains_key(of) {
        return Ok(of.to_owned());
    }
    Ok(world.state.primary(of).context(format!("there is no interface {of}"))?.id.clone())
}

impl Aws {
    /// Makes a group, and returns its id.
    ///
    /// # Errors
    /// When there is no such VPC, or a group of that name.
    pub fn create_group(&self, actor: Actor, vpc: &str, name: &str, tags: &[(&str, &str)]) -> Result<String> {
        self.act(actor, |world, now| {
            if !world.state.vpcs.contains_key(vpc) {
                return fail(format!("there is no VPC {vpc}"));
            }
            if world.state.groups.values().any(|group| group.vpc == vpc && group.name == name) {
                return fail(format!("there is a group {name} already"));
            }
            let group = Group {
                id: String::new(),
                name: name.to_owned(),
                description: "made by hand".to_owned(),
                vpc: vpc.to_owned(),
                tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
                rules: BTreeMap::new(),
                creator: actor.creator(),
                created_at: now,
                detached_at: None,
            };
            Ok(ec2::make_group(world, now, group))
        })
    }

    /// Deletes a group: it is taken off every interface first, as somebody does who wants it gone.
    ///
    /// # Errors
    /// When there is no such group, or it is an interface's only one.
    pub fn delete_group(&self, actor: Actor, id: &str) -> Result<()> {
        self.act(actor, |world, now| {
            let group = group(world, id)?;
            let on: Vec<_> = world.state.interfaces.values().filter(|i| i.groups.contains_key(id)).cloned().collect();
            if let Some(only) = on.iter().find(|interface| interface.groups.len() == 1) {
                return fail(format!("{id} is the only group of {}", only.id));
            }
            for interface in on {
                let left: Vec<String> = interface.groups.keys().filter(|other| *other != id).cloned().collect();
                ec2::attach(world, &interface.id, &left, actor.creator(), now);
            }
            ec2::take_group(world, &group);
            world.changed(now, format!("{id} ({}) is deleted", group.name));
            Ok(())
        })
    }

    /// Puts a group on an interface, or on an instance's primary one.
    ///
    /// # Errors
    /// When one of them isn't there.
    pub fn attach_group(&self, actor: Actor, of: &str, id: &str) -> Result<()> {
        self.act(actor, |world, now| {
            let eni = interface(world, of)?;
            let name = group(world, id)?.name;
            let there = world.state.interfaces.get(&eni).into_iter().flat_map(|interface| interface.groups.keys());
            let all: Vec<String> = there.cloned().chain([id.to_owned()]).collect();
            ec2::attach(world, &eni, &all, actor.creator(), now);
            world.changed(now, format!("{eni} of {of}: + {id} ({name})"));
            Ok(())
        })
    }

    /// Takes a group off an interface, or off an instance's primary one.
    ///
    /// # Errors
    /// When there is no such interface, or the group isn't on it or its only one.
    pub fn detach_group(&self, actor: Actor, of: &str, id: &str) -> Result<()> {
        self.act(actor, |world, now| {
            let eni = interface(world, of)?;
            let there = world.state.interfaces.get(&eni).map(|interface| interface.groups.clone()).unwrap_or_default();
            if !there.contains_key(id) || there.len() == 1 {
                return fail(format!("{id} isn't on {eni}, or nothing else is"));
            }
            let left: Vec<String> = there.keys().filter(|other| *other != id).cloned().collect();
            ec2::attach(world, &eni, &left, actor.creator(), now);
            world.changed(now, format!("{eni} of {of}: - {id}"));
            Ok(())
        })
    }

    /// Adds a rule to a group.
    ///
    /// # Errors
    /// When there is no such group, or the rule is there.
    pub fn add_rule(&self, actor: Actor, id: &str, key: RuleKey, description: &str) -> Result<()> {
        self.act(actor, |world, now| {
            let group = group(world, id)?;
            if group.rules.contains_key(&key) {
                return fail(format!("{id} has the rule {} already", ec2::shown(&key)));
            }
            let rule = ec2::rule(world, actor.creator(), now, description);
            world.made(actor.creator(), ec2::counted(&group.name, &key));
            let what = format!("{id} ({}): opens {}", group.name, ec2::shown(&key));
            if let Some(group) = world.state.groups.edit(id) {
                group.rules.insert(key, rule);
            }
            world.changed(now, what);
            Ok(())
        })
    }

    /// Removes a rule from a group.
    ///
    /// # Errors
    /// When there is no such group or rule.
    pub fn remove_rule(&self, actor: Actor, id: &str, key: &RuleKey) -> Result<()> {
        self.act(actor, |world, now| {
            let group = group(world, id)?;
            if !group.rules.contains_key(key) {
                return fail(format!("{id} has no rule {}", ec2::shown(key)));
            }
            ec2::remove_rules(world, &group, std::slice::from_ref(key));
            world.changed(now, format!("{id} ({}): closes {}", group.name, ec2::shown(key)));
            Ok(())
        })
    }

    /// Sets a tag of a group, or takes it off.
    ///
    /// # Errors
    /// When there is no such group.
    pub fn tag_group(&self, actor: Actor, id: &str, key: &str, value: Option<&str>) -> Result<()> {
        self.act(actor, |world, now| {
            let group = world.state.groups.edit(id).context(format!("there is no group {id}"))?;
            match value {
                Some(value) => group.tags.insert(key.to_owned(), value.to_owned()),
                None => group.tags.remove(key),
            };
            world.changed(now, format!("{id}: tag {key} = {value:?}"));
            Ok(())
        })
    }
}
