//! What is kept of a write beside the object: a line for people, and the record of Leases.

use serde_json::Value;

use super::kinds::Resource;
use super::look::{LeaseWrite, duration, holder};
use super::store::{Key, Store};
use super::write::Write;

impl Write<'_> {
    /// Remembers who wrote a Lease, and when.
    pub fn note_lease(&self, store: &mut Store, key: &Key, before: Option<&Value>, after: Option<&Value>) {
        if self.resource() == Resource::Leases {
            self.note_lease_of(store, key, before, after);
        }
    }

    /// The same of what is known to be a Lease.
    pub fn note_lease_of(&self, store: &mut Store, key: &Key, before: Option<&Value>, after: Option<&Value>) {
        store.leases.push(LeaseWrite {
            call: self.call,
            actor: self.user.actor,
            sent: self.sent,
            accepted: self.now,
            lease: key.clone(),
            before: before.map(holder).unwrap_or_default(),
            holder: after.map(holder).unwrap_or_default(),
            duration: after.and_then(duration),
            deleted: after.is_none(),
        });
    }
}

/// A change, for people.
pub(super) fn told(verb: &str, resource: Resource, key: &Key, before: Option<&Value>, after: Option<&Value>) -> String {
    let place = if key.0.is_empty() { key.1.clone() } else { format!("{}/{}", key.0, key.1) };
    let mut out = format!("{verb} {} {place}", resource.plural());
    let pointers: &[(&str, &str)] = match resource.shelf() {
        Resource::Services => &[
            ("externalIPs", "/spec/externalIPs"),
            ("ports", "/spec/ports"),
            ("annotations", "/metadata/annotations"),
            ("conditions", "/status/conditions"),
            ("ingress", "/status/loadBalancer/ingress"),
        ],
        Resource::Leases => &[("holder", "/spec/holderIdentity")],
        Resource::Nodes => &[("addresses", "/status/addresses"), ("labels", "/metadata/labels")],
        Resource::Events => &[("reason", "/reason"), ("message", "/message")],
        _ => &[],
    };
    for (name, pointer) in pointers {
        let of = |value: Option<&Value>| value.and_then(|value| value.pointer(pointer)).cloned();
        let (was, is) = (of(before), of(after));
        match (was, is) {
            (was, is) if was == is => {}
            (_, Some(is)) if after.is_some() => out += &format!(", {name} {is}"),
            (Some(_), None) if after.is_some() => out += &format!(", no {name}"),
            _ => {}
        }
    }
    out
}
