//! Route 53 as AWS has it where moto is wrong: what a change batch does to a zone's records.
//!
//! moto 5.2.5 refuses a CREATE of values that the zone has had before, takes a CREATE of a record that exists, a DELETE
//! of values that were replaced long ago, and half of a batch. Here a batch is checked whole against the records as
//! they are, is refused whole in AWS's own words, and reaches moto as what it comes to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use bytes::Bytes;
use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::Event;

/// A record set as it stands in a list or, with an action, in a change batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RecordSet {
    action: String,
    name: String,
    kind: String,
    ttl: String,
    values: Vec<String>,
    /// What only records have that the daemon never writes: aliases, weights and the like, by element.
    other: BTreeMap<String, String>,
}

type Key = (String, String, String);

impl RecordSet {
    fn key(&self) -> Key {
        let name = self.name.strip_suffix('.').unwrap_or(&self.name).replace("\\052", "*").to_lowercase();
        (name, self.kind.clone(), self.other.get("SetIdentifier").cloned().unwrap_or_default())
    }

    /// The order of the values doesn't count.
    fn same(&self, other: &Self) -> bool {
        let values = |set: &Self| set.values.iter().cloned().collect::<BTreeSet<_>>();
        self.ttl == other.ttl && values(self) == values(other)
    }

    fn write(&self, action: &str, body: &mut String) {
        let (name, kind, ttl) = (escape(&self.name), &self.kind, &self.ttl);
        let values: String = self
            .values
            .iter()
            .map(|value| format!("<ResourceRecord><Value>{}</Value></ResourceRecord>", escape(value)))
            .collect();
        let _ = write!(
            body,
            "<Change><Action>{action}</Action><ResourceRecordSet><Name>{name}</Name><Type>{kind}</Type>\
             <TTL>{ttl}</TTL><ResourceRecords>{values}</ResourceRecords></ResourceRecordSet></Change>"
        );
    }
}

/// The record sets in a list or in a change batch, in their order.
pub(super) fn record_sets(text: &str) -> Vec<RecordSet> {
    let mut reader = Reader::from_str(text);
    let (mut sets, mut set, mut action) = (Vec::new(), None::<RecordSet>, String::new());
    let mut path: Vec<String> = Vec::new();
    loop {
        let content = match reader.read_event() {
            Ok(Event::Start(start)) => {
                let element = start.local_name().as_ref().to_owned();
                match (element.as_str(), set.as_mut()) {
                    ("Change", _) => action.clear(),
                    ("ResourceRecordSet", _) => {
                        set = Some(RecordSet { action: std::mem::take(&mut action), ..RecordSet::default() });
                    }
                    ("Value", Some(set)) => set.values.push(String::new()),
                    _ => {}
                }
                path.push(element);
                continue;
            }
            Ok(Event::End(_)) => {
                if path.pop().as_deref() == Some("ResourceRecordSet") {
                    sets.extend(set.take());
                }
                continue;
            }
            Ok(Event::Text(content)) => content.to_string(),
            Ok(Event::GeneralRef(name)) => match name.as_ref() {
                "quot" => "\"".to_owned(),
                "amp" => "&".to_owned(),
                "lt" => "<".to_owned(),
                "gt" => ">".to_owned(),
                "apos" => "'".to_owned(),
                _ => continue,
            },
            Ok(Event::Eof) | Err(_) => return sets,
            Ok(_) => continue,
        };
        match (path.last().map(String::as_str), set.as_mut()) {
            (Some("Action"), _) => action.push_str(&content),
            (Some("Name"), Some(set)) => set.name.push_str(&content),
            (Some("Type"), Some(set)) => set.kind.push_str(&content),
            (Some("TTL"), Some(set)) => set.ttl.push_str(&content),
            (Some("Value"), Some(set)) => set.values.last_mut().into_iter().for_each(|value| value.push_str(&content)),
            (Some(element), Some(set)) if !content.trim().is_empty() => {
                set.other.entry(element.to_owned()).or_default().push_str(&content);
            }
            _ => {}
        }
    }
}

