//! Takes the steps on record sets: many names of a zone in one batch, each name a compare-and-swap of its own
//! (DELETE of exactly what was read, CREATE of what is wanted; never UPSERT). A batch is all or nothing: one that
//! is refused for what a change in it is, or for lack of permission, is split until the bad change is alone.

use std::collections::VecDeque;

use aws_api::route53;

use super::apply::{Effect, Failure, Taken};
use super::doubts::Doubt;
use super::error::{Next, StepError, lacks_permission};
use super::{Cloud, zones};
use crate::expose::dns::address_key;
use crate::expose::plan::RecordChange;
use crate::expose::{Reason, Record, RecordKey, RecordType, Step, ZoneId};

/// At most this many values in a batch (Route 53).
const VALUES_PER_BATCH: usize = 1000;

/// At most this many characters in all values of a batch (Route 53).
const CHARACTERS_PER_BATCH: usize = 32_000;

/// After so many names in a row that are denied each by itself a zone counts as denied as a whole.
const DENIALS_IN_A_ROW: usize = 8;

/// A change of one name on its way: its place among the steps, and the step.
#[derive(Clone, Copy)]
pub(super) struct Unit<'a> {
    pub index: usize,
    pub step: &'a Step,
    pub change: &'a RecordChange,
}

impl Unit<'_> {
    /// Whether a record is put back as it was: as proof that it still is.
    fn keeps_a_record(&self) -> bool {
        self.change.delete.iter().any(|(key, record)| self.change.create.get(key) == Some(record))
    }

    /// Whether an ownership record is deleted as one that no address belongs to.
    fn deletes_a_lone_twin(&self) -> bool {
        self.change.create.is_empty() && !self.change.delete.contains_key(&address_key(&self.change.name))
    }

    /// Values and characters, as Route 53 counts them.
    fn size(&self) -> (usize, usize) {
        let records = || self.change.delete.values().chain(self.change.create.values());
        let values = records().map(|record| record.values.len().max(1)).sum();
        let characters = records().flat_map(|record| &record.values).map(|value| value.chars().count()).sum();
        (values, characters)
    }
}

/// As few batches as the limits allow, in order.
fn pack(units: Vec<Unit<'_>>) -> VecDeque<Vec<Unit<'_>>> {
    let mut batches: VecDeque<Vec<Unit<'_>>> = VecDeque::new();
    let (mut values, mut characters) = (0, 0);
    for unit in units {
        let (more_values, more_characters) = unit.size();
        values += more_values;
        characters += more_characters;
        match batches.back_mut() {
            Some(batch) if values <= VALUES_PER_BATCH && characters <= CHARACTERS_PER_BATCH => batch.push(unit),
            _ => {
                (values, characters) = (more_values, more_characters);
                batches.push_back(vec![unit]);
            }
        }
    }
    batches
}

/// Puts the two halves of a batch in front.
fn halve<'a>(batch: &[Unit<'a>], batches: &mut VecDeque<Vec<Unit<'a>>>) {
    let (first, second) = batch.split_at(batch.len() / 2);
    batches.push_front(second.to_vec());
    batches.push_front(first.to_vec());
}

impl Cloud {
    /// Takes all changes in one zone.
    pub(super) async fn change_zone(&self, zone: &ZoneId, units: Vec<Unit<'_>>) -> Vec<(usize, Taken)> {
        let mut results = Vec::new();
        let (alone, mut units): (Vec<_>, Vec<_>) = units.into_iter().partition(Unit::deletes_a_lone_twin);
        for unit in alone {
            match self.has_address(zone, &unit).await {
                Ok(false) => units.push(unit),
                Ok(true) => results.push((unit.index, Err(not_alone(&unit)))),
                Err(error) => results.push((unit.index, Err(failure(&unit, &error)))),
            }
        }
        let mut batches = pack(units);
        let mut stopped: Option<aws_api::Error> = None;
        let mut denials = 0;
        while let Some(batch) = batches.pop_front() {
            let began = self.now();
            let result = match stopped.clone() {
                Some(error) => Err(error),
                None => self.take_batch(zone, &batch).await,
            };
            match result {
                Ok(info) => {
                    denials = 0;
                    for unit in &batch {
                        self.tell(unit.step, began);
                        let pending = (info.status != route53::ChangeStatus::Insync).then(|| info.id.clone());
                        results.push((unit.index, Ok(vec![Effect::Records(unit.change.clone(), pending)])));
                    }
                }
                Err(error) if stopped.is_some() => {
                    results.extend(batch.iter().map(|unit| (unit.index, Err(failure(unit, &error)))));
                }
                // A policy may permit names one by one.
                Err(error) if lacks_permission(&error) && batch.len() > 1 => halve(&batch, &mut batches),
                Err(error) if lacks_permission(&error) => {
                    denials += 1;
                    results.extend(batch.iter().map(|unit| (unit.index, Err(failure(unit, &error)))));
                    stopped = (denials >= DENIALS_IN_A_ROW).then_some(error);
                }
                Err(error) if batch.len() > 1 && is_about_a_change(&error) => halve(&batch, &mut batches),
                Err(error) => {
                    results.extend(batch.iter().map(|unit| (unit.index, Err(failure(unit, &error)))));
                    if !is_about_a_change(&error) {
                        // It is about the zone, the account or the way there: the other batches would fare no better.
                        stopped = Some(error);
                    }
                }
            }
        }
        results
    }

