//! The objects of one kind as last seen, and the rules by which a newer look replaces an older one. No I/O.
//!
//! Resource versions are compared as numbers where both are numbers, as Kubernetes promises since 1.35; where one
//! is not, the later arrival counts as newer.

use super::objects::{Broken, Identity, Key};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Lists that are older than what was seen before are refused for so long. After that the history itself has been
/// rewound (etcd restored from a backup): lists are reads of the latest state, and the view is too old to decide on.
const REWOUND: Duration = Duration::from_secs(180);

/// Whether version `a` is older than version `b`.
pub(super) fn older(a: &str, b: &str) -> bool {
    match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(a), Ok(b)) => a < b,
        _ => false,
    }
}

/// One object.
pub(super) struct Entry<T> {
    /// Its uid.
    pub uid: String,
    /// Resource version of the last look, decodable or not.
    pub version: String,
    /// The last version that could be decoded.
    pub good: Option<T>,
    /// Why the last version couldn't be decoded.
    pub broken: Option<Broken>,
}

/// A complete list, decoded item by item.
pub(super) struct Listing<T> {
    /// Resource version of the list.
    pub version: String,
    /// What it holds.
    pub items: Vec<(Identity, Result<T, Broken>)>,
    /// How many of its items don't even tell which object they are.
    pub nameless: usize,
}

/// What became of a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Replaced {
    /// It is the view now; whether that changed anything.
    Applied(bool),
    /// It is older than what was seen before: refused.
    Older,
    /// It is the view now (`changed`: it wasn't before), but for so many objects that are missing and were known: it takes
    /// a second list to believe that.
    Shrunken { missing: usize, changed: bool },
    /// It is the first list: whatever it lacks, nobody could tell. Another one makes the view complete.
    First,
}

/// All objects of one kind.
pub(super) struct Store<T> {
    items: BTreeMap<Key, Entry<T>>,
    complete: bool,
    /// Nothing is decided on it before another list is taken in.
    distrusted: bool,
    /// Whether a list was taken in, since what was known before was distrusted.
    listed: bool,
    highest: Option<u64>,
    alive_at: Option<Duration>,
    /// Since when all lists have been refused for their age.
    refused_since: Option<Duration>,
    /// What the last list, not yet believed, said to be gone.
    suspicion: Option<BTreeSet<Key>>,
}

impl<T> Default for Store<T> {
    fn default() -> Store<T> {
        Store {
            items: BTreeMap::new(),
            complete: false,
            distrusted: false,
            listed: false,
            highest: None,
            alive_at: None,
            refused_since: None,
            suspicion: None,
        }
    }
}

impl<T: PartialEq> Store<T> {
    /// Whether two lists were taken in: what both lack isn't there.
    pub fn complete(&self) -> bool {
        self.complete
    }

    /// Nothing is decided on what is known before another list is taken in.
    pub fn distrust(&mut self) {
        self.distrusted = true;
        self.listed = false;
    }

    /// Whether a list is wanted before anything is decided on what is known.
    pub fn is_distrusted(&self) -> bool {
        self.distrusted
    }

    /// The last sign that the view is current.
    pub fn alive_at(&self) -> Option<Duration> {
        self.alive_at
    }

    /// The API server was heard at `now`.
    pub fn alive(&mut self, now: Duration) {
        self.alive_at = Some(now);
    }

    /// The highest resource version seen.
    pub fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// A resource version was seen.
    pub fn saw(&mut self, version: &str) {
        if let Ok(version) = version.parse() {
            self.highest = self.highest.max(Some(version));
        }
    }

    /// The object's last look.
    pub fn entry(&self, key: &Key) -> Option<&Entry<T>> {
        self.items.get(key)
    }

    /// The object's last good version.
    pub fn get(&self, key: &Key) -> Option<&T> {
        self.items.get(key)?.good.as_ref()
    }

