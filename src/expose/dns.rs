//! Hostnames, hosted zones, record sets and their ownership twins.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;

pub use super::hostname::Hostname;
use super::{Exposure, Observed, PublicIp, Reason, Rejection, ServiceKey, Settings};

/// A Route 53 hosted zone id, without `/hostedzone/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZoneId(pub String);

impl fmt::Display for ZoneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A hosted zone that passes the filters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its id.
    pub id: ZoneId,
    /// Its name.
    pub name: Hostname,
}

/// The record types that the core tells apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordType {
    /// IPv4 addresses.
    A,
    /// Text: our ownership twins.
    Txt,
    /// Any other, by name.
    Other(String),
}

/// What identifies a record set within a zone. The name is in the normal form of [`normal_name`], but may be one
/// that is no valid [`Hostname`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    /// Normalised name: lower case, no trailing dot, octal escapes of printable characters undone.
    pub name: String,
    /// Type.
    pub kind: RecordType,
    /// Set identifier of weighted, latency and similar records; empty for simple ones.
    pub set: String,
}

/// A record set, as observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// TTL in seconds; `None` for aliases.
    pub ttl: Option<u32>,
    /// Values exactly as Route 53 holds them (addresses, quoted text). Left empty for records of other types.
    pub values: BTreeSet<String>,
}

impl Record {
    /// The addresses among the values.
    pub fn public_ips(&self) -> impl Iterator<Item = PublicIp> {
        self.values.iter().filter_map(|value| value.parse().ok()).map(PublicIp)
    }

    /// Whether it could be an A record that we wrote. An alias, or values that are no addresses, never are.
    pub fn is_plain(&self) -> bool {
        self.ttl.is_some() && self.values.iter().all(|value| value.parse::<Ipv4Addr>().is_ok())
    }
}

/// A name as Route 53 spells it (`\\052.Example.com.`) in normal form: lower case, no trailing dot, octal escapes
/// of printable characters undone. Two names are the same exactly when their normal forms are.
pub fn normal_name(name: &str) -> String {
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        let octal = (c == '\\')
            .then(|| rest.get(..3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 8).ok())
            .filter(|byte| byte.is_ascii_graphic() && *byte != b'.' && *byte != b'\\');
        match octal {
            Some(byte) => {
                out.push(char::from(byte.to_ascii_lowercase()));
                rest = rest.get(3..).unwrap_or_default();
            }
            None => out.push(c.to_ascii_lowercase()),
        }
    }
    out
}

/// A record set holds at most this many values (a quota of Route 53 that can't be raised).
pub const MAX_VALUES: usize = 400;

/// The ownership twin of a record: what its TXT value says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Twin {
    /// Owner id.
    pub owner: String,
    /// The Service that the record is for; `None` where it is for something else.
    pub service: Option<ServiceKey>,
}

/// What stands before a hostname in the name of the twin of its A record.
const TWIN_PREFIX: &str = "a-";

/// The key of the A record of a hostname.
pub fn address_key(name: &str) -> RecordKey {
    RecordKey { name: name.to_owned(), kind: RecordType::A, set: String::new() }
}

/// The key of the twin of that record, in the format of ExternalDNS: `a-` before the name.
pub fn twin_key(name: &str) -> RecordKey {
    RecordKey { name: format!("{TWIN_PREFIX}{name}"), kind: RecordType::Txt, set: String::new() }
}

/// At most so many characters may be in one string of a TXT record (RFC 1035; Route 53 refuses more).
const STRING_AT_MOST: usize = 255;

/// The value of a twin, quoted as Route 53 wants it.
pub fn twin_value(owner: &str, service: &ServiceKey) -> String {
    format!("\"heritage=external-dns,external-dns/owner={owner},external-dns/resource=service/{service}\"")
}

/// Reads a TXT value as a twin; `None` when it is some other text.
pub fn parse_twin(value: &str) -> Option<Twin> {
    let text = value.trim().strip_prefix('"')?.strip_suffix('"')?;
    let labels: BTreeMap<&str, &str> = text.split(',').filter_map(|label| label.split_once('=')).collect();
    if labels.get("heritage") != Some(&"external-dns") {
        return None;
    }
    let service = labels
        .get("external-dns/resource")
        .and_then(|resource| resource.strip_prefix("service/"))
        .and_then(|key| key.split_once('/'))
        .filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty())
        .map(|(namespace, name)| ServiceKey::new(namespace, name));
    Some(Twin { owner: (*labels.get("external-dns/owner")?).to_owned(), service })
}

