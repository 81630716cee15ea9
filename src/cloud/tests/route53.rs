//! A small Route 53, as strict as AWS's where it matters here: a batch is all or nothing, DELETE must match exactly,
//! CREATE must find nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::aws::{Aws, Call};

type Answer = Result<String, (&'static str, String)>;

#[derive(Clone, Debug, Default)]
pub(crate) struct HostedZone {
    pub name: String,
    pub private: bool,
    /// By name (as Route 53 spells it) and type: TTL and values.
    pub records: BTreeMap<(String, String), (String, BTreeSet<String>)>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Route53 {
    pub zones: BTreeMap<String, HostedZone>,
    /// Batches that were accepted, and whether they have reached all servers.
    pub changes: BTreeMap<String, bool>,
    /// Sizes of the accepted batches, in changes.
    pub batches: Vec<usize>,
}

impl Aws {
    pub fn zone(&self, id: &str, name: &str) {
        let zone = HostedZone { name: name.into(), ..HostedZone::default() };
        self.state().route53.zones.insert(id.into(), zone);
    }

    pub fn record(&self, zone: &str, name: &str, kind: &str, values: &[&str]) {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        let mut state = self.state();
        let records = &mut state.route53.zones.get_mut(zone).unwrap().records;
        records.insert((name.into(), kind.into()), ("60".into(), values));
    }

    /// The values of a record, if there is one.
    pub fn values(&self, zone: &str, name: &str, kind: &str) -> Option<Vec<String>> {
        let state = self.state();
        let (_, values) = state.route53.zones[zone].records.get(&(name.into(), kind.into()))?;
        Some(values.iter().cloned().collect())
    }
}

/// What stands in the first `<name>` of `text`.
fn element<'a>(text: &'a str, name: &str) -> &'a str {
    elements(text, name).into_iter().next().unwrap_or_else(|| panic!("no <{name}> in {text}"))
}

fn elements<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    text.split(&open).skip(1).map(|rest| rest.split(&close).next().unwrap()).collect()
}

fn plain(text: &str) -> String {
    text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

impl Route53 {
    pub fn handle(&mut self, call: &Call, query: &str, shown: Option<&Route53>) -> Answer {
        let path: Vec<&str> = call.path.trim_matches('/').split('/').collect();
        match (call.operation, path.as_slice()) {
            ("ListHostedZones", _) => Ok(shown.unwrap_or(self).list_zones()),
            ("ListResourceRecordSets", [_, _, zone, _]) => shown.unwrap_or(self).list_records(zone, query),
            ("ChangeResourceRecordSets", [_, _, zone, _]) => self.change(zone, &call.body),
            ("GetChange", [_, _, id]) => match self.changes.get(*id) {
                Some(done) => Ok(change_info(id, *done)),
                None => Err(("NoSuchChange", format!("no change {id}"))),
            },
            other => panic!("{other:?} isn't played"),
        }
    }

    fn list_zones(&self) -> String {
        let zones = self.zones.iter().map(|(id, zone)| {
            format!(
                "<HostedZone><Id>/hostedzone/{id}</Id><Name>{}</Name><CallerReference>x</CallerReference><Config><PrivateZone>{}</PrivateZone></Config></HostedZone>",
                zone.name, zone.private
            )
        });
        let zones = zones.collect::<String>();
        format!("<HostedZones>{zones}</HostedZones><IsTruncated>false</IsTruncated><MaxItems>100</MaxItems>")
    }

    /// Two records a page.
    fn list_records(&self, zone: &str, query: &str) -> Answer {
        let zone = self.zones.get(zone).ok_or_else(|| ("NoSuchHostedZone", format!("no zone {zone}")))?;
        let asked = |key: &str| {
            let value = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{key}=")))?;
            Some(value.replace("%5C", "\\").replace("%2A", "*"))
        };
        let from = asked("name").zip(asked("type"));
        let mut records = zone.records.iter().skip_while(|(key, _)| from.as_ref().is_some_and(|from| *key != from));
        let page = records.by_ref().take(2).map(|((name, kind), (ttl, values))| {
            let values = values.iter().map(|v| format!("<ResourceRecord><Value>{v}</Value></ResourceRecord>"));
            format!(
                "<ResourceRecordSet><Name>{name}</Name><Type>{kind}</Type><TTL>{ttl}</TTL><ResourceRecords>{}</ResourceRecords></ResourceRecordSet>",
                values.collect::<String>()
            )
        });
        let page = page.collect::<String>();
        let next = records.next().map(|((name, kind), _)| {
            format!("<NextRecordName>{name}</NextRecordName><NextRecordType>{kind}</NextRecordType>")
        });
        Ok(format!(
            "<ResourceRecordSets>{page}</ResourceRecordSets><IsTruncated>{}</IsTruncated>{}<MaxItems>2</MaxItems>",
            next.is_some(),
            next.unwrap_or_default()
        ))
    }

    fn change(&mut self, id: &str, body: &str) -> Answer {
        let zone = self.zones.get_mut(id).ok_or_else(|| ("NoSuchHostedZone", format!("no zone {id}")))?;
        let mut records = zone.records.clone();
        let (mut count, mut characters, mut changes) = (0, 0, 0);
        for change in elements(body, "Change") {
            changes += 1;
            let name = plain(element(change, "Name"));
            assert!(name.ends_with('.'));
            let key = (name.replace('*', "\\052"), element(change, "Type").to_owned());
            let values: BTreeSet<String> = elements(change, "Value").into_iter().map(plain).collect();
            count += values.len();
            characters += values.iter().map(String::len).sum::<usize>();
            let record = (element(change, "TTL").to_owned(), values);
            match element(change, "Action") {
                "DELETE" if records.get(&key) == Some(&record) => _ = records.remove(&key),
                "DELETE" => {
                    return Err(("InvalidChangeBatch", format!("Tried to delete [name='{name}'] but not found")));
                }
                "CREATE" if !records.contains_key(&key) => _ = records.insert(key, record),
                "CREATE" => {
                    return Err((
                        "InvalidChangeBatch",
                        format!("Tried to create [name='{name}'] but it already exists"),
                    ));
                }
                other => panic!("{other} is never used"),
            }
        }
        assert!(count <= 1000 && characters <= 32_000, "a batch has 1,000 values and 32,000 characters at most");
        zone.records = records;
        self.batches.push(changes);
        let change = format!("C{}", self.batches.len());
        self.changes.insert(change.clone(), false);
        Ok(change_info(&change, false))
    }
}

fn change_info(id: &str, done: bool) -> String {
    let status = if done { "INSYNC" } else { "PENDING" };
    format!(
        "<ChangeInfo><Id>/change/{id}</Id><Status>{status}</Status><SubmittedAt>2026-01-02T03:04:05Z</SubmittedAt></ChangeInfo>"
    )
}
