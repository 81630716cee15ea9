//! Route 53: ListHostedZones, ListResourceRecordSets, ChangeResourceRecordSets, GetChange.

pub(super) mod batch;
mod list;
pub mod names;
mod tree;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::answer::{Refusal, Result, Xml, refuse};
use super::policy::Facts;
use super::request::Request;
use super::state::{RecordSet, State, Zone};
use super::world::{Caller, World};
use batch::{Action, Change};
use names::RecordKey;

/// The content of the answer.
pub(super) fn answer(world: &mut World, caller: &Caller, request: &Request) -> Result<String> {
    let id = request.id.as_str();
    match request.operation.as_str() {
        "ListHostedZones" => list::zones(world, caller, &request.query),
        "ListResourceRecordSets" => list::records(world, caller, id, &request.query),
        "ChangeResourceRecordSets" => change(world, caller, id, request),
        "GetChange" => get_change(world, caller, id),
        other => Err(Refusal::new(404, "InvalidAction", format!("no operation is at {other}"))),
    }
}

fn zone<'a>(state: &'a State, id: &str) -> Result<&'a Arc<Zone>> {
    state
        .zones
        .get(id)
        .ok_or_else(|| Refusal::new(404, "NoSuchHostedZone", format!("No hosted zone found with ID: {id}")))
}

fn change(world: &mut World, caller: &Caller, id: &str, request: &Request) -> Result<String> {
    let mut changes = request.changes.clone().unwrap_or_else(|| batch::read(&request.body))?;
    changes.iter_mut().for_each(|change| change.record.creator = caller.creator());
    let set = |of: &dyn Fn(&Change) -> String| changes.iter().map(of).collect::<BTreeSet<_>>().into_iter().collect();
    let facts = Facts::from([
        ("route53:ChangeResourceRecordSetsRecordTypes".to_owned(), set(&|change| change.kind.clone())),
        ("route53:ChangeResourceRecordSetsActions".to_owned(), set(&|change| change.action.name().to_owned())),
        (
            "route53:ChangeResourceRecordSetsNormalizedRecordNames".to_owned(),
            set(&|change| names::normal(&change.name).unwrap_or_default().trim_end_matches('.').to_owned()),
        ),
    ]);
    caller.may("route53:ChangeResourceRecordSets", &format!("arn:aws:route53:::hostedzone/{id}"), &facts)?;
    let zone = Arc::clone(zone(&world.state, id)?);
    let busy = world.busy.get(id).is_some_and(|at| caller.now < *at + world.options.zone_busy);
    if busy {
        return refuse(
            "PriorRequestNotComplete",
            "The request was rejected because Route 53 was still processing a prior request.",
        );
    }
    let after = batch::apply(&zone, &changes, &world.options.limits)?;
    put_records(world, &zone, after);
    let told: Vec<String> = changes.iter().map(Change::told).collect();
    world.changed(caller.now, format!("{id} ({}): {}", zone.name, told.join(", ")));
    world.busy.insert(id.to_owned(), caller.now);
    let change = format!("C{:012}", world.number());
    world.changes.insert(change.clone(), caller.now);
    Ok(change_info(world, &change, caller.now, caller.now))
}

/// What a record is counted as.
fn counted(key: &RecordKey) -> String {
    let set = key.set().map(|set| format!(" {set}")).unwrap_or_default();
    format!("record {} {}{set}", key.plain_name(), key.kind())
}

/// Replaces a zone's records: what differs is counted, what is as it was keeps who made it.
pub(super) fn put_records(world: &mut World, zone: &Zone, mut after: BTreeMap<RecordKey, Arc<RecordSet>>) {
    for (key, before) in zone.records.iter() {
        match after.get_mut(key) {
            Some(record) if Arc::ptr_eq(record, before) => {}
            Some(record) if record.same(before) => *record = Arc::clone(before),
            _ => world.gone(before.creator, counted(key)),
        }
    }
    for (key, record) in &after {
        if zone.records.get(key).is_none_or(|before| !Arc::ptr_eq(before, record)) {
            world.made(record.creator, counted(key));
        }
    }
    if let Some(zone) = world.state.zones.edit(&zone.id) {
        zone.records = Arc::new(after);
    }
}

fn get_change(world: &World, caller: &Caller, id: &str) -> Result<String> {
    caller.may("route53:GetChange", &format!("arn:aws:route53:::change/{id}"), &Facts::new())?;
    match world.changes.get(id) {
        Some(at) => Ok(change_info(world, id, *at, caller.now)),
        None => Err(Refusal::new(404, "NoSuchChange", format!("Could not find resource with ID: {id}"))),
    }
}

fn change_info(world: &World, id: &str, submitted: Duration, now: Duration) -> String {
    let done = now >= submitted + world.options.propagation;
    let mut xml = Xml::default();
    xml.within("ChangeInfo", |xml| {
        xml.put("Id", format!("/change/{id}"));
        xml.put("Status", if done { "INSYNC" } else { "PENDING" });
        xml.put("SubmittedAt", timestamp(world.began + submitted));
    });
    xml.0
}

/// `2026-01-01T00:00:00.000Z`.
pub(super) fn timestamp(at: SystemTime) -> String {
    match jiff::Timestamp::try_from(at) {
        Ok(at) => at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(),
        Err(_) => "1970-01-01T00:00:00.000Z".to_owned(),
    }
}

/// What a change by hand does.
pub(super) fn by_hand(world: &mut World, zone: &str, change: Change) -> Result<String> {
    let zone = Arc::clone(self::zone(&world.state, zone)?);
    // The console replaces what is there.
    let change = match change.action {
        Action::Create => Change { action: Action::Upsert, ..change },
        _ => change,
    };
    let after = batch::apply(&zone, std::slice::from_ref(&change), &world.options.limits)?;
    put_records(world, &zone, after);
    Ok(format!("{} ({}): {}", zone.id, zone.name, change.told()))
}
