//! DescribeInstances and DescribeSecurityGroups.

use std::sync::Arc;
use std::time::SystemTime;

use super::super::answer::{Result, Xml, refuse};
use super::super::form::Form;
use super::super::policy::Facts;
use super::super::state::{Group, Instance, Interface, Power, Source, State};
use super::super::world::{Caller, World};
use super::filters::Filters;
use super::pages::Page;
use super::{dry_run, is_id, rules, tags};

const INSTANCE_FILTERS: &[&str] = &[
    "instance-id",
    "instance-state-name",
    "availability-zone",
    "vpc-id",
    "subnet-id",
    "private-ip-address",
    "ip-address",
    "instance.group-id",
    "network-interface.network-interface-id",
];

const GROUP_FILTERS: &[&str] = &["group-id", "group-name", "vpc-id", "description", "owner-id", "ip-permission.cidr"];

pub(super) fn instances(world: &mut World, caller: &Caller, form: &Form) -> Result<String> {
    let filters = Filters::read(form)?;
    filters.check(INSTANCE_FILTERS)?;
    let page = Page::read(world, caller, form, "InstanceId")?;
    let ids: Vec<&str> = form.list("InstanceId");
    if let Some(bad) = ids.iter().find(|id| !is_id(id, "i")) {
        return refuse("InvalidInstanceID.Malformed", format!("Invalid id: \"{bad}\""));
    }
    caller.may("ec2:DescribeInstances", "*", &Facts::new())?;
    dry_run(form)?;
    let view = world.view(caller);
    let mut found = Vec::new();
    let mut unknown: Vec<&str> = ids.clone();
    for id in view.ids(|state| &state.instances) {
        let state = view.draw();
        let Some(instance) = state.instances.get(&id) else { continue };
        unknown.retain(|other| *other != id);
        if (ids.is_empty() || ids.contains(&id.as_str()))
            && filters.pass(&instance.tags, |name| instance_value(state, instance, name))?
        {
            found.push((id, (state, Arc::clone(instance))));
        }
    }
    if !unknown.is_empty() {
        let (s, verb) = if unknown.len() > 1 { ("s", "do") } else { ("", "does") };
        let list = unknown.join(", ");
        return refuse("InvalidInstanceID.NotFound", format!("The instance ID{s} '{list}' {verb} not exist"));
    }
    let (found, token) = page.cut(world, caller, found);
    if token.is_none() && form.get("NextToken").is_none() {
        world.showing = found.iter().flat_map(|(state, instance)| groups_of(state, instance)).collect();
    }
    let mut xml = Xml::default();
    xml.within("reservationSet", |xml| {
        for (state, instance) in found {
            xml.within("item", |xml| {
                xml.put("reservationId", instance.id.replacen("i-", "r-", 1));
                xml.put("ownerId", &world.options.account);
                xml.within("groupSet", |_| {});
                xml.within("instancesSet", |xml| {
                    xml.within("item", |xml| write_instance(xml, state, &instance, world.began))
                });
            });
        }
    });
    if let Some(token) = token {
        xml.put("nextToken", token);
    }
    Ok(xml.0)
}

/// Interfaces of an instance, each with a group.
fn groups_of(state: &State, instance: &Instance) -> Vec<(String, String)> {
    let interfaces = instance.interfaces.iter().filter_map(|id| state.interfaces.get(id));
    interfaces.flat_map(|one| one.groups.keys().map(|group| (one.id.clone(), group.clone()))).collect()
}

fn instance_value(state: &State, instance: &Instance, name: &str) -> Option<Vec<String>> {
    let interfaces = || instance.interfaces.iter().filter_map(|id| state.interfaces.get(id));
    Some(match name {
        "instance-id" => vec![instance.id.clone()],
        "instance-state-name" => vec![instance.power.wire().1.to_owned()],
        "availability-zone" => vec![instance.zone.clone()],
        "vpc-id" => vec![instance.vpc.clone()],
        "subnet-id" => vec![instance.subnet.clone()],
        "private-ip-address" => state.primary(&instance.id).map(|i| i.private_ip.to_string()).into_iter().collect(),
        "ip-address" => {
            state.primary(&instance.id).and_then(|i| i.public_ip).map(|ip| ip.to_string()).into_iter().collect()
        }
        "instance.group-id" => interfaces().flat_map(|interface| interface.groups.keys().cloned()).collect(),
        "network-interface.network-interface-id" => instance.interfaces.clone(),
        _ => return None,
    })
}

fn write_instance(xml: &mut Xml, state: &State, instance: &Instance, began: SystemTime) {
    let (code, name) = instance.power.wire();
    xml.put("instanceId", &instance.id);
    xml.put("imageId", "ami-00000000000000001");
    xml.within("instanceState", |xml| {
        xml.show("code", code);
        xml.put("name", name);
    });
    xml.put("instanceType", "m5.large");
    if let Ok(launched) = jiff::Timestamp::try_from(began + instance.launched_at) {
        xml.put("launchTime", launched.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string());
    }
    xml.within("placement", |xml| xml.put("availabilityZone", &instance.zone));
    tags::write(xml, &instance.tags);
    if instance.power == Power::Terminated {
        return;
    }
    xml.put("vpcId", &instance.vpc);
    xml.put("subnetId", &instance.subnet);
    let interfaces: Vec<&Arc<Interface>> =
        instance.interfaces.iter().filter_map(|id| state.interfaces.get(id)).collect();
    if let Some(primary) = interfaces.iter().find(|interface| interface.device_index == 0) {
        xml.put("privateIpAddress", primary.private_ip.to_string());
        if let Some(public) = primary.public_ip {
            xml.put("ipAddress", public.to_string());
        }
        write_groups(xml, state, primary);
    }
    // In no particular order: the primary one isn't the first.
    xml.within("networkInterfaceSet", |xml| {
        for interface in interfaces.iter().rev() {
            xml.within("item", |xml| write_interface(xml, state, interface));
        }
    });
}

