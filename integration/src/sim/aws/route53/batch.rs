//! ChangeResourceRecordSets: a batch is judged whole, change by change against what the ones before it leave, and
//! happens whole or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::sim::event::Creator;

use super::super::answer::{Refusal, Result, refuse};
use super::super::options::Limits;
use super::super::state::{RecordSet, Zone};
use super::names::{RecordKey, is_within, normal};
use super::tree::{self, Element};
use super::values;

/// What a change does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim::aws) enum Action {
    Create,
    Delete,
    Upsert,
}

impl Action {
    pub fn name(self) -> &'static str {
        match self {
            Action::Create => "CREATE",
            Action::Delete => "DELETE",
            Action::Upsert => "UPSERT",
        }
    }
}

/// A change of a batch.
#[derive(Clone, Debug)]
pub(in crate::sim::aws) struct Change {
    pub action: Action,
    /// As it was written.
    pub name: String,
    pub kind: String,
    pub set: Option<String>,
    pub record: RecordSet,
}

impl Change {
    /// `DELETE A a.b. 60 [192.0.2.1]`.
    pub fn told(&self) -> String {
        let set = self.set.as_ref().map(|set| format!(" {set}")).unwrap_or_default();
        let ttl = self.record.ttl.map(|ttl| format!(" {ttl}")).unwrap_or_default();
        format!("{} {} {}{set}{ttl} [{}]", self.action.name(), self.kind, self.name, self.record.values.join(" "))
    }
}

/// Reads a batch. Whose its records are isn't known yet.
pub(in crate::sim::aws) fn read(body: &[u8]) -> Result<Vec<Change>> {
    let bad = |what: &str| Refusal::new(400, "InvalidInput", format!("Invalid XML ; {what}"));
    let root = tree::read(body).ok_or_else(|| bad("the document can't be read"))?;
    if root.name != "ChangeResourceRecordSetsRequest" {
        return Err(bad("ChangeResourceRecordSetsRequest is expected"));
    }
    let changes = root.child("ChangeBatch").and_then(|batch| batch.child("Changes"));
    let changes = changes.ok_or_else(|| bad("Changes is missing"))?;
    if changes.children.is_empty() {
        return Err(bad("Changes is empty"));
    }
    changes.children.iter().map(|change| read_change(change).ok_or_else(|| bad("a Change is wrong"))).collect()
}

fn read_change(change: &Element) -> Option<Change> {
    let action = match change.text_of("Action")? {
        "CREATE" => Action::Create,
        "DELETE" => Action::Delete,
        "UPSERT" => Action::Upsert,
        _ => return None,
    };
    let set = change.child("ResourceRecordSet")?;
    let kind = set.text_of("Type").filter(|kind| values::TYPES.contains(kind))?.to_owned();
    let ttl = match set.text_of("TTL") {
        Some(ttl) => Some(ttl.parse().ok().filter(|ttl: &u32| *ttl <= i32::MAX.unsigned_abs())?),
        None => None,
    };
    let mut values = Vec::new();
    for record in set.child("ResourceRecords").into_iter().flat_map(|records| &records.children) {
        values.push(record.text_of("Value").filter(|_| record.name == "ResourceRecord")?.to_owned());
    }
    values.sort();
    let mut other = BTreeMap::new();
    for element in &set.children {
        match element.name.as_str() {
            "Name" | "Type" | "TTL" | "ResourceRecords" | "SetIdentifier" => {}
            name if element.children.is_empty() => _ = other.insert(name.to_owned(), element.text.clone()),
            name => {
                for inner in &element.children {
                    other.insert(format!("{name}/{}", inner.name), inner.text.clone());
                }
            }
        }
    }
    Some(Change {
        action,
        name: set.text_of("Name")?.to_owned(),
        kind,
        set: set.text_of("SetIdentifier").map(str::to_owned),
        record: RecordSet { ttl, values, other, creator: Creator::Person },
    })
}

/// The zone's records after the batch.
pub(in crate::sim::aws) fn apply(
    zone: &Zone,
    changes: &[Change],
    limits: &Limits,
) -> Result<BTreeMap<RecordKey, Arc<RecordSet>>> {
    size(changes, limits)?;
    let mut after = (*zone.records).clone();
    let mut wrong = Vec::new();
    for change in changes {
        if let Err(what) = one(zone, &mut after, change, limits) {
            wrong.push(what);
        }
    }
    if wrong.is_empty() {
        consistency(zone, changes, &after, &mut wrong);
    }
    if after.len() > limits.records_per_zone && after.len() > zone.records.len() {
        wrong.push(format!("A hosted zone can have {} resource record sets at most.", limits.records_per_zone));
    }
    if wrong.is_empty() { Ok(after) } else { Err(Refusal { status: 400, code: "InvalidChangeBatch", messages: wrong }) }
}

fn size(changes: &[Change], limits: &Limits) -> Result<()> {
    let (mut count, mut characters) = (0, 0);
    for change in changes {
        let times = if change.action == Action::Upsert { 2 } else { 1 };
        count += times * change.record.values.len().max(1);
        characters += times * change.record.values.iter().map(|value| value.chars().count()).sum::<usize>();
    }
    if count > limits.values_per_batch {
        return refuse(
            "InvalidChangeBatch",
            format!("Number of records limit of {} exceeded.", limits.values_per_batch),
        );
    }
    if characters > limits.characters_per_batch {
        return refuse(
            "InvalidChangeBatch",
            format!("Number of characters limit of {} exceeded.", limits.characters_per_batch),
        );
    }
    Ok(())
}

