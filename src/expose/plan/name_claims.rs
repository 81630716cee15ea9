//! Whose a hostname is: Services of one namespace may share it, Services of others may not have it. Who has it keeps
//! it for as long as it asks, else the eldest gets it.

use std::collections::{BTreeMap, BTreeSet};

use super::super::dns::{NameKey, OwnedName};
use super::super::{Exposure, Policy, Reason, Rejection, ServiceKey, Settings};

/// Takes out of `exposures` those that ask for a name which is a Service's of another namespace, and adds them to
/// `rejections`.
pub(super) fn settle(
    exposures: &mut Vec<Exposure>,
    rejections: &mut Vec<Rejection>,
    unreadable: &BTreeSet<ServiceKey>,
    names: &BTreeMap<NameKey, OwnedName>,
    settings: &Settings,
) {
    let mut holders: BTreeMap<String, ServiceKey> = BTreeMap::new();
    let rejected: BTreeSet<&ServiceKey> = rejections.iter().map(|rejection| &rejection.service).collect();
    let asked: BTreeSet<(&ServiceKey, &str)> =
        exposures.iter().flat_map(|e| e.hostnames.iter().map(|h| (&e.service, h.as_str()))).collect();
    for owned in names.values() {
        let (key, name) = (&owned.service, owned.name.as_str());
        // Whether a Service out of scope still asks can't be seen: it may. So may one that can't be read.
        let holds = !settings.in_scope(key)
            || unreadable.contains(key)
            || settings.policy == Policy::UpsertOnly
            || rejected.contains(key)
            || asked.contains(&(key, name));
        if holds {
            holders.insert(name.to_owned(), key.clone());
        }
    }
    exposures.sort_by(|one, other| (one.created, &one.service).cmp(&(other.created, &other.service)));
    exposures.retain(|exposure| {
        let taken = exposure.hostnames.iter().find_map(|hostname| {
            let holder = holders.get(hostname.as_str())?;
            (holder.namespace != exposure.service.namespace).then(|| (hostname, holder.clone()))
        });
        let Some((hostname, holder)) = taken else {
            for hostname in &exposure.hostnames {
                holders.entry(hostname.as_str().to_owned()).or_insert_with(|| exposure.service.clone());
            }
            return true;
        };
        rejections.push(Rejection {
            service: exposure.service.clone(),
            uid: exposure.uid.clone(),
            reason: Reason::HostnameTaken,
            message: format!(
                "`{hostname}` belongs to the Service {holder}, which is in another namespace: use another name, or \
                 give it up there"
            ),
        });
        false
    });
}
