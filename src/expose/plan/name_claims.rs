//! Whose a hostname is: Services of one namespace may share it, Services of others may not have it. Who has it keeps
//! it for as long as it asks, else the eldest gets it.

use std::collections::{BTreeMap, BTreeSet};

use super::super::dns::{NameKey, OwnedName};
use super::super::{Exposure, Policy, Reason, Rejection, ServiceKey, Settings};

/// Those of `wishes` that ask for a name which is a Service's of another namespace. A Service that is `rejected` keeps
/// the names that it has, whether it still asks for them or not.
pub(super) fn taken(
    wishes: &[&Exposure],
    rejected: &BTreeSet<ServiceKey>,
    unreadable: &BTreeSet<ServiceKey>,
    names: &BTreeMap<NameKey, OwnedName>,
    settings: &Settings,
) -> Vec<Rejection> {
    let mut holders: BTreeMap<&str, &ServiceKey> = BTreeMap::new();
    let asked: BTreeSet<(&ServiceKey, &str)> =
        wishes.iter().flat_map(|e| e.hostnames.iter().map(|h| (&e.service, h.as_str()))).collect();
    for owned in names.values() {
        let (key, name) = (&owned.service, owned.name.as_str());
        // Whether a Service out of scope still asks can't be seen: it may. So may one that can't be read.
        let holds = !settings.in_scope(key)
            || unreadable.contains(key)
            || settings.policy == Policy::UpsertOnly
            || rejected.contains(key)
            || asked.contains(&(key, name));
        if holds {
            holders.insert(name, key);
        }
    }
    let mut sorted = wishes.to_vec();
    sorted.sort_by_key(|wish| (wish.created, &wish.service));
    let mut rejections = Vec::new();
    for wish in sorted {
        let taken = wish.hostnames.iter().find_map(|hostname| {
            let holder = *holders.get(hostname.as_str())?;
            (holder.namespace != wish.service.namespace).then_some((hostname, holder))
        });
        let Some((hostname, holder)) = taken else {
            for hostname in &wish.hostnames {
                holders.entry(hostname.as_str()).or_insert(&wish.service);
            }
            continue;
        };
        rejections.push(Rejection {
            service: wish.service.clone(),
            uid: wish.uid.clone(),
            reason: Reason::HostnameTaken,
            message: format!(
                "`{hostname}` belongs to the Service {holder}, which is in another namespace: use another name, or \
                 give it up there"
            ),
        });
    }
    rejections
}