    /// All objects.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Entry<T>)> {
        self.items.iter()
    }

    /// Takes in one object. Older than what is there: ignored. Not decodable: the last good version stays.
    /// Returns whether anything relevant changed.
    pub fn put(&mut self, identity: Identity, object: Result<T, Broken>) -> bool {
        self.saw(&identity.version);
        let Some(entry) = self.items.get_mut(&identity.key) else {
            let (good, broken) = match object {
                Ok(object) => (Some(object), None),
                Err(broken) => (None, Some(broken)),
            };
            let entry = Entry { uid: identity.uid, version: identity.version, good, broken };
            self.items.insert(identity.key, entry);
            return true;
        };
        if older(&identity.version, &entry.version) {
            return false;
        }
        // It is there: a list that lacks it was wrong.
        if let Some(suspicion) = &mut self.suspicion {
            suspicion.remove(&identity.key);
        }
        entry.version = identity.version;
        let recreated = entry.uid != identity.uid;
        if recreated {
            // The last good version is another object's: nothing of it is true of this one.
            entry.uid = identity.uid;
            entry.good = None;
        }
        match object {
            Ok(object) => {
                let changed = entry.broken.is_some() || entry.good.as_ref() != Some(&object);
                entry.good = Some(object);
                entry.broken = None;
                changed
            }
            Err(broken) => {
                let changed = recreated || entry.broken.as_ref() != Some(&broken);
                entry.broken = Some(broken);
                changed
            }
        }
    }

    /// The object is gone, as of `identity.version`. Ignored where something newer is there.
    pub fn remove(&mut self, identity: &Identity) -> bool {
        self.saw(&identity.version);
        let stale = self.items.get(&identity.key).is_none_or(|e| older(&identity.version, &e.version));
        !stale && self.items.remove(&identity.key).is_some()
    }

    /// The object, where its last version couldn't be read and an earlier one is kept.
    pub fn kept(&mut self, key: &Key) -> Option<&mut Entry<T>> {
        self.items.get_mut(key).filter(|entry| entry.broken.is_some())
    }

    /// Takes a complete list, read at `now`, for the view. `floor`: the highest resource version seen when the list was
    /// asked for.
    pub fn replace(&mut self, listing: Listing<T>, floor: Option<u64>, now: Duration) -> Replaced {
        let version = listing.version.parse::<u64>().ok();
        if version.is_some_and(|v| floor.is_some_and(|f| v < f)) {
            let since = *self.refused_since.get_or_insert(now);
            if now.saturating_sub(since) < REWOUND {
                return Replaced::Older;
            }
            // No version from before says anything any more.
            self.highest = None;
            self.items.values_mut().for_each(|entry| entry.version.clear());
        }
        self.refused_since = None;
        let listed: BTreeSet<&Key> = listing.items.iter().map(|(i, _)| &i.key).collect();
        let gone: BTreeSet<Key> = self
            .items
            .iter()
            // What was written or read since the list was asked for is newer than the list.
            .filter(|(k, e)| !listed.contains(k) && !older(&listing.version, &e.version))
            .map(|(k, _)| k.clone())
            .collect();
        // Each one by itself: where objects come and go all the time, no two lists lack the same ones.
        let before = self.suspicion.take().unwrap_or_default();
        let (confirmed, first): (BTreeSet<Key>, BTreeSet<Key>) = gone.into_iter().partition(|key| before.contains(key));
        let mut changed = false;
        // An item without a name could be any of those that seem to be gone.
        if listing.nameless == 0 {
            for key in &confirmed {
                changed |= self.items.remove(key).is_some();
            }
        }
        self.saw(&listing.version);
        for (identity, object) in listing.items {
            changed |= self.put(identity, object);
        }
        let second = std::mem::replace(&mut self.listed, true);
        // What only this list lacks was in the one before: by the two of them all is known anew.
        if second || first.is_empty() {
            changed |= !self.complete || self.distrusted;
            self.distrusted = false;
        }
        self.complete |= second;
        if !first.is_empty() {
            let missing = first.len();
            self.suspicion =
                Some(if listing.nameless == 0 { first } else { confirmed.into_iter().chain(first).collect() });
            return Replaced::Shrunken { missing, changed };
        }
        if self.complete { Replaced::Applied(changed) } else { Replaced::First }
    }
}