/// The zone that a hostname belongs in: the one with the longest name.
///
/// # Errors
/// In words for the Service's owner: no zone, or more than one of that name.
pub fn zone_of<'a>(name: &str, zones: &'a BTreeMap<ZoneId, Zone>) -> Result<&'a Zone, String> {
    let holds =
        |zone: &&Zone| name.strip_suffix(zone.name.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    let longest = zones.values().filter(holds).map(|z| z.name.as_str().len()).max();
    let mut best = zones.values().filter(holds).filter(|z| Some(z.name.as_str().len()) == longest);
    match (best.next(), best.next()) {
        (Some(zone), None) => Ok(zone),
        (Some(zone), Some(other)) => Err(format!(
            "the hosted zones {} and {} are both named {}: choose one with --zone-id-filter",
            zone.id, other.id, zone.name
        )),
        _ => Err(format!(
            "no hosted zone holds `{name}`: create one in Route 53, or check --domain-filter, --zone-id-filter and --zone-type"
        )),
    }
}

/// A hostname whose twin says that it is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedName {
    /// The zone.
    pub zone: ZoneId,
    /// The hostname, normalised.
    pub name: String,
    /// The Service that it is for.
    pub service: ServiceKey,
    /// The A record, where there is one that may be ours.
    pub address: Option<Record>,
    /// Somebody has put an A record there that is nothing that we ever write, an alias: only the twin is ours.
    pub replaced: bool,
    /// The twin.
    pub twin: Record,
    /// The values of the A record, read once.
    public_ips: BTreeSet<PublicIp>,
}

/// What a name that is ours is found by: the zone that holds it, and the hostname, normalised.
pub type NameKey = (ZoneId, String);

impl OwnedName {
    /// The public addresses that it lists.
    pub fn public_ips(&self) -> &BTreeSet<PublicIp> {
        &self.public_ips
    }

    /// TTL of the A record in seconds; 0 when there is none.
    pub fn ttl(&self) -> u32 {
        self.address.as_ref().and_then(|record| record.ttl).unwrap_or(0)
    }

    /// For how many seconds resolvers may know what it listed lately: where a TTL is lowered, the twin keeps the higher
    /// one until the answers with it are forgotten, so that a process that starts meanwhile knows of them.
    pub fn known_for(&self) -> u32 {
        self.ttl().max(self.twin.ttl.unwrap_or(0))
    }

    /// What has to be named exactly to replace or delete it.
    pub fn records(&self) -> BTreeMap<RecordKey, Record> {
        let twin = (twin_key(&self.name), self.twin.clone());
        let address = self.address.clone().map(|record| (address_key(&self.name), record));
        address.into_iter().chain([twin]).collect()
    }
}

/// All names that are ours: the twin carries our owner id and names a Service, and it is the only value of its
/// record. After a zone was added below another, one name may be ours in both.
pub fn owned_names(observed: &Observed, settings: &Settings) -> BTreeMap<NameKey, OwnedName> {
    let mut names = BTreeMap::new();
    for (zone, records) in &observed.records {
        for (key, record) in records.iter().filter(|(key, _)| key.kind == RecordType::Txt && key.set.is_empty()) {
            let Some(name) = key.name.strip_prefix(TWIN_PREFIX) else { continue };
            let mut values = record.values.iter();
            let (Some(value), None) = (values.next(), values.next()) else { continue };
            let Some(Twin { owner, service: Some(service) }) = parse_twin(value) else { continue };
            if owner != settings.owner || name.is_empty() {
                continue;
            }
            let there = records.get(&address_key(name));
            let address = there.filter(|address| address.is_plain());
            let owned = OwnedName {
                zone: zone.clone(),
                name: name.to_owned(),
                service,
                address: address.cloned(),
                replaced: there.is_some() && address.is_none(),
                twin: record.clone(),
                public_ips: address.into_iter().flat_map(Record::public_ips).collect(),
            };
            names.insert((zone.clone(), name.to_owned()), owned);
        }
    }
    names
}

