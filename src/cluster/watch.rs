//! Keeps one store current: list, then watch, for ever. Owns when to ask again and what to believe; what an
//! object looks like is in `objects`, how a look replaces another is in `store`.
//!
//! kube-runtime's watcher isn't used: a 410 at the start of a watch never makes it list again, a watch that is
//! closed at once is reopened without a pause, an older list is taken for news, and one object that doesn't decode
//! blocks the list it is in.

use super::call;
use super::error::{Failure, Status};
use super::objects::{Broken, Line, Page, Resource, bookmark, identity};
use super::store::{Listing, Replaced, Store, older};
use super::{Cluster, State};
use crate::clock::{Random, jittered};
use bytes::{Buf, BytesMut};
use http_body_util::BodyExt;
use serde_json::value::RawValue;
use slog::{debug, info, warn};
use std::time::Duration;

/// Objects per page of a list.
const PAGE: usize = 500;
/// A watch that says nothing for so long (not even a bookmark) is taken for dead.
const SILENCE: Duration = Duration::from_secs(60);
/// Two requests of the same kind are at least so far apart.
const PERIOD: Duration = Duration::from_secs(1);
/// Longest pause after failures.
const PATIENCE: Duration = Duration::from_secs(30);
/// A watch that lasted so long did its work, even if nothing happened.
const USEFUL: Duration = Duration::from_secs(10);
/// After so many watches in a row that ended in order and said nothing, not even a bookmark, the list is read again:
/// a server whose history was rewound has nothing to say to a watch from its former future.
const MUTE: u32 = 12;
/// After so many useless watches in a row the list is read again.
const USELESS: u32 = 3;
/// No object comes near this size: etcd takes 1.5 MB.
const LONGEST_LINE: usize = 16 << 20;

/// Where a kind of object is kept.
pub(super) trait Watched: Resource {
    /// Its store.
    fn store(state: &mut State) -> &mut Store<Self>;
    /// Whether a change of this object can matter to anyone.
    fn relevant(&self, _state: &State, _namespace: &str) -> bool {
        true
    }
}

/// How a watch ended.
enum End {
    /// The server closed it in an orderly way.
    Closed,
    /// Nothing was heard for [`SILENCE`].
    Silent,
    /// It can't be continued: list again.
    Gone,
    /// Anything else.
    Failed(Failure),
}

struct Ended {
    how: End,
    /// An event or a bookmark came.
    heard: bool,
}

/// Another list is needed.
struct Again {
    /// Not before so long.
    wait: Duration,
    /// This one was of no use: the next ones come ever more seldom.
    failed: bool,
}

impl Again {
    /// This one was well.
    const WELL: Again = Again { wait: Duration::ZERO, failed: false };
}

/// Pause before the next request.
fn pause(failures: u32, elapsed: Duration, random: &dyn Random) -> Duration {
    if failures == 0 {
        return PERIOD.saturating_sub(elapsed);
    }
    let doubled = PERIOD.saturating_mul(1 << failures.saturating_sub(1).min(10));
    jittered(doubled.min(PATIENCE), random).clamp(PERIOD, PATIENCE)
}

