//! AuthorizeSecurityGroupIngress and RevokeSecurityGroupIngress.

use std::collections::{BTreeMap, BTreeSet};

use super::super::answer::{Result, Xml, refuse};
use super::super::form::Form;
use super::super::state::{Group, Rule, RuleKey, Source};
use super::super::world::{Caller, World};
use super::{dry_run, is_id, is_plain, tags};

/// `udp/5-6 from 0.0.0.0/0`.
pub(in crate::sim::aws) fn shown(key: &RuleKey) -> String {
    let RuleKey { protocol, from, to, source } = key;
    let ports = if from == to { from.to_string() } else { format!("{from}-{to}") };
    let source = match source {
        Source::V4(range) | Source::V6(range) => range,
        Source::Group(id) | Source::Prefix(id) => id,
    };
    format!("{protocol}/{ports} from {source}")
}

/// What a rule is counted as.
pub(in crate::sim::aws) fn counted(group: &str, key: &RuleKey) -> String {
    format!("rule {group} {}", shown(key))
}

/// The permissions of a request, one for each source, with their descriptions.
pub(super) fn permissions(form: &Form) -> Result<Vec<(RuleKey, String)>> {
    let mut all = Vec::new();
    for number in form.numbers("IpPermissions") {
        one(form, &format!("IpPermissions.{number}"), &mut all)?;
    }
    // The short form, for one permission.
    if let (true, Some(cidr)) = (all.is_empty(), form.get("CidrIp")) {
        let (protocol, from, to) = ports(form, "")?;
        all.push((RuleKey { protocol, from, to, source: range(cidr)? }, String::new()));
    }
    let mut seen = BTreeSet::new();
    if let Some((twice, _)) = all.iter().find(|(key, _)| !seen.insert(key)) {
        return refuse(
            "InvalidParameterValue",
            format!("The same permission must not appear multiple times: {}", shown(twice)),
        );
    }
    Ok(all)
}

fn one(form: &Form, at: &str, all: &mut Vec<(RuleKey, String)>) -> Result<()> {
    let (protocol, from, to) = ports(form, &format!("{at}."))?;
    let before = all.len();
    let lists =
        [("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6"), ("Groups", "GroupId"), ("PrefixListIds", "PrefixListId")];
    for (list, member) in lists {
        for number in form.numbers(&format!("{at}.{list}")) {
            let entry = format!("{at}.{list}.{number}");
            let text = form.need(&format!("{entry}.{member}"))?;
            let source = match list {
                "Groups" if is_id(text, "sg") => Source::Group(text.to_owned()),
                "Groups" => {
                    return refuse(
                        "InvalidGroupId.Malformed",
                        format!("Invalid id: \"{text}\" (expecting \"sg-...\")"),
                    );
                }
                "PrefixListIds" if is_id(text, "pl") => Source::Prefix(text.to_owned()),
                "PrefixListIds" => {
                    return refuse(
                        "InvalidPrefixListId.Malformed",
                        format!("Invalid id: \"{text}\" (expecting \"pl-...\")"),
                    );
                }
                "IpRanges" if text.contains(':') => {
                    return refuse("InvalidParameterValue", format!("CIDR block {text} is malformed"));
                }
                _ => range(text)?,
            };
            let description = form.get(&format!("{entry}.Description")).unwrap_or_default();
            if !is_plain(description) {
                return refuse(
                    "InvalidParameterValue",
                    "Invalid rule description. Valid descriptions are strings less than 256 characters from the \
                     following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*",
                );
            }
            all.push((RuleKey { protocol: protocol.clone(), from, to, source }, description.to_owned()));
        }
    }
    if all.len() == before {
        return refuse("InvalidPermission.Malformed", "The permission names no source");
    }
    Ok(())
}

/// Protocol as EC2 names it, first and last port.
fn ports(form: &Form, at: &str) -> Result<(String, i32, i32)> {
    let text = form.need(&format!("{at}IpProtocol"))?.to_lowercase();
    let protocol = match text.as_str() {
        "tcp" | "6" => "tcp".to_owned(),
        "udp" | "17" => "udp".to_owned(),
        "icmp" | "1" => "icmp".to_owned(),
        "icmpv6" | "58" => "icmpv6".to_owned(),
        "-1" | "all" => return Ok(("-1".to_owned(), -1, -1)),
        number if number.parse::<u8>().is_ok() => number.to_owned(),
        other => {
            return refuse(
                "InvalidParameterValue",
                format!("Invalid value '{other}' for IP protocol. Unknown protocol."),
            );
        }
    };
    let port = |name: &str| -> Result<i32> {
        let text = form.need(&format!("{at}{name}"))?;
        match text.parse() {
            Ok(port) if (-1..=65535).contains(&port) => Ok(port),
            _ => refuse(
                "InvalidParameterValue",
                format!("Invalid value '{text}' for portRange. Must be from 0 to 65535."),
            ),
        }
    };
    let (from, to) = (port("FromPort")?, port("ToPort")?);
    if matches!(protocol.as_str(), "tcp" | "udp") && (from < 0 || from > to) {
        return refuse(
            "InvalidParameterValue",
            format!("Invalid {} port range ({from}-{to})", protocol.to_uppercase()),
        );
    }
    Ok((protocol, from, to))
}

