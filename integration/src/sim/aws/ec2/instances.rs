//! The groups of instances and interfaces: DescribeInstanceAttribute, ModifyInstanceAttribute,
//! ModifyNetworkInterfaceAttribute.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::answer::{Refusal, Result, Xml, refuse};
use super::super::form::Form;
use super::super::policy::Facts;
use super::super::state::{Instance, Interface, Power, State};
use super::super::world::{Caller, World};
use super::{dry_run, groups, is_id};

fn instance(state: &State, id: &str) -> Result<Arc<Instance>> {
    if !is_id(id, "i") {
        return refuse("InvalidInstanceID.Malformed", format!("Invalid id: \"{id}\""));
    }
    match state.instances.get(id) {
        Some(instance) => Ok(Arc::clone(instance)),
        None => refuse("InvalidInstanceID.NotFound", format!("The instance ID '{id}' does not exist")),
    }
}

fn tag_facts(tags: &BTreeMap<String, String>) -> Facts {
    tags.iter().map(|(key, value)| (format!("aws:ResourceTag/{key}"), vec![value.clone()])).collect()
}

pub(super) fn attribute(world: &mut World, caller: &Caller, form: &Form) -> Result<String> {
    let id = form.need("InstanceId")?;
    let attribute = form.need("Attribute")?;
    let state = world.at(caller.shown);
    let instance = instance(&state, id)?;
    let resource = world.arn(&format!("instance/{id}"));
    caller.may("ec2:DescribeInstanceAttribute", &resource, &tag_facts(&instance.tags))?;
    dry_run(form)?;
    if attribute != "groupSet" {
        return refuse(
            "InvalidParameterValue",
            format!("Value ({attribute}) for parameter attribute isn't simulated."),
        );
    }
    let mut xml = Xml::default();
    xml.put("instanceId", id);
    xml.within("groupSet", |xml| {
        for group in state.primary(id).into_iter().flat_map(|interface| interface.groups.keys()) {
            xml.within("item", |xml| xml.put("groupId", group));
        }
    });
    Ok(xml.0)
}

pub(super) fn modify(world: &mut World, caller: &Caller, form: &Form) -> Result<String> {
    let id = form.need("InstanceId")?;
    let instance = instance(&world.state, id)?;
    let ids = wanted(form, "GroupId");
    let resource = world.arn(&format!("instance/{id}"));
    caller.may("ec2:ModifyInstanceAttribute", &resource, &tag_facts(&instance.tags))?;
    if matches!(instance.power, Power::ShuttingDown | Power::Terminated) {
        return refuse("IncorrectInstanceState", format!("Instance '{id}' has been terminated."));
    }
    if instance.interfaces.len() > 1 {
        return refuse(
            "InvalidInstanceID",
            format!(
                "There are multiple interfaces attached to instance '{id}'. Please specify an interface ID for the \
                 operation instead."
            ),
        );
    }
    let Some(interface) = world.state.primary(id).cloned() else {
        return refuse("InvalidInstanceID", format!("Instance '{id}' has no interface."));
    };
    replace(world, caller, form, &interface, &ids, "ec2:ModifyInstanceAttribute")
}

pub(super) fn modify_interface(world: &mut World, caller: &Caller, form: &Form) -> Result<String> {
    const ACTION: &str = "ec2:ModifyNetworkInterfaceAttribute";
    let id = form.need("NetworkInterfaceId")?;
    if !is_id(id, "eni") {
        return refuse("InvalidNetworkInterfaceId.Malformed", format!("Invalid id: \"{id}\" (expecting \"eni-...\")"));
    }
    let Some(interface) = world.state.interfaces.get(id).cloned() else {
        return Err(Refusal::new(
            400,
            "InvalidNetworkInterfaceID.NotFound",
            format!("The networkInterface ID '{id}' does not exist"),
        ));
    };
    caller.may(ACTION, &world.arn(&format!("network-interface/{id}")), &Facts::new())?;
    if let Some(instance) = &interface.instance {
        caller.may(ACTION, &world.arn(&format!("instance/{instance}")), &Facts::new())?;
    }
    let ids = wanted(form, "SecurityGroupId");
    replace(world, caller, form, &interface, &ids, ACTION)
}

/// The groups that are named, each once.
fn wanted(form: &Form, name: &str) -> Vec<String> {
    let mut ids: Vec<String> = form.list(name).into_iter().map(str::to_owned).collect();
    ids.sort();
    ids.dedup();
    ids
}

fn replace(
    world: &mut World,
    caller: &Caller,
    form: &Form,
    interface: &Interface,
    ids: &[String],
    action: &str,
) -> Result<String> {
    groups::check_all(world, caller, ids, &interface.vpc)?;
    for id in ids {
        let facts = super::group_facts(super::group(world, caller, id)?);
        caller.may(action, &world.arn(&format!("security-group/{id}")), &facts)?;
    }
    dry_run(form)?;
    let before: Vec<String> = interface.groups.keys().cloned().collect();
    groups::attach(world, &interface.id, ids, caller.creator(), caller.now);
    if before != ids {
        let of = interface.instance.as_deref().unwrap_or("nothing");
        let what = format!("{} of {of}: groups {} -> {}", interface.id, before.join(" "), ids.join(" "));
        world.changed(caller.now, what);
    }
    Ok("<return>true</return>".to_owned())
}
