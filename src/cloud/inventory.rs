//! Reads instances and security groups from EC2 and shrinks them to the core's types. Keeps nothing.

use std::collections::{BTreeMap, BTreeSet};

use aws_api::{Client, ec2};
use futures::StreamExt;

use crate::expose::firewall::{OWNED, tag_key};
use crate::expose::{ForeignRules, Group, GroupId, Instance, InstanceId, Lookup, PrivateIp, Protocol, PublicIp, Rule};

/// At most this many values of a filter in one call (EC2).
const VALUES_PER_FILTER: usize = 200;

/// At most this many results in a page (EC2).
const PAGE: i64 = 1000;

pub(super) fn filter(name: &str, values: impl IntoIterator<Item = String>) -> ec2::Filter {
    ec2::Filter { name: Some(name.into()), values: values.into_iter().collect() }
}

/// What reading some instances brought: for each that was asked for in a call that succeeded, what EC2 says,
/// `None` when it says nothing; and the errors of the calls that failed.
#[derive(Debug, Default)]
pub(super) struct Instances {
    pub answered: BTreeMap<InstanceId, Option<Lookup>>,
    pub errors: Vec<aws_api::Error>,
}

/// Reads instances, by filter: naming an id that EC2 doesn't know would fail the whole call.
pub(super) async fn instances(client: &Client, ids: &BTreeSet<InstanceId>, concurrency: usize) -> Instances {
    let ids: Vec<InstanceId> = ids.iter().cloned().collect();
    let calls: Vec<_> = ids.chunks(VALUES_PER_FILTER).map(|chunk| instances_of(client, chunk)).collect();
    let mut calls = futures::stream::iter(calls).buffered(concurrency.max(1));
    let mut read = Instances::default();
    while let Some((chunk, result)) = calls.next().await {
        match result {
            Ok(pages) => {
                let reservations = pages.into_iter().flat_map(|page| page.reservations);
                let mut found: BTreeMap<InstanceId, Lookup> =
                    reservations.flat_map(|r| r.instances).filter_map(instance).collect();
                read.answered.extend(chunk.iter().map(|id| (id.clone(), found.remove(id))));
            }
            Err(error) => read.errors.push(error),
        }
    }
    read
}

async fn instances_of<'a>(
    client: &Client,
    ids: &'a [InstanceId],
) -> (&'a [InstanceId], Result<Vec<ec2::DescribeInstancesResponse>, aws_api::Error>) {
    let request = ec2::DescribeInstances {
        filters: vec![filter("instance-id", ids.iter().map(|id| id.0.clone()))],
        max_results: Some(PAGE),
        ..Default::default()
    };
    (ids, client.pages(request).await)
}

/// An instance as EC2 describes it.
fn instance(described: ec2::Instance) -> Option<(InstanceId, Lookup)> {
    let id = InstanceId(described.instance_id.filter(|id| !id.is_empty())?);
    let state = described.state.and_then(|state| state.name);
    if state == Some(ec2::InstanceStateName::Terminated) {
        return Some((id, Lookup::Gone));
    }
    let interfaces = described.network_interfaces.len();
    let primary = described.network_interfaces.into_iter().find(|interface| {
        let attachment = interface.attachment.as_ref();
        attachment.is_some_and(|a| a.device_index == Some(0) && a.network_card_index.unwrap_or(0) == 0)
    });
    let primary = primary.unwrap_or_else(|| ec2::InstanceNetworkInterface {
        groups: if interfaces == 0 { described.security_groups } else { Vec::new() },
        private_ip_address: described.private_ip_address,
        ..Default::default()
    });
    let address = primary.private_ip_addresses.iter().find(|address| address.primary == Some(true));
    let private_ip = primary.private_ip_address.clone().or_else(|| address?.private_ip_address.clone());
    // The address that is translated to the primary private one; an interface may have others for its others.
    let association = match address {
        Some(address) => address.association.as_ref(),
        None => primary.association.as_ref(),
    };
    let public_ip = association.and_then(|association| association.public_ip.as_ref());
    let known = Instance {
        running: state == Some(ec2::InstanceStateName::Running),
        zone: described.placement.and_then(|placement| placement.availability_zone).unwrap_or_default(),
        vpc: described.vpc_id.or(primary.vpc_id).unwrap_or_default(),
        interface: primary.network_interface_id.unwrap_or_default(),
        interfaces,
        private_ip: private_ip.and_then(|ip| ip.parse().ok()).map(PrivateIp),
        public_ip: public_ip.and_then(|ip| ip.parse().ok()).map(PublicIp),
        groups: primary.groups.into_iter().filter_map(|group| group.group_id).map(GroupId).collect(),
        id: id.clone(),
    };
    Some((id, Lookup::Known(known)))
}

