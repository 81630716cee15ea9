//! What a Lease object says, and how it must look for the crate to draw our conclusion from it. Pure: values in,
//! values out. Times in the object are never read: they come from other machines' clocks.

use crate::clock::SharedClock;
use crate::expose::{Closed, GroupId, PREFIX};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

/// A moment that has passed by every clock: the crate finds the Lease expired.
const LONG_AGO: &str = "1970-01-01T00:00:00.000000Z";
/// A moment that has passed by no clock: the crate finds the Lease alive.
const NEVER: &str = "9000-01-01T00:00:00.000000Z";
/// What the crate's `step_down` writes for a duration.
const RELEASED: i64 = 1;

/// In the place of the groups of which something is closed: too many to name.
const ANY: &str = "*";

/// What matters of a Lease object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub version: String,
    pub uid: String,
    /// Empty: nobody.
    pub holder: String,
    /// In seconds; 0 when it is missing.
    pub duration: i64,
    /// When it was renewed, by the holder's clock and as text: only ever compared with itself. May be empty.
    pub renewed: String,
    pub transitions: i64,
    /// What it tells of closings of its holder.
    pub closed: Closed,
}

impl Record {
    /// Of a Lease object; `None` without a resourceVersion.
    pub fn read(lease: &Value) -> Option<Record> {
        let text = |at: &str| lease.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
        let version = text("/metadata/resourceVersion");
        (!version.is_empty()).then(|| Record {
            version,
            uid: text("/metadata/uid"),
            holder: text("/spec/holderIdentity"),
            duration: lease.pointer("/spec/leaseDurationSeconds").and_then(Value::as_i64).unwrap_or_default(),
            renewed: text("/spec/renewTime"),
            transitions: lease.pointer("/spec/leaseTransitions").and_then(Value::as_i64).unwrap_or_default(),
            closed: lease
                .pointer("/metadata/annotations")
                .and_then(|all| all.get(annotation())?.as_str())
                .map(closed)
                .unwrap_or_default(),
        })
    }

    /// Given up in an orderly way: the former leader's writes are over.
    pub fn is_released(&self) -> bool {
        self.holder.is_empty() && self.duration == RELEASED
    }

    /// Whether nobody has renewed or taken it since it was `before`: somebody may have labelled it.
    pub fn is_unrenewed_since(&self, before: &Record) -> bool {
        let what = |record: &Record| {
            (record.uid.clone(), record.holder.clone(), record.renewed.clone(), record.transitions, record.duration)
        };
        !self.renewed.is_empty() && what(self) == what(before)
    }

    /// How long it must stay unchanged to count as expired. Never less than our own duration: a person who shortens
    /// it doesn't stop the leader.
    pub fn lasts(&self, at_least: Duration) -> Duration {
        Duration::from_secs(self.duration.clamp(0, 3600).unsigned_abs()).max(at_least)
    }
}

/// What a candidate has seen last, and since when it is unchanged on our own clock.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub record: Record,
    /// After the first answer that showed it.
    pub since: Duration,
}

impl Seen {
    /// When it expires, if nothing changes it until then.
    pub fn expires(&self, at_least: Duration) -> Duration {
        self.since + self.record.lasts(at_least)
    }
}

fn object<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Map<String, Value>> {
    let entry = value.as_object_mut()?.entry(key).or_insert_with(|| json!({}));
    if !entry.is_object() {
        *entry = json!({});
    }
    entry.as_object_mut()
}

/// Makes the Lease object plain, so that the crate acquires it if `free` and else leaves it alone.
pub(super) fn rewrite(lease: &mut Value, record: &Record, free: bool) {
    let Some(spec) = object(lease, "spec") else { return };
    let transitions = spec.get("leaseTransitions").and_then(Value::as_i64).unwrap_or_default();
    // The crate adds one.
    let transitions = transitions.clamp(0, i64::from(i32::MAX) - 1);
    *spec = Map::from_iter([
        ("holderIdentity".to_owned(), json!(record.holder)),
        ("renewTime".to_owned(), json!(if free { LONG_AGO } else { NEVER })),
        ("leaseDurationSeconds".to_owned(), json!(RELEASED)),
        ("leaseTransitions".to_owned(), json!(transitions)),
    ]);
}

/// Whether the crate's PATCH gives the Lease up.
pub(super) fn gives_up(patch: &Value) -> bool {
    patch.pointer("/spec/holderIdentity").and_then(Value::as_str) == Some("")
}

/// Makes the crate's PATCH conditional on the Lease being what it was when it was read.
pub(super) fn bind(patch: &mut Value, version: &str) -> bool {
    let Some(metadata) = object(patch, "metadata") else { return false };
    metadata.insert("resourceVersion".to_owned(), json!(version));
    true
}

/// Makes a PATCH tell of what this process closes.
pub(super) fn tell_of_closings(patch: &mut Value, closed: &Closed) {
    object(patch, "metadata");
    let Some(annotations) = patch.get_mut("metadata").and_then(|metadata| object(metadata, "annotations")) else {
        return;
    };
    let value = match closed {
        Closed::Any => json!(ANY),
        Closed::Of(groups) if groups.is_empty() => Value::Null,
        Closed::Of(groups) => json!(groups.iter().map(|group| group.0.as_str()).collect::<Vec<_>>().join(",")),
    };
    annotations.insert(annotation(), value);
}

/// The annotation that tells of them.
fn annotation() -> String {
    format!("{PREFIX}closes")
}

fn closed(text: &str) -> Closed {
    let groups: BTreeSet<GroupId> =
        text.split(',').map(str::trim).filter(|id| !id.is_empty()).map(|id| GroupId(id.to_owned())).collect();
    if groups.contains(&GroupId(ANY.to_owned())) { Closed::Any } else { Closed::Of(groups) }
}

/// Puts our own wall clock in the place of the crate's, so that simulated histories can be replayed.
pub(super) fn stamp(body: &mut Value, clock: &SharedClock) {
    let Some(time) = micro_time(clock.wall()) else { return };
    for key in ["/spec/renewTime", "/spec/acquireTime"] {
        if let Some(value) = body.pointer_mut(key) {
            *value = json!(time);
        }
    }
}

/// As a Kubernetes MicroTime.
fn micro_time(wall: SystemTime) -> Option<String> {
    Some(format!("{:.6}", jiff::Timestamp::try_from(wall).ok()?))
}