/// A range of addresses.
fn range(text: &str) -> Result<Source> {
    match Source::range(text) {
        Some(source) => Ok(source),
        None => refuse("InvalidParameterValue", format!("CIDR block {text} is malformed")),
    }
}

pub(super) fn authorize(world: &mut World, caller: &Caller, form: &Form) -> Result<String> {
    let id = form.need("GroupId")?.to_owned();
    let wanted = permissions(form)?;
    if wanted.is_empty() {
        return refuse("MissingParameter", "The request must contain the parameter ipPermissions");
    }
    let tags = tags::of_create(form, "security-group-rule")?;
    let group = super::group(world, caller, &id)?.clone();
    let resource = world.arn(&format!("security-group/{id}"));
    caller.may("ec2:AuthorizeSecurityGroupIngress", &resource, &super::group_facts(&group))?;
    if !tags.is_empty() {
        let mut facts = tags::facts(&tags);
        facts.insert("ec2:CreateAction".to_owned(), vec!["AuthorizeSecurityGroupIngress".to_owned()]);
        caller.may("ec2:CreateTags", &world.arn("security-group-rule/*"), &facts)?;
    }
    for (key, _) in &wanted {
        if let Source::Group(other) = &key.source {
            super::group(world, caller, other)?;
        }
    }
    dry_run(form)?;
    let duplicate = wanted.iter().find(|(key, _)| group.rules.contains_key(key)).map(|(key, _)| key.clone());
    let new: Vec<_> = wanted.into_iter().filter(|(key, _)| !group.rules.contains_key(key)).collect();
    if duplicate.is_none() || world.options.partial_authorize {
        room(world, &group, &new)?;
    }
    if let Some(key) = &duplicate {
        if world.options.partial_authorize && !new.is_empty() {
            add(world, caller, &group, new);
        }
        return refuse(
            "InvalidPermission.Duplicate",
            format!("the specified rule \"peer: {}, ALLOW\" already exists", shown(key)),
        );
    }
    let made = add(world, caller, &group, new);
    let mut xml = Xml::default();
    xml.put("return", "true");
    xml.within("securityGroupRuleSet", |xml| {
        for (key, rule) in &made {
            xml.within("item", |xml| written(xml, &id, key, rule));
        }
    });
    Ok(xml.0)
}

/// Whether the rules find room: IPv4 and IPv6 are counted apart, whatever names a group counts in both.
fn room(world: &World, group: &Group, new: &[(RuleKey, String)]) -> Result<()> {
    let most = world.options.limits.rules_per_group;
    let counts = |v6: bool| {
        let is_other =
            |source: &Source| if v6 { matches!(source, Source::V4(_)) } else { matches!(source, Source::V6(_)) };
        let keys = group.rules.keys().chain(new.iter().map(|(key, _)| key));
        keys.filter(|key| !is_other(&key.source)).count()
    };
    if counts(false) > most || counts(true) > most {
        return refuse(
            "RulesPerSecurityGroupLimitExceeded",
            "The maximum number of rules per security group has been reached.",
        );
    }
    Ok(())
}

fn add(world: &mut World, caller: &Caller, group: &Group, new: Vec<(RuleKey, String)>) -> BTreeMap<RuleKey, Rule> {
    let mut made = BTreeMap::new();
    for (key, description) in new {
        world.made(caller.creator(), counted(&group.name, &key));
        let rule = super::rule(world, caller.creator(), caller.now, &description);
        made.insert(key, rule);
    }
    if let Some(group) = world.state.groups.edit(&group.id) {
        group.rules.extend(made.clone());
    }
    let list: Vec<String> = made.keys().map(shown).collect();
    world.changed(caller.now, format!("{} ({}): opens {}", group.id, group.name, list.join(", ")));
    made
}

