//! All objects with their history: versions as etcd counts them, and enough of the past for pages, watches and stale
//! reads.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use super::kinds::{self, Resource};
use super::look::{LeaseWrite, View};
use super::managed::Manager;
use crate::sim::event::Creator;

/// Namespace (empty: none) and name.
pub(super) type Key = (String, String);

/// One version of an object. It never changes.
#[derive(Debug)]
pub(super) struct Stored {
    pub resource: Resource,
    /// Without kind, apiVersion and managed fields.
    pub value: Value,
    pub managers: Vec<Manager>,
    pub version: u64,
    pub creator: Creator,
    /// Of a Service: who put each of its addresses.
    pub addresses: BTreeMap<String, Creator>,
    text: OnceLock<Bytes>,
    view: OnceLock<View>,
}

impl Stored {
    pub fn new(
        resource: Resource,
        mut value: Value,
        managers: Vec<Manager>,
        version: u64,
        creator: Creator,
        addresses: BTreeMap<String, Creator>,
    ) -> Stored {
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("resourceVersion".to_owned(), version.to_string().into());
        }
        Stored { resource, value, managers, version, creator, addresses, text: OnceLock::new(), view: OnceLock::new() }
    }

    pub fn meta(&self, name: &str) -> &str {
        self.value.get("metadata").and_then(|meta| meta.get(name)).and_then(Value::as_str).unwrap_or_default()
    }

    pub fn uid(&self) -> &str {
        self.meta("uid")
    }

    /// The object with its managed fields, without kind and apiVersion.
    pub fn whole(&self) -> Value {
        let mut value = self.value.clone();
        if !self.managers.is_empty()
            && let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut)
        {
            metadata.insert("managedFields".to_owned(), json!(self.managers));
        }
        value
    }

    /// The same as JSON, made once.
    pub fn text(&self) -> &Bytes {
        // What is made of JSON values can be written as JSON.
        self.text.get_or_init(|| Bytes::from(serde_json::to_vec(&Whole(self)).unwrap_or_default()))
    }

    pub fn view(&self) -> &View {
        self.view.get_or_init(|| View::of(self))
    }
}

/// An object with its managed fields, without kind and apiVersion, to be written without being made first.
struct Whole<'a>(&'a Stored);

impl Serialize for Whole<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Value::Object(members) = &self.0.value else { return self.0.value.serialize(serializer) };
        let mut out = serializer.serialize_map(None)?;
        for (name, member) in members {
            match member {
                Value::Object(metadata) if name == "metadata" => {
                    out.serialize_entry(name, &Metadata(metadata, &self.0.managers))?;
                }
                _ => out.serialize_entry(name, member)?,
            }
        }
        out.end()
    }
}

struct Metadata<'a>(&'a Map<String, Value>, &'a [Manager]);

impl Serialize for Metadata<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Metadata(members, managers) = self;
        let mut out = serializer.serialize_map(None)?;
        for (name, member) in *members {
            out.serialize_entry(name, member)?;
        }
        if !managers.is_empty() {
            out.serialize_entry("managedFields", managers)?;
        }
        out.end()
    }
}

/// One change of one object.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub version: u64,
    pub key: Key,
    pub before: Option<Arc<Stored>>,
    pub after: Option<Arc<Stored>>,
    /// Of a deletion: the object as it was, with the deletion's version.
    pub last: Option<Arc<Stored>>,
}

/// All objects of one kind.
#[derive(Debug)]
pub(super) struct Shelf {
    pub objects: BTreeMap<Key, Arc<Stored>>,
    pub log: VecDeque<Change>,
    /// No watch may begin, and no old state be read, before this.
    pub compacted: u64,
    /// Wakes the watches in the order in which they wait: tokio's own `watch` draws which comes first.
    pub news: Arc<Notify>,
}

/// How much of the past is kept, in changes of each kind.
const HISTORY: usize = 2048;

/// What an API server and its database hold.
#[derive(Debug)]
pub(super) struct Store {
    pub version: u64,
    shelves: BTreeMap<Resource, Shelf>,
    /// When which version was the latest, for stale reads.
    times: VecDeque<(Duration, u64)>,
    uids: u64,
    pub leases: Vec<LeaseWrite>,
}

/// Where etcd's revisions stand when an API server has started: 1 would hide mistakes with short numbers.
const FIRST_VERSION: u64 = 1000;

impl Store {
    pub fn new() -> Store {
        let shelf = || Shelf { objects: BTreeMap::new(), log: VecDeque::new(), compacted: 0, news: Arc::default() };
        Store {
            version: FIRST_VERSION,
            shelves: kinds::ALL.into_iter().map(|resource| (resource, shelf())).collect(),
            times: VecDeque::new(),
            uids: 0,
            leases: Vec::new(),
        }
    }

