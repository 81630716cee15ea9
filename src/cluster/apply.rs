//! Writes to Services: the addresses with their annotations, and the condition. All by server-side apply with the
//! object's uid, so that a re-created Service isn't taken for the old one and a deleted one isn't created anew.
//! Owns what is sent and what the answer means for the view; decides nothing.

use super::Cluster;
use super::call::{self, call};
use super::error::{Class, Error, Failure};
use super::objects::{MANAGER, Resource, StoredService, condition_type, identity};
use crate::expose::plan::{Publication, released};
use crate::expose::{Condition, PREFIX, Service, ServiceKey, Snapshot};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use std::time::Duration;

const APPLY: &str = "application/apply-patch+yaml";
const JSON_PATCH: &str = "application/json-patch+json";

/// Pauses before the reads that follow a write of unknown outcome.
const READ_BACK: [Duration; 3] = [Duration::ZERO, Duration::from_millis(300), Duration::from_secs(2)];

/// Such a read holds up the loop: it gets less time than a list.
const READ_BACK_TIMEOUT: Duration = Duration::from_secs(5);

fn path(service: &ServiceKey) -> String {
    format!("/api/v1/namespaces/{}/services/{}", service.namespace, service.name)
}

/// The object that is applied: what isn't in it is given back.
fn body(service: &ServiceKey, uid: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": service.name, "namespace": service.namespace, "uid": uid},
    })
}

fn publication_body(publication: &Publication) -> Value {
    let annotations: serde_json::Map<String, Value> =
        publication.annotations().into_iter().map(|(name, value)| (format!("{PREFIX}{name}"), value.into())).collect();
    let mut object = body(&publication.service, &publication.uid);
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("annotations".into(), annotations.into());
    }
    if let Some(object) = object.as_object_mut() {
        object.insert("spec".into(), json!({"externalIPs": publication.list()}));
    }
    object
}

/// What is accepted isn't always what was sent: admission control may change it, and would do so again.
fn is_as_sent(what: &str, publication: &Publication, answer: &[u8]) -> Result<(), Error> {
    // An answer that can't be read says nothing; its owner hears of that from the view.
    let read = std::str::from_utf8(answer).ok().and_then(|text| StoredService::read(text).ok());
    let Some(answer) = read.map(|stored| stored.service).filter(|service| !publication.is_in(service)) else {
        return Ok(());
    };
    let there = match answer.external_ips.as_slice() {
        list if *list == publication.list() => "other annotations".to_owned(),
        [] => "no addresses".to_owned(),
        list => list.join(", "),
    };
    let message = format!(
        "{what}: the API server accepted it, but the answer holds {there} instead of {}: something changes what is \
         written (a mutating admission webhook?); have it leave alone what the field manager {MANAGER} writes",
        publication.list().join(", ")
    );
    Err(Error { class: Class::Refused, message })
}

impl Cluster {
    /// Tries a publication without effect (`dryRun=All`).
    ///
    /// # Errors
    /// What the publication itself would meet; the outcome is never unknown.
    pub async fn try_publication(&self, publication: &Publication) -> Result<(), Error> {
        let what = format!("trying to set spec.externalIPs of {}", publication.service);
        let uri =
            format!("{}?fieldManager={MANAGER}&force={}&dryRun=All", path(&publication.service), publication.take_over);
        let body = publication_body(publication).to_string().into_bytes();
        let answer = call(&self.client, Method::PATCH, &uri, Some(APPLY), body).await;
        is_as_sent(&what, publication, &answer.map_err(|failure| failure.into_error(&what, false))?)
    }

    /// Sets `spec.externalIPs` and the annotations that go with it.
    ///
    /// # Errors
    /// See [`Class`]. After an unknown outcome the Service has been read again before this returns.
    pub async fn publish(&self, publication: &Publication) -> Result<(), Error> {
        let service = &publication.service;
        let what = format!("setting spec.externalIPs of {service}");
        let uri = format!("{}?fieldManager={MANAGER}&force={}", path(service), publication.take_over);
        let body = self.as_seen(service, publication_body(publication));
        let written = self.write(service, &what, &uri, APPLY, &body).await?;
        is_as_sent(&what, publication, &written)?;
        self.confirmed(service, &publication.uid, |stored| publication.take_effect(&mut stored.service));
        if publication.take_over {
            self.disown_legacy(service).await?;
        }
        Ok(())
    }