fn written(xml: &mut Xml, group: &str, key: &RuleKey, rule: &Rule) {
    xml.put("securityGroupRuleId", &rule.id);
    xml.put("groupId", group);
    xml.put("isEgress", "false");
    xml.put("ipProtocol", &key.protocol);
    xml.show("fromPort", key.from);
    xml.show("toPort", key.to);
    match &key.source {
        Source::V4(range) => xml.put("cidrIpv4", range),
        Source::V6(range) => xml.put("cidrIpv6", range),
        Source::Prefix(id) => xml.put("prefixListId", id),
        Source::Group(id) => xml.within("referencedGroupInfo", |xml| xml.put("groupId", id)),
    }
    if !rule.description.is_empty() {
        xml.put("description", &rule.description);
    }
}

pub(super) fn revoke(world: &mut World, caller: &Caller, form: &Form) -> Result<String> {
    let id = form.need("GroupId")?.to_owned();
    let named = permissions(form)?;
    let by_id: Vec<&str> = form.list("SecurityGroupRuleId");
    if named.is_empty() == by_id.is_empty() {
        return refuse("InvalidParameterCombination", "Either ipPermissions or securityGroupRuleIds must be given");
    }
    let group = super::group(world, caller, &id)?.clone();
    let resource = world.arn(&format!("security-group/{id}"));
    caller.may("ec2:RevokeSecurityGroupIngress", &resource, &super::group_facts(&group))?;
    dry_run(form)?;
    let mut goes = Vec::new();
    for rule_id in by_id {
        match group.rules.iter().find(|(_, rule)| rule.id == rule_id) {
            Some((key, _)) => goes.push(key.clone()),
            None => {
                return refuse(
                    "InvalidSecurityGroupRuleId.NotFound",
                    format!("The security group rule ID '{rule_id}' does not exist"),
                );
            }
        }
    }
    let (found, unknown): (Vec<_>, Vec<_>) =
        named.into_iter().map(|(key, _)| key).partition(|key| group.rules.contains_key(key));
    goes.extend(found);
    let in_default = world.state.vpcs.get(&group.vpc).is_some_and(|vpc| vpc.default);
    if let (Some(key), false) = (unknown.first(), in_default) {
        return refuse(
            "InvalidPermission.NotFound",
            format!("The specified rule does not exist in this security group: {}", shown(key)),
        );
    }
    if !goes.is_empty() {
        remove(world, &group, &goes);
        let list: Vec<String> = goes.iter().map(shown).collect();
        world.changed(caller.now, format!("{id} ({}): closes {}", group.name, list.join(", ")));
    }
    let mut xml = Xml::default();
    xml.put("return", "true");
    if !unknown.is_empty() {
        xml.within("unknownIpPermissionSet", |xml| permission_items(xml, unknown.iter().map(|key| (key, ""))));
    }
    Ok(xml.0)
}

/// Takes rules away.
pub(in crate::sim::aws) fn remove(world: &mut World, group: &Group, goes: &[RuleKey]) {
    for key in goes {
        if let Some(rule) = group.rules.get(key) {
            world.gone(rule.creator, counted(&group.name, key));
        }
    }
    if let Some(group) = world.state.groups.edit(&group.id) {
        group.rules.retain(|key, _| !goes.contains(key));
    }
}

/// Rules as EC2 lists them: one item for each protocol and range of ports. `rules` are in order.
pub(super) fn permission_items<'a>(xml: &mut Xml, rules: impl Iterator<Item = (&'a RuleKey, &'a str)>) {
    type Ports<'a> = (&'a str, i32, i32);
    let mut grouped: BTreeMap<Ports<'a>, Vec<(&Source, &str)>> = BTreeMap::new();
    for (key, description) in rules {
        grouped.entry((key.protocol.as_str(), key.from, key.to)).or_default().push((&key.source, description));
    }
    for ((protocol, from, to), sources) in grouped {
        xml.within("item", |xml| {
            xml.put("ipProtocol", protocol);
            if protocol != "-1" {
                xml.show("fromPort", from);
                xml.show("toPort", to);
            }
            let lists = [
                ("groups", "groupId"),
                ("ipRanges", "cidrIp"),
                ("ipv6Ranges", "cidrIpv6"),
                ("prefixListIds", "prefixListId"),
            ];
            for (list, member) in lists {
                xml.within(list, |xml| {
                    for (source, description) in &sources {
                        let (of, text) = match source {
                            Source::Group(id) => ("groups", id),
                            Source::V4(range) => ("ipRanges", range),
                            Source::V6(range) => ("ipv6Ranges", range),
                            Source::Prefix(id) => ("prefixListIds", id),
                        };
                        if of == list {
                            xml.within("item", |xml| {
                                xml.put(member, text);
                                if !description.is_empty() {
                                    xml.put("description", description);
                                }
                            });
                        }
                    }
                });
            }
        });
    }
}