    /// Whether the name has an address record after all that may be ours. A batch can't say that a record must not be
    /// there, and without its twin the address would be nobody's for ever: so it is looked at once more.
    async fn has_address(&self, zone: &ZoneId, unit: &Unit<'_>) -> Result<bool, aws_api::Error> {
        let request = route53::ListResourceRecordSets {
            hosted_zone_id: zone.0.clone(),
            start_record_name: Some(escaped(&unit.change.name)),
            start_record_type: Some(route53::RRType::A),
            max_items: Some("1".to_owned()),
            ..Default::default()
        };
        let listed = self.dns.send(&request).await?.resource_record_sets;
        let is_it = |(key, record): (RecordKey, Record)| key == address_key(&unit.change.name) && record.is_plain();
        Ok(listed.into_iter().map(zones::record).any(is_it))
    }

    async fn take_batch(&self, zone: &ZoneId, batch: &[Unit<'_>]) -> Result<route53::ChangeInfo, aws_api::Error> {
        let result = self.send_batch(zone, batch, |_, _| true).await;
        match (&result, batch) {
            // Emulators (moto 5) judge a CREATE by what was there before the batch, and so never let a record stay as
            // it is. Route 53 itself doesn't refuse what the same batch has just deleted.
            (Err(error), [unit]) if is_only_about_creation(error) && unit.keeps_a_record() => {
                if !unit.change.changes() {
                    // It is as it was read: that was all to know.
                    return Ok(route53::ChangeInfo { status: route53::ChangeStatus::Insync, ..Default::default() });
                }
                self.send_batch(zone, batch, |change, key| change.delete.get(key) != change.create.get(key)).await
            }
            _ => result,
        }
    }

    /// Sends those parts of the changes that are `wanted`.
    async fn send_batch(
        &self,
        zone: &ZoneId,
        batch: &[Unit<'_>],
        wanted: impl Fn(&RecordChange, &RecordKey) -> bool,
    ) -> Result<route53::ChangeInfo, aws_api::Error> {
        let change = |action: route53::ChangeAction, (key, record): (&RecordKey, &Record)| route53::Change {
            action,
            resource_record_set: record_set(key, record),
        };
        let mut changes = Vec::new();
        for unit in batch {
            let wanted = |(key, _): &(&RecordKey, &Record)| wanted(unit.change, key);
            changes.extend(unit.change.delete.iter().filter(wanted).map(|r| change(route53::ChangeAction::Delete, r)));
            changes.extend(unit.change.create.iter().filter(wanted).map(|r| change(route53::ChangeAction::Create, r)));
        }
        let request = route53::ChangeResourceRecordSets {
            hosted_zone_id: zone.0.clone(),
            change_batch: route53::ChangeBatch { comment: None, changes },
        };
        Ok(self.dns.send(&request).await?.change_info)
    }
}

/// Whether one change in the batch is bad, rather than all of it.
fn is_about_a_change(error: &aws_api::Error) -> bool {
    !error.refused && (error.is("InvalidChangeBatch") || error.is("InvalidInput"))
}

/// Whether nothing but creations was refused: what the batch deletes was there as it said.
fn is_only_about_creation(error: &aws_api::Error) -> bool {
    let says = |text: &str| error.message.contains(text);
    error.is("InvalidChangeBatch") && says("already exists") && !says("delete")
}

fn not_alone(unit: &Unit<'_>) -> Failure {
    let message = format!("could not {}: the name has an address record after all; it is read again", unit.step.action);
    let failure = Failure::doubtful(unit.step, StepError::new(Reason::Progressing, Next::Replan, message));
    Failure { contradicted: true, ..failure }
}

fn failure(unit: &Unit<'_>, error: &aws_api::Error) -> Failure {
    if error.is("NoSuchHostedZone") {
        let message = format!(
            "could not {}: {}; make a hosted zone for the name, or ask for a name in another one",
            unit.step.action,
            error.summary()
        );
        let mut failure = Failure::doubtful(unit.step, StepError::new(Reason::ZoneNotFound, Next::Replan, message));
        failure.doubts.push(Doubt::Zones);
        return failure;
    }
    if is_about_a_change(error) {
        // Most often the records aren't as they were read; what else it is shows when it is tried again.
        let message = format!(
            "could not {}: {}; it is read and tried again by itself, but a record of somebody else has to be \
             taken out of the way by hand",
            unit.step.action,
            error.summary()
        );
        let failure = Failure::doubtful(unit.step, StepError::new(Reason::Failed, Next::Replan, message));
        return Failure { contradicted: true, ..failure };
    }
    Failure::of(unit.step, error)
}

fn record_set(key: &RecordKey, record: &Record) -> route53::ResourceRecordSet {
    route53::ResourceRecordSet {
        name: escaped(&key.name),
        r#type: match &key.kind {
            RecordType::A => route53::RRType::A,
            RecordType::Txt => route53::RRType::Txt,
            RecordType::Other(kind) => route53::RRType::from(kind.as_str()),
        },
        set_identifier: Some(key.set.clone()).filter(|set| !set.is_empty()),
        ttl: record.ttl.map(i64::from),
        resource_records: record.values.iter().map(|value| route53::ResourceRecord { value: value.clone() }).collect(),
        ..Default::default()
    }
}

/// A normal name as Route 53 takes it: what isn't a printable character of ASCII is escaped in octal. A backslash in
/// a normal name is part of such an escape already.
fn escaped(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 1);
    for byte in name.bytes() {
        if byte.is_ascii_graphic() {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("\\{byte:03o}"));
        }
    }
    out.push('.');
    out
}
