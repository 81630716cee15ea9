//! CreateSecurityGroup and DeleteSecurityGroup.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::sim::event::Creator;

use super::super::answer::{Refusal, Result, Xml, refuse};
use super::super::form::Form;
use super::super::state::{Group, Source, State};
use super::super::world::{Caller, World};
use super::{dry_run, is_id, is_plain, tags};

pub(super) fn create(world: &mut World, caller: &Caller, form: &Form) -> Result<String> {
    let name = form.need("GroupName")?.to_owned();
    let description = form.need("GroupDescription")?.to_owned();
    if !is_plain(&name) || name.starts_with("sg-") {
        return refuse(
            "InvalidParameterValue",
            format!(
                "Value ({name}) for parameter GroupName is invalid. Character sets beyond ASCII are not supported, nor \
                 names that start with sg-."
            ),
        );
    }
    if !is_plain(&description) {
        return refuse(
            "InvalidParameterValue",
            format!(
                "Value ({description}) for parameter GroupDescription is invalid. Invalid security group description."
            ),
        );
    }
    if name == "default" {
        return refuse("InvalidGroup.Reserved", "The security group name 'default' is reserved");
    }
    let default = world.state.vpcs.values().find(|vpc| vpc.default).map(|vpc| vpc.id.clone());
    let Some(vpc) = form.get("VpcId").map(str::to_owned).or(default) else {
        return refuse("VPCIdNotSpecified", "No default VPC for this user");
    };
    if !world.state.vpcs.contains_key(&vpc) {
        return refuse("InvalidVpcID.NotFound", format!("The vpc ID '{vpc}' does not exist"));
    }
    let tags = tags::of_create(form, "security-group")?;
    let mut facts = tags::facts(&tags);
    caller.may("ec2:CreateSecurityGroup", &world.arn(&format!("vpc/{vpc}")), &BTreeMap::new())?;
    let resource = world.arn("security-group/*");
    caller.may("ec2:CreateSecurityGroup", &resource, &facts)?;
    if !tags.is_empty() {
        facts.insert("ec2:CreateAction".to_owned(), vec!["CreateSecurityGroup".to_owned()]);
        caller.may("ec2:CreateTags", &resource, &facts)?;
    }
    dry_run(form)?;
    if find(&world.state, &name, &vpc).is_some() {
        return refuse("InvalidGroup.Duplicate", format!("The security group '{name}' already exists for VPC '{vpc}'"));
    }
    if world.state.groups.len() >= world.options.limits.groups {
        return refuse(
            "SecurityGroupLimitExceeded",
            "You have exceeded the number of security groups allowed to this account.",
        );
    }
    let group = Group {
        id: String::new(),
        name,
        description,
        vpc,
        tags: tags.clone(),
        rules: BTreeMap::new(),
        creator: caller.creator(),
        created_at: caller.now,
        detached_at: None,
    };
    let id = make(world, caller.now, group);
    let mut xml = Xml::default();
    xml.put("groupId", &id);
    tags::write(&mut xml, &tags);
    xml.put("securityGroupArn", world.arn(&format!("security-group/{id}")));
    xml.put("return", "true");
    Ok(xml.0)
}

pub(super) fn find<'a>(state: &'a State, name: &str, vpc: &str) -> Option<&'a Group> {
    state.groups.values().find(|group| group.name == name && group.vpc == vpc).map(|group| &**group)
}

/// Puts it among the groups and gives it an id.
pub(in crate::sim::aws) fn make(world: &mut World, now: Duration, group: Group) -> String {
    let id = world.id("sg");
    let what = format!("{id} ({}) is made", group.name);
    world.made(group.creator, format!("group {}", group.name));
    world.state.groups.put(id.clone(), Group { id: id.clone(), ..group });
    world.changed(now, what);
    id
}