    /// Gives back all that our field manager owns on the object: the list and the annotations.
    ///
    /// # Errors
    /// See [`Class`]. After an unknown outcome the Service has been read again before this returns.
    pub async fn release(&self, service: &ServiceKey, uid: &str) -> Result<(), Error> {
        let what = format!("withdrawing spec.externalIPs of {service}");
        // Else the 2018 version's claim would keep the list alive.
        self.disown_legacy(service).await?;
        let uri = format!("{}?fieldManager={MANAGER}&force=false", path(service));
        let body = self.as_seen(service, body(service, uid));
        self.write(service, &what, &uri, APPLY, &body).await?;
        self.confirmed(service, uid, |stored| released(&mut stored.service));
        Ok(())
    }

    /// What is applied to the object as it was seen last, and to no other: addresses that this process doesn't know of
    /// aren't taken away, by a process that sees the past or an answer that was delivered late.
    fn as_seen(&self, service: &ServiceKey, mut object: Value) -> Value {
        let version = self.with(|s| s.services.entry(service).map(|entry| entry.version.clone()));
        let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
        if let (Some(version), Some(metadata)) = (version.filter(|version| !version.is_empty()), metadata) {
            metadata.insert("resourceVersion".into(), version.into());
        }
        object
    }

    /// Whether the Service is still as a snapshot has it, in all that decisions rest on.
    ///
    /// # Errors
    /// [`Class::Changed`] when it isn't: what was decided by the snapshot is to be decided anew.
    pub fn is_as_seen_in(&self, snapshot: &Snapshot, service: &ServiceKey) -> Result<(), Error> {
        let seen = snapshot.services.get(service);
        let same = self.with(|s| {
            let now = s.services.get(service).map(|stored| &stored.service);
            // Which nodes have endpoints is no part of the object.
            match (seen, now) {
                (Some(seen), Some(now)) => {
                    let (local_nodes, unread_endpoints) = (seen.local_nodes.clone(), seen.unread_endpoints.clone());
                    *seen == Service { local_nodes, unread_endpoints, ..now.clone() }
                }
                (seen, now) => seen.is_none() && now.is_none(),
            }
        });
        let message = || format!("{service} has changed since it was looked at; it is decided anew");
        same.then_some(()).ok_or_else(|| Error { class: Class::Changed, message: message() })
    }

    /// Sets our condition in `status.conditions`; `None` removes it. Nothing is sent when it is there already.
    /// `lastTransitionTime` moves only with the status.
    ///
    /// # Errors
    /// See [`Class`]. After an unknown outcome the Service has been read again before this returns.
    pub async fn set_condition(
        &self,
        service: &ServiceKey,
        uid: &str,
        condition: Option<&Condition>,
    ) -> Result<(), Error> {
        let there = self.with(|s| {
            let entry = s.services.entry(service)?;
            let stored = entry.good.as_ref().filter(|_| entry.uid == uid)?;
            Some((stored.service.ready.clone(), stored.transition.clone()))
        });
        if let Some((ready, _)) = &there
            && ready.as_ref() == condition
        {
            return Ok(());
        }
        let mut object = body(service, uid);
        if let Some(condition) = condition {
            let since = there
                .and_then(|(ready, since)| since.filter(|_| ready.is_some_and(|r| r.ready == condition.ready)))
                .unwrap_or_else(|| self.now("%Y-%m-%dT%H:%M:%SZ"));
            let status = json!({"conditions": [{
                "type": condition_type(),
                "status": if condition.ready { "True" } else { "False" },
                "reason": condition.reason,
                "message": condition.message,
                "lastTransitionTime": since,
            }]});
            if let Some(object) = object.as_object_mut() {
                object.insert("status".into(), status);
            }
        }
        let what = format!("setting the condition Ready of {service}");
        let uri = format!("{}/status?fieldManager={MANAGER}&force=false", path(service));
        self.write(service, &what, &uri, APPLY, &object).await?;
        self.confirmed(service, uid, |stored| stored.service.ready = condition.cloned());
        Ok(())
    }

    /// A Service that can't be read is kept as it was last read, but for what is written to it since: else that would be
    /// written again and again, and what is published would be forgotten.
    fn confirmed(&self, service: &ServiceKey, uid: &str, write: impl FnOnce(&mut StoredService)) {
        self.with(|s| {
            s.services.kept(service).filter(|entry| entry.uid == uid).and_then(|entry| entry.good.as_mut()).map(write)
        });
    }

    /// The wall clock's time in UTC, in the given format.
    pub(super) fn now(&self, format: &str) -> String {
        jiff::Timestamp::try_from(self.clock.wall()).unwrap_or(jiff::Timestamp::UNIX_EPOCH).strftime(format).to_string()
    }

