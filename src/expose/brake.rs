//! The brake: when most of what is exposed would be withdrawn at once, that is more often an accident (a namespace
//! deleted, a backup restored, annotations lost in a migration) than a wish. Then nothing of it is removed before a
//! person says so. All that is judged is what is there now, so a restart changes nothing.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use super::firewall::described_service;
use super::{Observed, Policy, ServiceKey, Settings, Snapshot, annotations, dns};

/// So many Services may always stop asking at once.
const HANDFUL: usize = 5;

/// Withdrawals that wait for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The Services that have names or addresses of ours, or may have, and don't ask any more.
    pub leaving: BTreeSet<ServiceKey>,
    /// How many Services have names or addresses of ours, or may have.
    pub exposed: usize,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMED: usize = 3;
        let names: Vec<String> = self.leaving.iter().take(NAMED).map(ServiceKey::to_string).collect();
        let more = self.leaving.len().saturating_sub(NAMED);
        let and_more = if more == 0 { String::new() } else { format!(" and {more} more") };
        write!(
            f,
            "{} of {} exposed Services don't ask any more ({}{and_more}): what they have stays until the Services \
             come back, or until --allow-mass-delete says that this is meant",
            self.leaving.len(),
            self.exposed,
            names.join(", ")
        )
    }
}

/// The settings to plan with: those given, or, while the brake holds, the same without removals.
pub fn brake<'a>(
    snapshot: &Snapshot,
    observed: &Observed,
    settings: &'a Settings,
) -> (Cow<'a, Settings>, Option<Held>) {
    if settings.allow_mass_delete || settings.policy == Policy::UpsertOnly {
        return (Cow::Borrowed(settings), None);
    }
    let named = dns::owned_names(observed, settings).into_values().map(|name| name.service);
    let published = snapshot.services.values().filter(|service| service.owns_fields).map(|service| service.key.clone());
    let exposed = named.chain(published).chain(opened_for(observed));
    let exposed: BTreeSet<ServiceKey> = exposed.filter(|key| settings.in_scope(key)).collect();
    let stays = |key: &&ServiceKey| {
        let asks = |service| annotations::asks(service, settings);
        snapshot.unreadable.contains(*key) || snapshot.services.get(*key).is_some_and(asks)
    };
    let leaving: BTreeSet<ServiceKey> = exposed.iter().filter(|key| !stays(key)).cloned().collect();
    if leaving.len() <= HANDFUL || leaving.len() * 2 <= exposed.len() {
        return (Cow::Borrowed(settings), None);
    }
    let held = Held { leaving, exposed: exposed.len() };
    (Cow::Owned(Settings { policy: Policy::UpsertOnly, ..settings.clone() }), Some(held))
}

/// While there is a zone whose names aren't known, rules tell who may have some: those that they were made for.
fn opened_for(observed: &Observed) -> impl Iterator<Item = ServiceKey> {
    let unread = observed.zones.keys().any(|zone| !observed.records.contains_key(zone));
    let rules = observed.groups.values().filter(move |_| unread).flat_map(|group| group.rules.values());
    rules.filter_map(|description| described_service(description))
}