impl Cluster {
    /// Lists and watches for ever.
    pub(super) async fn follow<T: Watched>(&self) {
        // Where the watch continues; `None`: list first.
        let mut at: Option<String> = None;
        let mut failures = 0;
        let mut silent = 0;
        let mut mute = 0;
        let mut closed_well = false;
        let mut listed = Duration::ZERO;
        let mut terms = self.terms.subscribe();
        loop {
            let started = self.clock.monotonic();
            let Some(version) = at.as_mut() else {
                terms.mark_unchanged();
                match self.list::<T>(&terms).await {
                    Ok(version) => {
                        at = Some(version);
                        listed = self.clock.monotonic();
                        closed_well = true;
                    }
                    Err(Again { wait, failed }) => {
                        failures = if failed { failures + 1 } else { 1 };
                        let pause = pause(failures, Duration::ZERO, self.random.as_ref());
                        _ = tokio::time::timeout(pause.max(wait), terms.changed()).await;
                    }
                }
                continue;
            };
            let ended = tokio::select! {
                biased;
                _ = terms.changed() => None,
                ended = self.watch::<T>(version, closed_well) => Some(ended),
            };
            let Some(ended) = ended else {
                at = None;
                continue;
            };
            let elapsed = self.clock.monotonic().saturating_sub(started);
            closed_well = matches!(ended.how, End::Closed);
            let mut wait = Duration::ZERO;
            mute = if ended.heard { 0 } else { mute + 1 };
            if ended.heard || (closed_well && elapsed >= USEFUL) {
                failures = 0;
                silent = 0;
            } else {
                failures += 1;
            }
            match ended.how {
                End::Closed => {}
                End::Silent => {
                    self.counters.add(T::NAME, "silent");
                    silent += 1;
                    failures = 0;
                    info!(self.log, "watch silent, reopened"; "resource" => T::NAME);
                    if silent >= 2 {
                        at = None;
                        silent = 0;
                    }
                }
                End::Gone => {
                    self.counters.add(T::NAME, "expired");
                    debug!(self.log, "watch expired, listing again"; "resource" => T::NAME);
                    at = None;
                }
                End::Failed(failure) => {
                    self.failed::<T>("watch", &failure);
                    wait = failure.retry_after().unwrap_or_default();
                    failures = failures.max(1);
                }
            }
            let old = self.clock.monotonic().saturating_sub(listed) >= self.list_every;
            if (failures > 0 && failures.is_multiple_of(USELESS)) || mute >= MUTE || old {
                at = None;
                mute = 0;
            }
            let pause = pause(failures, elapsed, self.random.as_ref());
            if tokio::time::timeout(pause.max(wait), terms.changed()).await.is_ok() {
                at = None;
            }
        }
    }

    fn failed<T: Resource>(&self, verb: &str, failure: &Failure) {
        self.counters.add(T::NAME, failure.kind());
        if failure.is_denied() {
            let scope = match &self.namespace {
                Some(namespace) if T::NAME != "nodes" => format!("in the namespace {namespace}"),
                _ => "in the whole cluster".into(),
            };
            warn!(self.log, "permission missing: the daemon's ServiceAccount must be allowed to list and watch {} {scope}", T::NAME;
                "resource" => T::NAME, "error" => %failure);
        } else {
            warn!(self.log, "{verb} failed"; "resource" => T::NAME, "error" => %failure);
        }
    }

    fn path<T: Resource>(&self) -> String {
        match &self.namespace {
            Some(namespace) if T::NAME != "nodes" => {
                format!("{}/namespaces/{namespace}/{}", T::API, T::NAME)
            }
            _ => format!("{}/{}", T::API, T::NAME),
        }
    }

    /// Reads a complete list and takes it for the view, unless another term begins meanwhile; returns its resource
    /// version. Else it is to be read again, not before so long.
    async fn list<T: Watched>(&self, terms: &tokio::sync::watch::Receiver<u64>) -> Result<String, Again> {
        let floor = self.with(|s| T::store(s).highest());
        let listing = match self.pages::<T>().await {
            Ok(listing) => listing,
            Err(failure) => {
                self.failed::<T>("list", &failure);
                return Err(Again { wait: failure.retry_after().unwrap_or_default(), failed: true });
            }
        };
        if terms.has_changed().unwrap_or_default() {
            // It may have been read before that.
            return Err(Again::WELL);
        }
        let version = listing.version.clone();
        debug!(self.log, "listed"; "resource" => T::NAME, "objects" => listing.items.len(), "version" => &version);
        let now = self.clock.monotonic();
        let replaced = self.with(|s| {
            let store = T::store(s);
            let replaced = store.replace(listing, floor, now);
            if replaced != Replaced::Older {
                store.alive(now);
            }
            replaced
        });
        match replaced {
            Replaced::Applied(changed) => {
                if changed {
                    self.bump();
                }
                Ok(version)
            }
            Replaced::First => Err(Again::WELL),
            Replaced::Older => {
                self.counters.add(T::NAME, "older");
                warn!(self.log, "list refused: it is older than what was seen before"; "resource" => T::NAME, "version" => version);
                Err(Again { wait: Duration::ZERO, failed: true })
            }
            Replaced::Shrunken { missing, changed } => {
                if changed {
                    self.bump();
                }
                self.counters.add(T::NAME, "shrunken");
                info!(self.log, "list not believed in all yet: it lacks what was there, another one must say so too"; "resource" => T::NAME, "missing" => missing);
                Err(Again::WELL)
            }
        }
    }