/// Why an exposure can't have its names: no zone, a zone that can't be read, someone else's record; `None` when it can.
pub fn refusal(
    exposure: &Exposure,
    owned: &BTreeMap<NameKey, OwnedName>,
    observed: &Observed,
    settings: &Settings,
) -> Option<Rejection> {
    let reject = |reason: Reason, message: String| Rejection {
        service: exposure.service.clone(),
        uid: exposure.uid.clone(),
        reason,
        message,
    };
    let twin = twin_value(&settings.owner, &exposure.service);
    let length = twin.trim_matches('"').len();
    if length > STRING_AT_MOST {
        return Some(reject(
            Reason::HostnameForbidden,
            format!(
                "its ownership record would have {length} characters, of which Route 53 takes {STRING_AT_MOST}: shorten the names of the Service and its namespace, or the owner id that the daemon runs with, by {}",
                length - STRING_AT_MOST
            ),
        ));
    }
    for hostname in &exposure.hostnames {
        let name = hostname.as_str();
        let zone = match zone_of(name, &observed.zones) {
            Ok(zone) => zone,
            Err(message) => return Some(reject(Reason::ZoneNotFound, message)),
        };
        if zone.name == *hostname {
            return Some(reject(
                Reason::HostnameForbidden,
                format!(
                    "`{name}` is the name of the hosted zone itself: its ownership record would lie outside the zone; use a name below it"
                ),
            ));
        }
        let Some(records) = observed.records.get(&zone.id) else {
            return Some(reject(
                Reason::Failed,
                format!("the records of hosted zone {} ({}) can't be read at the moment", zone.name, zone.id),
            ));
        };
        let taken = |what: String| {
            reject(Reason::HostnameTaken, format!("`{name}` in hosted zone {}: {what}; it is left as it is", zone.name))
        };
        if let Some(owned) = owned.get(&(zone.id.clone(), name.to_owned())) {
            // Whoever put one of these beside our ownership record keeps us from writing.
            let beside = |key: &&RecordKey| owned.replaced || **key != address_key(name);
            if let Some(kind) = records_named(name, records).filter(beside).find_map(conflicting) {
                return Some(taken(format!(
                    "a record of type {kind} of someone else stands beside our ownership record, so no address can \
                     be listed: delete it, or take the hostname off this Service"
                )));
            }
            continue;
        }
        let twin = records.get(&twin_key(name));
        let owner = twin.and_then(|record| record.values.iter().find_map(|value| parse_twin(value)));
        match owner {
            Some(twin) if twin.owner != settings.owner => {
                return Some(taken(format!("the name belongs to the owner id `{}`", twin.owner)));
            }
            Some(twin) if twin.service.is_none() => {
                return Some(taken("its ownership record is for something that isn't a Service".into()));
            }
            Some(_) => return Some(taken("someone replaced its records or added to them".into())),
            None if twin.is_some() => {
                return Some(taken(format!("a TXT record `{TWIN_PREFIX}{name}` of someone else is in the way")));
            }
            None => {
                let twin = twin_key(name);
                if records_named(&twin.name, records).find_map(conflicting).is_some_and(|kind| kind == CNAME) {
                    let why = format!(
                        "a CNAME `{}` is where its ownership record would be: delete it, or use another hostname",
                        twin.name
                    );
                    return Some(taken(why));
                }
            }
        }
        if let Some(kind) = records_named(name, records).find_map(conflicting) {
            return Some(taken(format!(
                "a record of type {kind} without an ownership record of ours exists: delete it, use another hostname, or, if it \
                 was written for this Service, make it ours by a TXT record `{TWIN_PREFIX}{name}` with the value {}",
                twin_value(&settings.owner, &exposure.service)
            )));
        }
    }
    None
}

/// The keys of all records of a name: they lie side by side.
fn records_named<'a>(name: &'a str, records: &'a BTreeMap<RecordKey, Record>) -> impl Iterator<Item = &'a RecordKey> {
    records.range(address_key(name)..).map(|(key, _)| key).take_while(move |key| key.name == name)
}

/// Nothing may stand beside it.
const CNAME: &str = "CNAME";

/// The type of a record beside which there can be no A record of ours.
fn conflicting(key: &RecordKey) -> Option<&str> {
    match &key.kind {
        RecordType::A => Some("A"),
        RecordType::Other(kind) if kind == CNAME => Some(kind),
        RecordType::Other(_) | RecordType::Txt => None,
    }
}