/// Reads all groups that carry our tag, with its value.
pub(super) async fn groups(client: &Client, cluster: &str) -> Result<BTreeMap<GroupId, Group>, aws_api::Error> {
    let request = ec2::DescribeSecurityGroups {
        filters: vec![filter("tag-key", [tag_key(cluster)])],
        max_results: Some(PAGE),
        ..Default::default()
    };
    let pages = client.pages(request).await?;
    let described = pages.into_iter().flat_map(|page| page.security_groups);
    let ours = described.filter(|described| is_ours(described, cluster)).filter_map(group);
    Ok(ours.map(|group| (group.id.clone(), group)).collect())
}

/// Reads the group of that name in a VPC, whoever's it is; tells whether it carries our tag.
pub(super) async fn group_named(
    client: &Client,
    cluster: &str,
    name: &str,
    vpc: &str,
) -> Result<Option<(Group, bool)>, aws_api::Error> {
    let request = ec2::DescribeSecurityGroups {
        filters: vec![filter("group-name", [name.to_owned()]), filter("vpc-id", [vpc.to_owned()])],
        ..Default::default()
    };
    let pages = client.pages(request).await?;
    let mut described = pages.into_iter().flat_map(|page| page.security_groups);
    Ok(described.find(|described| described.group_name.as_deref() == Some(name)).and_then(|described| {
        let ours = is_ours(&described, cluster);
        Some((group(described)?, ours))
    }))
}

fn is_ours(described: &ec2::SecurityGroup, cluster: &str) -> bool {
    let key = tag_key(cluster);
    described.tags.iter().any(|tag| tag.key.as_deref() == Some(&key) && tag.value.as_deref() == Some(OWNED))
}

/// A group as EC2 describes it.
fn group(described: ec2::SecurityGroup) -> Option<Group> {
    let id = GroupId(described.group_id.filter(|id| !id.is_empty())?);
    let mut rules = BTreeMap::new();
    let mut foreign_rules = ForeignRules::default();
    for permission in described.ip_permissions {
        let in_both = permission.user_id_group_pairs.len() + permission.prefix_list_ids.len();
        foreign_rules.v4 += in_both;
        foreign_rules.v6 += in_both;
        let v4 = permission.ip_ranges.into_iter().map(|range| (false, range.cidr_ip, range.description));
        let v6 = permission.ipv6_ranges.into_iter().map(|range| (true, range.cidr_ipv6, range.description));
        let port = |port: Option<i64>| port.and_then(|port| u16::try_from(port).ok());
        let ports = port(permission.from_port).zip(port(permission.to_port)).filter(|(from, to)| from <= to);
        let protocol = permission.ip_protocol.as_deref().and_then(protocol);
        for (is_v6, cidr, description) in v4.chain(v6) {
            let source = cidr.and_then(|cidr| cidr.parse().ok());
            match (protocol, ports, source) {
                (Some(protocol), Some((from, to)), Some(source)) => {
                    rules.insert(Rule { protocol, from, to, source }, description.unwrap_or_default());
                }
                _ if is_v6 => foreign_rules.v6 += 1,
                _ => foreign_rules.v4 += 1,
            }
        }
    }
    let name = described.group_name.unwrap_or_default();
    Some(Group { id, name, vpc: described.vpc_id.unwrap_or_default(), rules, foreign_rules })
}

/// EC2 names TCP and UDP; every other protocol is its number.
fn protocol(text: &str) -> Option<Protocol> {
    match text {
        "tcp" | "6" => Some(Protocol::Tcp),
        "udp" | "17" => Some(Protocol::Udp),
        "132" | "sctp" => Some(Protocol::Sctp),
        _ => None,
    }
}

/// Rules as EC2 takes them, one permission for each protocol and range of ports; with their descriptions or, to
/// revoke them, without.
pub(super) fn permissions(rules: &BTreeMap<Rule, String>, described: bool) -> Vec<ec2::IpPermission> {
    let mut permissions: BTreeMap<(Protocol, u16, u16), ec2::IpPermission> = BTreeMap::new();
    for (rule, description) in rules {
        let name = match rule.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "132",
        };
        let key = (rule.protocol, rule.from, rule.to);
        let permission = permissions.entry(key).or_insert_with(|| ec2::IpPermission {
            ip_protocol: Some(name.into()),
            from_port: Some(rule.from.into()),
            to_port: Some(rule.to.into()),
            ..Default::default()
        });
        let description = described.then(|| description.clone());
        if rule.source.is_v6() {
            permission.ipv6_ranges.push(ec2::Ipv6Range { description, cidr_ipv6: Some(rule.source.to_string()) });
        } else {
            permission.ip_ranges.push(ec2::IpRange { description, cidr_ip: Some(rule.source.to_string()) });
        }
    }
    permissions.into_values().collect()
}