fn one(
    zone: &Zone,
    after: &mut BTreeMap<RecordKey, Arc<RecordSet>>,
    change: &Change,
    limits: &Limits,
) -> std::result::Result<(), String> {
    let name =
        normal(&change.name).map_err(|what| format!("FATAL problem: {what} encountered with '{}'", change.name))?;
    let shown = name.replace("\\052", "*");
    let kind = &change.kind;
    if !is_within(&name, &zone.name) {
        return Err(format!("RRSet with DNS name {shown} is not permitted in zone {}", zone.name));
    }
    let apex = name == zone.name;
    let key = RecordKey::of_normal(name, kind, change.set.as_deref());
    let set = change.set.as_ref().map(|set| format!(", set identifier='{set}'")).unwrap_or_default();
    let what = format!("resource record set [name='{shown}', type='{kind}'{set}]");
    let there = after.get(&key);
    if change.action == Action::Delete {
        return match there {
            None => Err(format!("Tried to delete {what} but it was not found")),
            Some(there) if !there.same(&change.record) => {
                Err(format!("Tried to delete {what} but the values provided do not match the current values"))
            }
            Some(_) if apex && kind == "SOA" => Err("A HostedZone must contain exactly one SOA record.".to_owned()),
            Some(_) if apex && kind == "NS" => {
                Err("A HostedZone must contain at least one NS record for the zone itself.".to_owned())
            }
            Some(_) => {
                after.remove(&key);
                Ok(())
            }
        };
    }
    if change.action == Action::Create && there.is_some() {
        return Err(format!("Tried to create {what} but it already exists"));
    }
    shape(change, limits, &shown)?;
    if apex && kind == "CNAME" {
        return Err(format!(
            "RRSet of type CNAME with DNS name {shown} is not permitted at apex in zone {}",
            zone.name
        ));
    }
    after.insert(key, Arc::new(change.record.clone()));
    Ok(())
}

/// What a record to be written must have and must not have.
fn shape(change: &Change, limits: &Limits, shown: &str) -> std::result::Result<(), String> {
    let RecordSet { ttl, values: list, other, .. } = &change.record;
    let is_alias = other.keys().any(|key| key.starts_with("AliasTarget"));
    if is_alias {
        let complete = ["HostedZoneId", "DNSName", "EvaluateTargetHealth"]
            .iter()
            .all(|part| other.contains_key(&format!("AliasTarget/{part}")));
        if !complete || ttl.is_some() || !list.is_empty() {
            return Err(format!("Invalid request: an alias has a target and neither TTL nor values, in [{shown}]"));
        }
    } else if list.is_empty() || ttl.is_none() {
        return Err("Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or \
             TrafficPolicyInstanceId], but found none in Change with \
             [Action=CREATE, Name=NAME, Type=TYPE, SetIdentifier=null]"
            .replace("NAME", shown)
            .replace("TYPE", &change.kind));
    }
    let routed = ["Weight", "Region", "Failover", "MultiValueAnswer"].iter().any(|key| other.contains_key(*key))
        || other.keys().any(|key| key.starts_with("GeoLocation") || key.starts_with("CidrRoutingConfig"));
    if routed != change.set.is_some() {
        return Err(format!("Invalid request: SetIdentifier and a routing policy go together, in [{shown}]"));
    }
    if list.len() > limits.values_per_record {
        return Err(format!("Cannot have more than {} records in a RRSet.", limits.values_per_record));
    }
    if change.kind == "CNAME" && list.len() > 1 {
        return Err(format!("A CNAME record set has one value, in [{shown}]"));
    }
    if let Some(twice) = list.windows(2).find_map(|pair| pair.first().filter(|first| pair.get(1) == Some(first))) {
        return Err(format!("Duplicate Resource Record: '{twice}'"));
    }
    match list.iter().find_map(|value| values::fault(&change.kind, value)) {
        Some(fault) => Err(fault),
        None => Ok(()),
    }
}

/// What the records of one name mean for each other.
fn consistency(zone: &Zone, changes: &[Change], after: &BTreeMap<RecordKey, Arc<RecordSet>>, wrong: &mut Vec<String>) {
    let names: BTreeSet<String> = changes.iter().filter_map(|change| normal(&change.name).ok()).collect();
    for name in names {
        let first = RecordKey::of_normal(name.clone(), "", None);
        let keys: Vec<&RecordKey> =
            after.range(first..).map(|(key, _)| key).take_while(|key| key.name() == name).collect();
        let shown = name.replace("\\052", "*");
        let kinds: BTreeSet<&str> = keys.iter().map(|key| key.kind()).collect();
        if kinds.contains("CNAME") && kinds.len() > 1 {
            wrong.push(format!(
                "RRSet of type CNAME with DNS name {shown} is not permitted as it conflicts with other records with \
                 the same DNS name in zone {}",
                zone.name
            ));
        }
        for kind in kinds {
            let mut sets = keys.iter().filter(|key| key.kind() == kind);
            if sets.clone().any(|key| key.set().is_none()) && sets.any(|key| key.set().is_some()) {
                wrong.push(format!(
                    "RRSet with DNS name {shown}, type {kind} cannot be created as other RRSets exist with the same \
                     name and type."
                ));
            }
        }
    }
}