fn write_groups(xml: &mut Xml, state: &State, interface: &Interface) {
    xml.within("groupSet", |xml| {
        for id in interface.groups.keys() {
            xml.within("item", |xml| {
                xml.put("groupId", id);
                if let Some(group) = state.groups.get(id) {
                    xml.put("groupName", &group.name);
                }
            });
        }
    });
}

fn write_interface(xml: &mut Xml, state: &State, interface: &Interface) {
    xml.put("networkInterfaceId", &interface.id);
    xml.put("subnetId", &interface.subnet);
    xml.put("vpcId", &interface.vpc);
    xml.put("status", "in-use");
    xml.put("privateIpAddress", interface.private_ip.to_string());
    write_groups(xml, state, interface);
    xml.within("attachment", |xml| {
        xml.put("attachmentId", interface.id.replacen("eni-", "eni-attach-", 1));
        xml.show("deviceIndex", interface.device_index);
        xml.put("status", "attached");
        xml.put("networkCardIndex", "0");
    });
    let association = |xml: &mut Xml| {
        if let Some(public) = interface.public_ip {
            xml.within("association", |xml| xml.put("publicIp", public.to_string()));
        }
    };
    association(xml);
    xml.within("privateIpAddressesSet", |xml| {
        xml.within("item", |xml| {
            xml.put("privateIpAddress", interface.private_ip.to_string());
            xml.put("primary", "true");
            association(xml);
        });
    });
    if let Some(ipv6) = interface.ipv6 {
        xml.within("ipv6AddressesSet", |xml| xml.within("item", |xml| xml.put("ipv6Address", ipv6.to_string())));
    }
}

pub(super) fn groups(world: &mut World, caller: &Caller, form: &Form) -> Result<String> {
    let filters = Filters::read(form)?;
    filters.check(GROUP_FILTERS)?;
    let page = Page::read(world, caller, form, "GroupId")?;
    let (ids, names): (Vec<&str>, Vec<&str>) = (form.list("GroupId"), form.list("GroupName"));
    caller.may("ec2:DescribeSecurityGroups", "*", &Facts::new())?;
    dry_run(form)?;
    if let Some(bad) = ids.iter().find(|id| !is_id(id, "sg")) {
        return refuse("InvalidGroupId.Malformed", format!("Invalid id: \"{bad}\" (expecting \"sg-...\")"));
    }
    let view = world.view(caller);
    let mut found = Vec::new();
    let (mut unknown, mut nameless): (Vec<&str>, Vec<&str>) = (ids.clone(), names.clone());
    for id in view.ids(|state| &state.groups) {
        let state = view.draw();
        let Some(group) = state.groups.get(&id) else { continue };
        // By name it works in the default VPC only.
        let is_default = state.vpcs.get(&group.vpc).is_some_and(|vpc| vpc.default);
        let is_named = is_default && names.contains(&group.name.as_str());
        unknown.retain(|other| *other != id);
        nameless.retain(|other| !is_default || *other != group.name);
        let wanted = (ids.is_empty() && names.is_empty()) || ids.contains(&id.as_str()) || is_named;
        if wanted && filters.pass(&group.tags, |name| group_value(&world.options.account, group, name))? {
            found.push((id, Arc::clone(group)));
        }
    }
    if let Some(missing) = unknown.first() {
        return refuse("InvalidGroup.NotFound", format!("The security group '{missing}' does not exist"));
    }
    if let Some(missing) = nameless.first() {
        return refuse(
            "InvalidGroup.NotFound",
            format!("The security group '{missing}' does not exist in default VPC"),
        );
    }
    let (found, token) = page.cut(world, caller, found);
    let mut xml = Xml::default();
    xml.within("securityGroupInfo", |xml| {
        for group in found {
            xml.within("item", |xml| write_group(xml, &world.options.account, &group));
        }
    });
    if let Some(token) = token {
        xml.put("nextToken", token);
    }
    Ok(xml.0)
}

fn group_value(account: &str, group: &Group, name: &str) -> Option<Vec<String>> {
    Some(match name {
        "group-id" => vec![group.id.clone()],
        "group-name" => vec![group.name.clone()],
        "vpc-id" => vec![group.vpc.clone()],
        "description" => vec![group.description.clone()],
        "owner-id" => vec![account.to_owned()],
        "ip-permission.cidr" => {
            let ranges = group.rules.keys().filter_map(|key| match &key.source {
                Source::V4(range) => Some(range.clone()),
                _ => None,
            });
            ranges.collect()
        }
        _ => return None,
    })
}

fn write_group(xml: &mut Xml, account: &str, group: &Group) {
    xml.put("groupId", &group.id);
    xml.put("groupName", &group.name);
    xml.put("groupDescription", &group.description);
    xml.put("ownerId", account);
    xml.put("vpcId", &group.vpc);
    tags::write(xml, &group.tags);
    xml.within("ipPermissions", |xml| {
        rules::permission_items(xml, group.rules.iter().map(|(key, rule)| (key, rule.description.as_str())));
    });
    xml.within("ipPermissionsEgress", |xml| {
        xml.within("item", |xml| {
            xml.put("ipProtocol", "-1");
            xml.within("ipRanges", |xml| xml.within("item", |xml| xml.put("cidrIp", "0.0.0.0/0")));
        });
    });
}
