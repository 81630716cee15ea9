//! Sets of fields, as managed fields hold them: a tree whose elements are named as on the wire (`f:NAME`, `k:{...}`,
//! `v:VALUE`), and its set operations (sigs.k8s.io/structured-merge-diff, `fieldpath`).

use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Map, Value};

/// A set of fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    /// The field at this place is in the set.
    pub here: bool,
    /// What is below.
    pub below: BTreeMap<String, Fields>,
}

impl Fields {
    pub fn is_empty(&self) -> bool {
        !self.here && self.below.is_empty()
    }

    /// The set below an element, made if it isn't there.
    pub fn entry(&mut self, element: &str) -> &mut Fields {
        if !self.below.contains_key(element) {
            self.below.insert(element.to_owned(), Fields::default());
        }
        // It was put there just now, if it wasn't there.
        self.below.entry(element.to_owned()).or_default()
    }

    pub fn has(&self, path: &[&str]) -> bool {
        let mut at = self;
        for element in path {
            match at.below.get(*element) {
                Some(next) => at = next,
                None => return false,
            }
        }
        at.here
    }

    pub fn union(&mut self, other: &Fields) {
        self.here |= other.here;
        for (element, theirs) in &other.below {
            match self.below.get_mut(element) {
                Some(ours) => ours.union(theirs),
                None => _ = self.below.insert(element.clone(), theirs.clone()),
            }
        }
    }

    /// What is in both.
    pub fn intersection(&self, other: &Fields) -> Fields {
        let mut out = Fields { here: self.here && other.here, below: BTreeMap::new() };
        for (element, ours) in &self.below {
            if let Some(theirs) = other.below.get(element) {
                let both = ours.intersection(theirs);
                if !both.is_empty() {
                    out.below.insert(element.clone(), both);
                }
            }
        }
        out
    }

    /// What isn't in `other`; members only, not what is below them.
    pub fn difference(&self, other: &Fields) -> Fields {
        let mut out = Fields { here: self.here && !other.here, below: BTreeMap::new() };
        for (element, ours) in &self.below {
            let rest = match other.below.get(element) {
                Some(theirs) => ours.difference(theirs),
                None => ours.clone(),
            };
            if !rest.is_empty() {
                out.below.insert(element.clone(), rest);
            }
        }
        out
    }

    /// All members, as paths for people: `.spec.ports[port=80,protocol="TCP"].targetPort`.
    pub fn paths(&self) -> Vec<String> {
        let mut all = Vec::new();
        self.collect("", &mut all);
        all
    }

    fn collect(&self, at: &str, all: &mut Vec<String>) {
        if self.here {
            all.push(at.to_owned());
        }
        for (element, below) in &self.below {
            below.collect(&format!("{at}{}", shown(element)), all);
        }
    }

    /// From the wire; the root itself is no member.
    pub fn from_value(value: &Value) -> Option<Fields> {
        let mut out = Fields::read(value)?;
        out.here = false;
        Some(out)
    }

    fn read(value: &Value) -> Option<Fields> {
        let map = value.as_object()?;
        let mut out = Fields { here: map.is_empty() || map.contains_key("."), below: BTreeMap::new() };
        for (element, below) in map.iter().filter(|(element, _)| *element != ".") {
            if !["f:", "k:", "v:", "i:"].iter().any(|prefix| element.starts_with(prefix)) {
                return None;
            }
            out.below.insert(element.clone(), Fields::read(below)?);
        }
        Some(out)
    }
}

/// As on the wire.
impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_map(None)?;
        if self.here && !self.below.is_empty() {
            out.serialize_entry(".", &Map::new())?;
        }
        for (element, below) in &self.below {
            out.serialize_entry(element, below)?;
        }
        out.end()
    }
}

/// An element for people.
fn shown(element: &str) -> String {
    match element.split_at_checked(2) {
        Some(("f:", name)) => format!(".{name}"),
        Some(("k:", key)) => {
            let key: BTreeMap<String, Value> = serde_json::from_str(key).unwrap_or_default();
            let pairs: Vec<String> = key.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("[{}]", pairs.join(","))
        }
        Some(("v:", value)) => format!("[={value}]"),
        Some((_, index)) => format!("[{index}]"),
        None => String::new(),
    }
}