    async fn pages<T: Watched>(&self) -> Result<Listing<T>, Failure> {
        let path = self.path::<T>();
        let mut listing = Listing { version: String::new(), items: Vec::new(), nameless: 0 };
        let mut next = String::new();
        loop {
            // No resourceVersion parameter: a read of the latest state, not of some API server's cache.
            let uri = if next.is_empty() {
                format!("{path}?limit={PAGE}")
            } else {
                format!("{path}?limit={PAGE}&continue={}", escaped(&next))
            };
            let body = call::get(&self.client, &uri).await?;
            let page: Page<'_> = serde_json::from_slice(&body)
                .map_err(|e| Failure::Malformed(format!("the list doesn't decode: {e}")))?;
            for raw in page.items.unwrap_or_default() {
                match self.item::<T>(raw) {
                    Some(item) => listing.items.push(item),
                    None => listing.nameless += 1,
                }
            }
            listing.version = page.metadata.resource_version;
            if page.metadata.next.is_empty() {
                break;
            }
            if page.metadata.next == next {
                return Err(Failure::Malformed("the list doesn't move on".into()));
            }
            next = page.metadata.next;
        }
        if listing.version.is_empty() {
            return Err(Failure::Malformed("the list has no resource version".into()));
        }
        Ok(listing)
    }

    /// Decodes one object; `None` when not even its metadata can be read.
    fn item<T: Resource>(&self, raw: &RawValue) -> Option<(super::objects::Identity, Result<T, Broken>)> {
        let Some(identity) = identity(raw.get()) else {
            self.counters.add(T::NAME, "nameless");
            warn!(self.log, "object ignored: its metadata can't be read"; "resource" => T::NAME);
            return None;
        };
        let object = T::read(raw.get());
        if let Err(broken) = &object {
            self.counters.add(T::NAME, "undecodable");
            warn!(self.log, "object can't be read, its last good version stays"; "resource" => T::NAME, "object" => %identity.key, "error" => &broken.why);
        }
        Some((identity, object))
    }

    async fn watch<T: Watched>(&self, version: &mut String, alive: bool) -> Ended {
        // Shorter than `SILENCE`, so that a living server is heard in time: it closes the watch then.
        let seconds = 40 + self.random.next_u64() % 11;
        let uri = format!(
            "{}?watch=true&allowWatchBookmarks=true&resourceVersion={}&timeoutSeconds={seconds}",
            self.path::<T>(),
            escaped(version)
        );
        let mut heard = false;
        let body = match call::stream(&self.client, &uri).await {
            Ok(body) => body,
            Err(failure) if failure.is_gone() => return Ended { how: End::Gone, heard },
            Err(failure) => return Ended { how: End::Failed(failure), heard },
        };
        if alive {
            // The one before ended in an orderly way and this one was accepted: nothing was missed so far.
            self.alive::<T>();
        }
        let mut body = body.into_data_stream();
        let mut buffer = BytesMut::new();
        let mut searched = 0;
        loop {
            let chunk = match tokio::time::timeout(SILENCE, futures::StreamExt::next(&mut body)).await {
                Err(_) => return Ended { how: End::Silent, heard },
                // Half a line at the end is dropped: it comes again with the next watch.
                Ok(None) => return Ended { how: End::Closed, heard },
                Ok(Some(Err(e))) => return Ended { how: End::Failed(Failure::Transport(e)), heard },
                Ok(Some(Ok(chunk))) => chunk,
            };
            buffer.extend_from_slice(&chunk);
            while let Some(end) = buffer.get(searched..).and_then(|unread| unread.iter().position(|b| *b == b'\n')) {
                let line = buffer.split_to(searched + end);
                buffer.advance(1);
                searched = 0;
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                match self.line::<T>(&line, version) {
                    Ok(()) => heard = true,
                    Err(how) => return Ended { how, heard },
                }
            }
            searched = buffer.len();
            if searched > LONGEST_LINE {
                let why = "a line of the watch is too long".into();
                return Ended { how: End::Failed(Failure::Malformed(why)), heard };
            }
        }
    }

