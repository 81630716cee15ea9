//! EC2: the operations that the daemon uses, as strict as the API reference has them.

mod describe;
mod filters;
mod groups;
mod instances;
mod pages;
mod rules;
mod tags;

use std::time::Duration;

use crate::sim::event::Creator;

use super::answer::{Refusal, Result, refuse};
use super::form::Form;
use super::policy::Facts;
use super::state::{Group, Rule};
use super::world::{Caller, World};

pub(super) use groups::{attach, make as make_group, take as take_group};
pub(super) use rules::{counted, remove as remove_rules, shown};

/// The content of the answer.
pub(super) fn answer(world: &mut World, caller: &Caller, operation: &str, form: &Form) -> Result<String> {
    if form.get("Version") != Some("2016-11-15") {
        return refuse("InvalidAction", "The action is not valid for this endpoint and API version.");
    }
    match operation {
        "DescribeInstances" => describe::instances(world, caller, form),
        "DescribeSecurityGroups" => describe::groups(world, caller, form),
        "DescribeInstanceAttribute" => instances::attribute(world, caller, form),
        "CreateSecurityGroup" => groups::create(world, caller, form),
        "DeleteSecurityGroup" => groups::delete(world, caller, form),
        "CreateTags" => tags::create(world, caller, form),
        "AuthorizeSecurityGroupIngress" => rules::authorize(world, caller, form),
        "RevokeSecurityGroupIngress" => rules::revoke(world, caller, form),
        "ModifyInstanceAttribute" => instances::modify(world, caller, form),
        "ModifyNetworkInterfaceAttribute" => instances::modify_interface(world, caller, form),
        other => refuse("InvalidAction", format!("The action {other} is not valid for this web service.")),
    }
}

/// The last thing before the effect.
fn dry_run(form: &Form) -> Result<()> {
    if form.is_true("DryRun") {
        let message = "Request would have succeeded, but DryRun flag is set.";
        return Err(Refusal::new(412, "DryRunOperation", message));
    }
    Ok(())
}

/// An id: its prefix, and 8 or 17 hexadecimal digits.
fn is_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-')).is_some_and(|digits| {
        matches!(digits.len(), 8 | 17)
            && digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    })
}

/// The group as a write finds it: one that was made a moment ago may not be known everywhere.
fn group<'a>(world: &'a World, caller: &Caller, id: &str) -> Result<&'a Group> {
    if !is_id(id, "sg") {
        return refuse("InvalidGroupId.Malformed", format!("Invalid id: \"{id}\" (expecting \"sg-...\")"));
    }
    match world.state.groups.get(id) {
        Some(group) if group.created_at <= caller.shown => Ok(group),
        _ => refuse("InvalidGroup.NotFound", format!("The security group '{id}' does not exist")),
    }
}

/// What IAM knows of a group that is written to.
fn group_facts(group: &Group) -> Facts {
    let mut facts = Facts::new();
    for (key, value) in &group.tags {
        facts.insert(format!("aws:ResourceTag/{key}"), vec![value.clone()]);
        facts.insert(format!("ec2:ResourceTag/{key}"), vec![value.clone()]);
    }
    facts
}

/// The characters of names and descriptions: `a-z, A-Z, 0-9, spaces, and ._-:/()#,@[]+=&;{}!$*`.
fn is_plain(text: &str) -> bool {
    text.chars().count() <= 255
        && text.chars().all(|c| c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c))
}

/// A rule that is made now.
pub(super) fn rule(world: &mut World, creator: Creator, now: Duration, description: &str) -> Rule {
    Rule { id: world.id("sgr"), description: description.to_owned(), creator, created_at: now }
}

/// The rules that a request names, for people: as many as can be read.
pub(super) fn rules_of(form: &Form) -> Vec<String> {
    rules::permissions(form).into_iter().flatten().map(|(key, _)| shown(&key)).collect()
}