    /// After a take-over the 2018 version's claim on the list is struck out of the managed fields: as long as two
    /// claim it, neither can give it back. Guarded by the resource version, so that no other change is lost.
    async fn disown_legacy(&self, service: &ServiceKey) -> Result<(), Error> {
        let found = self.with(|s| {
            let entry = s.services.entry(service)?;
            let stored = entry.good.as_ref()?;
            stored
                .service
                .half_taken_over
                .then(|| (entry.uid.clone(), entry.version.clone(), stored.legacy_entries.clone()))
        });
        let Some((uid, version, entries)) = found else {
            return Ok(());
        };
        let mut operations = vec![
            json!({"op": "test", "path": "/metadata/uid", "value": uid}),
            json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version}),
        ];
        operations.extend(entries.iter().map(|i| {
            let path = format!("/metadata/managedFields/{i}/fieldsV1/f:spec/f:externalIPs");
            json!({"op": "remove", "path": path})
        }));
        let what = format!("taking spec.externalIPs of {service} over");
        let uri = format!("{}?fieldManager={MANAGER}", path(service));
        self.write(service, &what, &uri, JSON_PATCH, &Value::Array(operations)).await.map(drop)
    }

    /// Sends a write and brings the view up to date with its answer, or with a read of its own where the answer
    /// leaves it open what is there now. Returns the answer.
    async fn write(
        &self,
        service: &ServiceKey,
        what: &str,
        uri: &str,
        content_type: &str,
        body: &Value,
    ) -> Result<Bytes, Error> {
        let doubt = Doubt::new(self, service);
        let body = body.to_string().into_bytes();
        let error = match call(&self.client, Method::PATCH, uri, Some(content_type), body).await {
            Ok(answer) if self.take_in(&answer) => {
                doubt.resolved();
                return Ok(answer);
            }
            Ok(_) => Failure::Malformed("the answer isn't a Service".into()).into_error(what, true),
            Err(failure) => failure.into_error(what, true),
        };
        match error.class {
            Class::UnknownOutcome | Class::Changed | Class::NotFound => {
                if self.read_back(service).await {
                    doubt.resolved();
                } else if error.class != Class::UnknownOutcome {
                    // Nothing was written: what was known before is still the best that is known.
                    doubt.resolved();
                }
            }
            _ => doubt.resolved(),
        }
        Err(error)
    }

    /// Takes a Service from an answer into the view; whether it was one.
    fn take_in(&self, answer: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(answer) else {
            return false;
        };
        let Some(identity) = identity(text) else {
            return false;
        };
        let is_known = self.with(|s| {
            s.uncertain.remove(&identity.key);
            s.services.entry(&identity.key).is_some()
        });
        // It may be older than the news that it is gone: what comes and goes is told by the watch and the lists.
        if is_known {
            self.put(identity, StoredService::read(text), None);
        }
        true
    }

    /// Reads anew what the outcome of a write is unknown of, if anything: else one answer that was lost would hold back
    /// all decisions until it no longer matters.
    pub async fn make_sure(&self) {
        let unsure: Vec<ServiceKey> = self.with(|s| s.uncertain.keys().cloned().collect());
        let reads = unsure.iter().map(|service| async move {
            if let Ok(answer) = self.read(service).await {
                self.take_in(&answer);
            }
        });
        futures::future::join_all(reads).await;
    }

    async fn read(&self, service: &ServiceKey) -> Result<Bytes, Failure> {
        let answer = tokio::time::timeout(READ_BACK_TIMEOUT, call::get(&self.client, &path(service))).await;
        answer.unwrap_or(Err(Failure::TimedOut))
    }

    /// Reads a Service anew; whether that worked.
    async fn read_back(&self, service: &ServiceKey) -> bool {
        for pause in READ_BACK {
            tokio::time::sleep(pause).await;
            match self.read(service).await {
                Ok(answer) => {
                    if self.take_in(&answer) {
                        return true;
                    }
                }
                // That it isn't there has no version: a server that is behind says so of what was just made. Only the
                // watch and the lists tell that something is gone.
                Err(Failure::Answer { code, .. })
                    if code == http::StatusCode::NOT_FOUND && self.with(|s| s.services.entry(service).is_none()) =>
                {
                    return true;
                }
                Err(_) => {}
            }
        }
        false
    }
}

/// While a write is on its way, and after it was abandoned half-way, what the view says of its Service is in
/// doubt.
struct Doubt<'a> {
    cluster: &'a Cluster,
    service: &'a ServiceKey,
    resolved: bool,
}

impl<'a> Doubt<'a> {
    fn new(cluster: &'a Cluster, service: &'a ServiceKey) -> Doubt<'a> {
        Doubt { cluster, service, resolved: false }
    }

    fn resolved(mut self) {
        self.resolved = true;
    }
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if !self.resolved {
            let now = self.cluster.clock.monotonic();
            let service = self.service.clone();
            self.cluster.with(|s| s.uncertain.insert(service, now));
        }
    }
}