    fn alive<T: Watched>(&self) {
        let now = self.clock.monotonic();
        self.with(|s| T::store(s).alive(now));
    }

    fn line<T: Watched>(&self, line: &[u8], version: &mut String) -> Result<(), End> {
        let malformed = |e: serde_json::Error| End::Failed(Failure::Malformed(format!("watch event: {e}")));
        let line: Line<'_> = serde_json::from_slice(line).map_err(malformed)?;
        match line.kind.as_str() {
            "BOOKMARK" => {
                if let Some(mark) = bookmark(line.object.get()) {
                    // The server is behind what it has told: a watch from here would wait for it to catch up.
                    if older(&mark, version) {
                        self.counters.add(T::NAME, "rewound");
                        return Err(End::Gone);
                    }
                    self.with(|s| T::store(s).saw(&mark));
                    *version = mark;
                }
            }
            "ERROR" => {
                let status: Status = serde_json::from_str(line.object.get()).unwrap_or_default();
                let code = http::StatusCode::from_u16(status.code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
                let failure = Failure::Answer { code, retry_after: None, status: Box::new(status) };
                return Err(if failure.is_gone() { End::Gone } else { End::Failed(failure) });
            }
            "ADDED" | "MODIFIED" => {
                if let Some((identity, object)) = self.item::<T>(line.object) {
                    self.put(identity, object, Some(version));
                }
            }
            "DELETED" => match identity(line.object.get()) {
                Some(identity) => {
                    *version = identity.version.clone();
                    let changed = self.with(|s| {
                        let relevant = T::store(s)
                            .get(&identity.key)
                            .cloned()
                            .is_none_or(|o| o.relevant(s, &identity.key.namespace));
                        T::store(s).remove(&identity) && relevant
                    });
                    if changed {
                        self.bump();
                    }
                }
                // What is gone can't be told: only a list can.
                None => {
                    self.counters.add(T::NAME, "nameless");
                    return Err(End::Gone);
                }
            },
            other => {
                self.counters.add(T::NAME, "unknown_event");
                debug!(self.log, "watch event of unknown type ignored"; "resource" => T::NAME, "type" => other);
            }
        }
        self.alive::<T>();
        Ok(())
    }

    /// Takes in one object; from a watch also where the watch is now.
    pub(super) fn put<T: Watched>(
        &self,
        identity: super::objects::Identity,
        object: Result<T, Broken>,
        version: Option<&mut String>,
    ) {
        if let Some(version) = version {
            version.clone_from(&identity.version);
        }
        let changed = self.with(|s| {
            let namespace = identity.key.namespace.clone();
            // What couldn't be read before may have been anybody's.
            let heals = T::store(s).entry(&identity.key).is_some_and(|entry| entry.good.is_none());
            let relevant = match (&object, T::store(s).get(&identity.key).cloned()) {
                _ if heals => true,
                (Ok(new), Some(old)) => new.relevant(s, &namespace) || old.relevant(s, &namespace),
                (Ok(new), None) => new.relevant(s, &namespace),
                (Err(_), _) => true,
            };
            T::store(s).put(identity, object) && relevant
        });
        if changed {
            self.bump();
        }
    }
}

/// Percent-encodes a query parameter.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
