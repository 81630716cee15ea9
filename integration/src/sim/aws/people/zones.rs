//! Hosted zones and their records.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Context as _, Result, fail};
use crate::sim::event::Actor;

use super::super::Aws;
use super::super::route53::batch::{Action, Change};
use super::super::route53::names::{RecordKey, normal};
use super::super::route53::{by_hand, put_records};
use super::super::state::{RecordSet, Zone};
use super::refused;

impl Aws {
    /// Makes a hosted zone with its NS and SOA records, delegated to, and returns its id.
    ///
    /// # Errors
    /// When the name is none.
    pub fn create_zone(&self, actor: Actor, name: &str, private: bool) -> Result<String> {
        self.act(actor, |world, now| {
            let name = normal(name).map_err(|what| crate::error::Error::new(format!("{name}: {what}")))?;
            let drawn = world.random.next() & 0xffff_ffff;
            let id = format!("Z{drawn:08X}{:05}", world.number());
            let creator = actor.creator();
            let record = |ttl, values: &[&str]| {
                let values = values.iter().map(|value| (*value).to_owned()).collect();
                Arc::new(RecordSet { ttl: Some(ttl), values, other: BTreeMap::new(), creator })
            };
            let records = BTreeMap::from([
                (
                    RecordKey::of_normal(name.clone(), "NS", None),
                    record(172_800, &["ns-1.awsdns-01.com.", "ns-2.awsdns-02.net."]),
                ),
                (
                    RecordKey::of_normal(name.clone(), "SOA", None),
                    record(900, &["ns-1.awsdns-01.com. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400"]),
                ),
            ]);
            let zone = Zone {
                id: id.clone(),
                name: name.clone(),
                private,
                delegated: true,
                records: Arc::new(records),
                creator,
            };
            world.state.zones.put(id.clone(), zone);
            world.changed(now, format!("zone {id} ({name}) is made"));
            Ok(id)
        })
    }

    /// Deletes a hosted zone with all that is in it.
    ///
    /// # Errors
    /// When there is no such zone.
    pub fn delete_zone(&self, actor: Actor, id: &str) -> Result<()> {
        self.act(actor, |world, now| {
            let zone = world.state.zones.get(id).context(format!("there is no zone {id}"))?.clone();
            put_records(world, &zone, BTreeMap::new());
            world.state.zones.take(id);
            world.changed(now, format!("zone {id} ({}) is deleted", zone.name));
            Ok(())
        })
    }

    /// The parent zone points at the zone, or no longer.
    ///
    /// # Errors
    /// When there is no such zone.
    pub fn set_delegated(&self, actor: Actor, id: &str, delegated: bool) -> Result<()> {
        self.act(actor, |world, now| {
            world.state.zones.edit(id).context(format!("there is no zone {id}"))?.delegated = delegated;
            world.changed(now, format!("zone {id}: delegated {delegated}"));
            Ok(())
        })
    }

    /// Makes a record, or replaces it.
    ///
    /// # Errors
    /// When Route 53 wouldn't take it.
    pub fn put_record(
        &self,
        actor: Actor,
        zone: &str,
        name: &str,
        kind: &str,
        ttl: u32,
        values: &[&str],
    ) -> Result<()> {
        let mut values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        values.sort();
        let record = RecordSet { ttl: Some(ttl), values, other: BTreeMap::new(), creator: actor.creator() };
        self.put_record_set(actor, zone, name, kind, None, record)
    }

    /// Makes any record, or replaces it: weighted ones, aliases.
    ///
    /// # Errors
    /// When Route 53 wouldn't take it.
    pub fn put_record_set(
        &self,
        actor: Actor,
        zone: &str,
        name: &str,
        kind: &str,
        set: Option<&str>,
        record: RecordSet,
    ) -> Result<()> {
        self.act(actor, |world, now| {
            let (name, kind, set) = (name.to_owned(), kind.to_owned(), set.map(str::to_owned));
            let what = refused(by_hand(world, zone, Change { action: Action::Create, name, kind, set, record }))?;
            world.changed(now, what);
            Ok(())
        })
    }

    /// Deletes a record.
    ///
    /// # Errors
    /// When there is none.
    pub fn delete_record(&self, actor: Actor, zone: &str, name: &str, kind: &str) -> Result<()> {
        self.act(actor, |world, now| {
            let Some(there) = world.state.record(zone, name, kind) else {
                return fail(format!("there is no record {name} {kind} in {zone}"));
            };
            let record = (**there).clone();
            let (name, kind) = (name.to_owned(), kind.to_owned());
            let what = refused(by_hand(world, zone, Change { action: Action::Delete, name, kind, set: None, record }))?;
            world.changed(now, what);
            Ok(())
        })
    }
}