pub(super) fn delete(world: &mut World, caller: &Caller, form: &Form) -> Result<String> {
    let id = match (form.get("GroupId"), form.get("GroupName")) {
        (Some(id), _) => id.to_owned(),
        // By name it works in the default VPC only.
        (None, Some(name)) => {
            let vpc = world.state.vpcs.values().find(|vpc| vpc.default);
            match vpc.and_then(|vpc| find(&world.state, name, &vpc.id)) {
                Some(group) => group.id.clone(),
                None => return refuse("InvalidGroup.NotFound", format!("The security group '{name}' does not exist")),
            }
        }
        (None, None) => return refuse("MissingParameter", "The request must contain the parameter GroupId"),
    };
    let group = super::group(world, caller, &id)?;
    caller.may("ec2:DeleteSecurityGroup", &world.arn(&format!("security-group/{id}")), &super::group_facts(group))?;
    dry_run(form)?;
    if group.name == "default" {
        return refuse(
            "CannotDelete",
            format!("the specified group: \"{id}\" name: \"default\" cannot be deleted by a user"),
        );
    }
    if let Some(refusal) = in_use(world, group, caller) {
        return Err(refusal);
    }
    let group = group.clone();
    take(world, &group);
    world.changed(caller.now, format!("{id} ({}) is deleted", group.name));
    Ok(format!("<return>true</return><groupId>{id}</groupId>"))
}

/// Takes a group away, with its rules.
pub(in crate::sim::aws) fn take(world: &mut World, group: &Group) {
    world.state.groups.take(&group.id);
    for (key, rule) in &group.rules {
        world.gone(rule.creator, super::rules::counted(&group.name, key));
    }
    world.gone(group.creator, format!("group {}", group.name));
}

fn in_use(world: &World, group: &Group, caller: &Caller) -> Option<Refusal> {
    let id = &group.id;
    let attached = world.state.interfaces.values().any(|interface| interface.groups.contains_key(id));
    let referenced = world
        .state
        .groups
        .values()
        .any(|other| other.id != *id && other.rules.keys().any(|rule| rule.source == Source::Group(id.clone())));
    let held = group.detached_at.is_some_and(|at| caller.now < at + world.options.release_time);
    (attached || referenced || held)
        .then(|| Refusal::new(400, "DependencyViolation", format!("resource {id} has a dependent object")))
}

/// What attaching and detaching is counted as.
pub(in crate::sim::aws) fn attachment(world: &World, interface: &str, group: &str) -> String {
    let of = world.state.interfaces.get(interface).and_then(|interface| interface.instance.clone());
    let name = world.state.groups.get(group).map(|group| group.name.clone());
    format!("attachment {} {}", of.unwrap_or_else(|| interface.to_owned()), name.unwrap_or_else(|| group.to_owned()))
}

/// Replaces the groups of an interface: those that stay keep who put them there.
pub(in crate::sim::aws) fn attach(
    world: &mut World,
    interface: &str,
    groups: &[String],
    creator: Creator,
    now: Duration,
) {
    let Some(before) = world.state.interfaces.get(interface).map(|interface| interface.groups.clone()) else { return };
    let after: BTreeMap<String, Creator> =
        groups.iter().map(|id| (id.clone(), before.get(id).copied().unwrap_or(creator))).collect();
    if after == before {
        return;
    }
    for (id, by) in before.iter().filter(|(id, _)| !after.contains_key(*id)) {
        let what = attachment(world, interface, id);
        world.gone(*by, what);
        if let Some(group) = world.state.groups.edit(id) {
            group.detached_at = Some(now);
        }
    }
    for id in after.keys().filter(|id| !before.contains_key(*id)) {
        let what = attachment(world, interface, id);
        world.made(creator, what);
    }
    if let Some(interface) = world.state.interfaces.edit(interface) {
        interface.groups = after;
    }
}

/// Whether each is a group's id and known, and all are in the VPC.
pub(super) fn check_all(world: &World, caller: &Caller, ids: &[String], vpc: &str) -> Result<()> {
    if ids.is_empty() {
        return refuse("MissingParameter", "The request must contain at least one security group");
    }
    for id in ids {
        if !is_id(id, "sg") {
            return refuse("InvalidGroupId.Malformed", format!("Invalid id: \"{id}\" (expecting \"sg-...\")"));
        }
        let group = super::group(world, caller, id)?;
        if group.vpc != vpc {
            return refuse(
                "InvalidParameterValue",
                "You have specified two resources that belong to different networks.",
            );
        }
    }
    let most = world.options.limits.groups_per_interface;
    if ids.len() > most {
        return if world.options.interface_limit_in_words {
            refuse(
                "InvalidParameterValue",
                format!("You have exceeded limit {most} on the number of interface security group memberships."),
            )
        } else {
            refuse(
                "SecurityGroupsPerInterfaceLimitExceeded",
                "The maximum number of security groups per interface has been reached.",
            )
        };
    }
    Ok(())
}