    // Each resource has its shelf from the beginning.
    #[allow(clippy::expect_used)]
    pub fn shelf(&self, resource: Resource) -> &Shelf {
        self.shelves.get(&resource.shelf()).expect("a shelf for each resource")
    }

    #[allow(clippy::expect_used)]
    fn shelf_mut(&mut self, resource: Resource) -> &mut Shelf {
        self.shelves.get_mut(&resource.shelf()).expect("a shelf for each resource")
    }

    pub fn get(&self, resource: Resource, namespace: &str, name: &str) -> Option<&Arc<Stored>> {
        // Keys are owned: a look-up needs one.
        self.shelf(resource).objects.get(&(namespace.to_owned(), name.to_owned()))
    }

    /// A uid that nothing else has: counted, in the form of a random one.
    pub fn uid(&mut self) -> String {
        self.uids += 1;
        let mixed = self.uids.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            mixed >> 32,
            (mixed >> 16) & 0xffff,
            (mixed >> 4) & 0xfff,
            mixed & 0xfff,
            self.uids
        )
    }

    /// A number that no one else gets, for generated names.
    pub fn ticket(&mut self) -> u64 {
        self.uids += 1;
        self.uids.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    pub fn next_version(&mut self, now: Duration) -> u64 {
        self.version += 1;
        match self.times.back_mut() {
            Some((at, version)) if *at == now => *version = self.version,
            _ => self.times.push_back((now, self.version)),
        }
        if self.times.len() > 4 * HISTORY {
            self.times.pop_front();
        }
        self.version
    }

    /// Puts a version of an object, or takes it away. News aren't told yet.
    pub fn put(&mut self, resource: Resource, key: Key, object: Arc<Stored>) {
        let version = object.version;
        let shelf = self.shelf_mut(resource);
        let before = shelf.objects.insert(key.clone(), Arc::clone(&object));
        shelf.remember(Change { version, key, before, after: Some(object), last: None });
    }

    /// Takes an object away, with this version for the deletion.
    pub fn remove(&mut self, resource: Resource, key: Key, version: u64) -> Option<Arc<Stored>> {
        let shelf = self.shelf_mut(resource);
        let before = shelf.objects.remove(&key)?;
        let last = Arc::new(Stored::new(
            before.resource,
            before.value.clone(),
            before.managers.clone(),
            version,
            before.creator,
            before.addresses.clone(),
        ));
        let change = Change { version, key, before: Some(before), after: None, last: Some(Arc::clone(&last)) };
        shelf.remember(change);
        Some(last)
    }

    /// The latest version at a moment in the past, as far as that is remembered.
    pub fn version_at(&self, moment: Duration) -> u64 {
        let after = self.times.partition_point(|(at, _)| *at <= moment);
        match after.checked_sub(1).and_then(|last| self.times.get(last)) {
            Some((_, version)) => *version,
            None => self.times.front().map_or(self.version, |(_, version)| version - 1),
        }
    }

    /// The past of all kinds is forgotten: no watch may begin, and no page be read, from before now.
    pub fn compact(&mut self) {
        let version = self.version;
        for shelf in self.shelves.values_mut() {
            shelf.log.clear();
            shelf.compacted = version;
        }
    }

    /// Tells those who wait for changes of a kind; of all kinds where a namespace has changed.
    pub fn tell(&self, resource: Resource) {
        match resource {
            Resource::Namespaces => self.shelves.values().for_each(|shelf| shelf.news.notify_waiters()),
            resource => self.shelf(resource).news.notify_waiters(),
        }
    }
}

impl Shelf {
    fn remember(&mut self, change: Change) {
        self.log.push_back(change);
        if self.log.len() > HISTORY
            && let Some(forgotten) = self.log.pop_front()
        {
            self.compacted = forgotten.version;
        }
    }

    /// The changes after a version.
    pub fn after(&self, version: u64) -> impl Iterator<Item = &Change> {
        self.log.range(self.log.partition_point(|change| change.version <= version)..)
    }

    /// All objects as they were at a version; `None`: that is forgotten.
    pub fn at(&self, version: u64) -> Option<BTreeMap<Key, Arc<Stored>>> {
        if version < self.compacted {
            return None;
        }
        let mut objects = self.objects.clone();
        for change in self.log.iter().rev().take_while(|change| change.version > version) {
            match &change.before {
                Some(before) => objects.insert(change.key.clone(), Arc::clone(before)),
                None => objects.remove(&change.key),
            };
        }
        Some(objects)
    }
}