/// Where the next page of a list begins: name and type.
pub(super) fn next_page(text: &str) -> Option<(String, String)> {
    let between = |element: &str| {
        let (_, rest) = text.split_once(&format!("<{element}>"))?;
        rest.split_once('<').map(|(content, _)| content.trim().to_owned())
    };
    (between("IsTruncated")? == "true").then_some(())?;
    Some((between("NextRecordName")?, between("NextRecordType")?))
}

/// What becomes of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It comes to this for moto.
    Send(Bytes),
    /// Its effect is nothing, as when a record is deleted and created anew: there is nothing to send.
    Nothing,
    /// It holds what only moto can judge: aliases, weights.
    AsItIs,
    /// AWS refuses it, with these messages.
    Refuse(Vec<String>),
}

/// Judges a batch by the records of its zone.
pub(super) fn judge(zone: &[RecordSet], batch: &[RecordSet]) -> Verdict {
    if batch.iter().any(|change| !change.other.is_empty()) {
        return Verdict::AsItIs;
    }
    let before: BTreeMap<Key, &RecordSet> = zone.iter().map(|set| (set.key(), set)).collect();
    let mut after = before.clone();
    let mut refusals = Vec::new();
    for change in batch {
        let key = change.key();
        let (name, kind) = (&change.name, &change.kind);
        let what = format!("resource record set [name='{name}', type='{kind}']");
        match (change.action.as_str(), after.get(&key)) {
            ("CREATE", Some(_)) => refusals.push(format!("Tried to create {what} but it already exists")),
            ("DELETE", None) => refusals.push(format!("Tried to delete {what} but it was not found")),
            ("DELETE", Some(there)) if !there.same(change) => {
                refusals.push(format!("Tried to delete {what} but the values provided do not match the current values"))
            }
            ("DELETE", Some(_)) => drop(after.remove(&key)),
            _ => drop(after.insert(key, change)),
        }
    }
    for (name, kind, _) in after.keys().filter(|(_, kind, _)| kind == "CNAME") {
        if after.keys().any(|(other, type_, _)| other == name && type_ != kind) {
            refusals.push(format!(
                "RRSet of type CNAME with DNS name {name}. is not permitted as it conflicts with other records with \
                 the same DNS name in zone"
            ));
        }
    }
    if !refusals.is_empty() {
        return Verdict::Refuse(refusals);
    }
    let mut changes = String::new();
    // As moto has them, so that it finds them.
    before.iter().filter(|(key, _)| !after.contains_key(*key)).for_each(|(_, set)| set.write("DELETE", &mut changes));
    let is_new = |key: &Key, set: &RecordSet| before.get(key).is_none_or(|before| !before.same(set));
    after.iter().filter(|(key, set)| is_new(key, set)).for_each(|(_, set)| set.write("UPSERT", &mut changes));
    if changes.is_empty() {
        return Verdict::Nothing;
    }
    Verdict::Send(Bytes::from(format!(
        "<ChangeResourceRecordSetsRequest xmlns=\"{NAMESPACE}\"><ChangeBatch><Changes>{changes}</Changes></ChangeBatch>\
         </ChangeResourceRecordSetsRequest>"
    )))
}

const NAMESPACE: &str = "https://route53.amazonaws.com/doc/2013-04-01/";

/// How AWS refuses a batch: the one error with a form of its own.
pub(super) fn refusal(messages: &[String]) -> Bytes {
    let messages: String =
        messages.iter().map(|message| format!("<Message>{}</Message>", escape(message.as_str()))).collect();
    Bytes::from(format!(
        "<?xml version=\"1.0\"?>\n<InvalidChangeBatch xmlns=\"{NAMESPACE}\"><Messages>{messages}</Messages>\
         <RequestId>c0ffee00-0000-4000-8000-000000000000</RequestId></InvalidChangeBatch>"
    ))
}

/// The answer to a batch that was accepted.
pub(super) fn accepted() -> Bytes {
    Bytes::from(format!(
        "<?xml version=\"1.0\"?>\n<ChangeResourceRecordSetsResponse xmlns=\"{NAMESPACE}\"><ChangeInfo>\
         <Id>/change/C0FFEE</Id><Status>INSYNC</Status><SubmittedAt>2026-01-01T00:00:00.000Z</SubmittedAt>\
         </ChangeInfo></ChangeResourceRecordSetsResponse>"
    ))
}
