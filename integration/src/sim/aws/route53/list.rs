//! ListHostedZones and ListResourceRecordSets.

use super::super::answer::{Refusal, Result, Xml, refuse};
use super::super::form::Form;
use super::super::policy::Facts;
use super::super::state::{RecordSet, Zone};
use super::super::world::{Caller, World};
use super::names::{RecordKey, normal};
use super::values::TYPES;

const ZONES: usize = 100;
const RECORDS: usize = 300;

/// Entries of a page: more than the limit is the limit.
fn size(query: &Form, world: &World, most: usize) -> Result<usize> {
    let asked = match query.get("maxitems") {
        None => most,
        Some(text) => match text.parse::<usize>() {
            Ok(number) if number > 0 => number.min(most),
            _ => return refuse("InvalidInput", format!("maxitems {text} is no number of items")),
        },
    };
    Ok(asked.min(world.options.page.unwrap_or(most)))
}

pub(super) fn zones(world: &mut World, caller: &Caller, query: &Form) -> Result<String> {
    caller.may("route53:ListHostedZones", "*", &Facts::new())?;
    let size = size(query, world, ZONES)?;
    let private_only = match query.get("hostedzonetype") {
        None => false,
        Some("PrivateHostedZone") => true,
        Some(other) => return refuse("InvalidInput", format!("no type of hosted zones is {other}")),
    };
    let marker = query.get("marker").unwrap_or_default();
    let state = world.at(caller.shown);
    if caller.spoil.page_expired && !marker.is_empty() {
        return refuse("InvalidInput", format!("The marker {marker} is invalid"));
    }
    let mut found: Vec<&Zone> = state
        .zones
        .range(marker.to_owned()..)
        .map(|(_, zone)| &**zone)
        .filter(|zone| zone.private || !private_only)
        .collect();
    if caller.spoil.empty {
        found.clear();
    }
    if caller.spoil.omits && !found.is_empty() {
        found.remove(world.random.below(found.len()));
    }
    let size = if caller.spoil.page_repeats && found.len() > 1 { size.min(found.len() - 1) } else { size };
    let repeated = found.first().filter(|_| caller.spoil.page_repeats);
    let next = found.get(size).map(|zone| repeated.unwrap_or(zone).id.clone());
    found.truncate(size);
    let mut xml = Xml::default();
    xml.within("HostedZones", |xml| {
        found.iter().for_each(|zone| xml.within("HostedZone", |xml| write_zone(xml, zone)))
    });
    if !marker.is_empty() {
        xml.put("Marker", marker);
    }
    xml.show("IsTruncated", next.is_some());
    if let Some(next) = next {
        xml.put("NextMarker", next);
    }
    xml.show("MaxItems", size);
    Ok(xml.0)
}

fn write_zone(xml: &mut Xml, zone: &Zone) {
    xml.put("Id", format!("/hostedzone/{}", zone.id));
    xml.put("Name", &zone.name);
    xml.put("CallerReference", format!("made-{}", zone.id));
    xml.within("Config", |xml| xml.show("PrivateZone", zone.private));
    xml.show("ResourceRecordSetCount", zone.records.len());
}

pub(super) fn records(world: &mut World, caller: &Caller, id: &str, query: &Form) -> Result<String> {
    caller.may("route53:ListResourceRecordSets", &format!("arn:aws:route53:::hostedzone/{id}"), &Facts::new())?;
    let size = size(query, world, RECORDS)?;
    let (name, kind, set) = (query.get("name"), query.get("type"), query.get("identifier"));
    let start = match (name, kind, set) {
        (None, None, None) => None,
        (None, ..) => return refuse("InvalidInput", "A type or an identifier goes with a name only"),
        (Some(_), None, Some(_)) => return refuse("InvalidInput", "An identifier goes with a type only"),
        (Some(name), kind, set) => {
            if let Some(kind) = kind.filter(|kind| !TYPES.contains(kind)) {
                return refuse("InvalidInput", format!("no type of records is {kind}"));
            }
            let name = normal(name).map_err(|what| Refusal::new(400, "InvalidInput", format!("{what}: {name}")))?;
            Some(RecordKey::of_normal(name, kind.unwrap_or_default(), set))
        }
    };
    let state = world.at(caller.shown);
    let zone = super::zone(&state, id)?;
    if caller.spoil.page_expired && start.is_some() {
        return refuse("InvalidInput", "The start of the page is invalid");
    }
    let all = zone.records.iter().filter(|(key, _)| start.as_ref().is_none_or(|start| *key >= start));
    let mut found: Vec<(&RecordKey, &RecordSet)> =
        all.take(size + 1 + usize::from(caller.spoil.omits)).map(|(key, record)| (key, &**record)).collect();
    if caller.spoil.empty {
        found.clear();
    }
    if caller.spoil.omits && !found.is_empty() {
        found.remove(world.random.below(found.len().min(size)));
    }
    let size = if caller.spoil.page_repeats && found.len() > 1 { size.min(found.len() - 1) } else { size };
    let repeated = found.first().map(|(key, _)| *key).filter(|_| caller.spoil.page_repeats);
    let next = found.get(size).map(|(key, _)| repeated.unwrap_or(key).clone());
    found.truncate(size);
    let mut xml = Xml::default();
    xml.within("ResourceRecordSets", |xml| {
        found.iter().for_each(|(key, record)| xml.within("ResourceRecordSet", |xml| write_record(xml, key, record)));
    });
    xml.show("IsTruncated", next.is_some());
    if let Some(next) = next {
        xml.put("NextRecordName", next.name());
        xml.put("NextRecordType", next.kind());
        if let Some(set) = next.set() {
            xml.put("NextRecordIdentifier", set);
        }
    }
    xml.show("MaxItems", size);
    Ok(xml.0)
}

fn write_record(xml: &mut Xml, key: &RecordKey, record: &RecordSet) {
    xml.put("Name", key.name());
    xml.put("Type", key.kind());
    if let Some(set) = key.set() {
        xml.put("SetIdentifier", set);
    }
    let mut structures: Vec<&str> = Vec::new();
    for (name, text) in &record.other {
        match name.split_once('/') {
            None => xml.put(name, text),
            Some((structure, _)) if structures.last() != Some(&structure) => structures.push(structure),
            Some(_) => {}
        }
    }
    if let Some(ttl) = record.ttl {
        xml.show("TTL", ttl);
        xml.within("ResourceRecords", |xml| {
            record.values.iter().for_each(|value| xml.within("ResourceRecord", |xml| xml.put("Value", value)));
        });
    }
    for structure in structures {
        xml.within(structure, |xml| {
            for (name, text) in &record.other {
                if let Some(member) = name.strip_prefix(structure).and_then(|rest| rest.strip_prefix('/')) {
                    xml.put(member, text);
                }
            }
        });
    }
}
