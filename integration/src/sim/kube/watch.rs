//! Watches: what has changed since a version, as it happens.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::Instant;
use tower::BoxError;

use super::faults::Twist;
use super::kinds::Resource;
use super::kinds::others::blank;
use super::list::{check_options, no_number, text};
use super::route::Asked;
use super::select::Selection;
use super::status::Status;
use super::store::{Change, Store, Stored};
use super::{AnswerBody, Kube, tables};

/// Pause between bookmarks, and how long before its end a watch gets the last.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A watch that lags looks so often whether it may tell the next.
const LAG_STEP: Duration = Duration::from_millis(500);

/// An open watch.
pub(super) struct Watch {
    kube: Kube,
    resource: Resource,
    selection: Selection,
    /// All changes up to here are told.
    at: u64,
    ready: VecDeque<Bytes>,
    news: Arc<Notify>,
    end: Instant,
    bookmark: Option<Instant>,
    twist: Twist,
    /// Rows of a table are asked for.
    table: bool,
    include: tables::Include,
    /// Lines that were said.
    said: usize,
    over: bool,
}

/// Opens a watch.
pub(super) fn open(
    kube: &Kube,
    store: &Store,
    asked: &Asked,
    selection: Selection,
    twist: Twist,
) -> Result<Watch, Status> {
    check_options(asked, true)?;
    let shelf = store.shelf(asked.resource);
    let text_version = asked.parameter("resourceVersion");
    let version: u64 = if text_version.is_empty() {
        0
    } else {
        text_version.parse().map_err(|_| Status::failed(500, no_number(text_version)))?
    };
    let sends_all = asked.flag("sendInitialEvents");
    let begins_with_all = sends_all || (version == 0 && !asked.query.contains_key("sendInitialEvents"));
    let now = Instant::now();
    let seconds = asked.parameter("timeoutSeconds").parse::<u64>().unwrap_or(1800 + twist.choice % 1800);
    let end = now + Duration::from_secs(seconds);
    let bookmarks = asked.flag("allowWatchBookmarks") && !twist.watch.no_bookmarks;
    let mut watch = Watch {
        kube: kube.clone(),
        resource: asked.resource,
        selection,
        at: version,
        ready: VecDeque::new(),
        news: Arc::clone(&shelf.news),
        end,
        bookmark: bookmarks.then(|| (now + BOOKMARK_EVERY).min(end - LAST_WORDS.min(end - now))),
        twist,
        table: tables::asked_for(&asked.accept),
        include: tables::Include::named(asked.parameter("includeObject")),
        said: 0,
        over: false,
    };
    if twist.watch.gone {
        let gone = Status::expired(format!("too old resource version: {version} ({})", store.version));
        watch.ready.push_back(line("ERROR", &gone.body().to_string()));
        watch.twist.watch.ends_after = Some(1);
        return Ok(watch);
    }
    if begins_with_all {
        let as_of = twist.as_of.unwrap_or(store.version).max(shelf.compacted);
        let all = shelf.at(as_of).unwrap_or_default();
        for object in all.values() {
            if !watch.selection.matches(object) {
                continue;
            }
            let line = watch.event("ADDED", object);
            watch.ready.push_back(line);
        }
        watch.at = as_of;
        if sends_all && bookmarks {
            let line = watch.bookmark_line(watch.at, true);
            watch.ready.push_back(line);
        }
    } else if version < shelf.compacted {
        return Err(Status::expired(format!("too old resource version: {version} ({})", shelf.compacted)));
    } else if version == 0 {
        watch.at = store.version;
    }
    Ok(watch)
}

fn line(kind: &str, object: &str) -> Bytes {
    Bytes::from(format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n"))
}

impl Watch {
    fn event(&mut self, kind: &str, object: &Stored) -> Bytes {
        if self.table {
            let table = tables::one(self.resource, object, self.kube.now(), self.include);
            return line(kind, &table.to_string());
        }
        // Only the first is spoiled.
        let spoiled = std::mem::take(&mut self.twist.undecodable);
        line(kind, &text(self.resource, object, true, spoiled))
    }

    fn bookmark_line(&self, version: u64, initial_end: bool) -> Bytes {
        let mut object = blank(self.resource);
        object["kind"] = json!(self.resource.kind_name());
        object["apiVersion"] = json!(self.resource.api_version());
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        if initial_end {
            object["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        if self.table {
            return line("BOOKMARK", &tables::bookmark(self.resource, version).to_string());
        }
        line("BOOKMARK", &object.to_string())
    }

    fn tells(&mut self, change: &Change) -> Option<Bytes> {
        let matches = |object: &Option<Arc<Stored>>| object.as_ref().is_some_and(|o| self.selection.matches(o));
        match (matches(&change.before), matches(&change.after)) {
            (false, false) => None,
            (false, true) => change.after.as_ref().map(|object| self.event("ADDED", object)),
            (true, true) => change.after.as_ref().map(|object| self.event("MODIFIED", object)),
            (true, false) => match (&change.last, &change.before) {
                (Some(last), _) => Some(self.event("DELETED", last)),
                (None, Some(before)) => {
                    let (value, managers) = (before.value.clone(), before.managers.clone());
                    let version = change.version;
                    let addresses = before.addresses.clone();
                    let last = Stored::new(before.resource, value, managers, version, before.creator, addresses);
                    Some(self.event("DELETED", &last))
                }
                (None, None) => None,
            },
        }
    }

    /// Collects what may be told by now.
    fn look(&mut self) {
        let kube = self.kube.clone();
        let store = kube.store();
        let now = kube.elapsed();
        let limit = match self.twist.lag {
            Some(lag) => store.version_at(now.saturating_sub(lag)),
            None => store.version,
        };
        let shelf = store.shelf(self.resource);
        if self.at < shelf.compacted && shelf.log.front().is_some_and(|first| first.version > self.at + 1) {
            // It was too slow: what it has missed is forgotten.
            let gone = Status::expired(format!("too old resource version: {} ({})", self.at, shelf.compacted));
            self.ready.push_back(line("ERROR", &gone.body().to_string()));
            self.over = true;
            return;
        }
        let mut lines = Vec::new();
        for change in shelf.after(self.at).take_while(|change| change.version <= limit) {
            lines.extend(self.tells(change));
        }
        self.at = self.at.max(limit);
        self.ready.extend(lines);
    }

    /// The next line; `None`: the watch is over.
    async fn next(&mut self) -> Option<Bytes> {
        let twist = self.twist.watch;
        loop {
            if twist.ends_after.is_some_and(|events| self.said >= events) {
                return None;
            }
            if twist.stalls_after.is_some_and(|events| self.said >= events) {
                return std::future::pending().await;
            }
            if let Some(line) = self.ready.pop_front() {
                self.said += 1;
                return Some(line);
            }
            if self.over {
                return None;
            }
            // From here on: what changes while it looks wakes it.
            let mut woken = pin!(Arc::clone(&self.news).notified_owned());
            woken.as_mut().enable();
            self.look();
            if !self.ready.is_empty() {
                continue;
            }
            let now = Instant::now();
            if now >= self.end {
                return None;
            }
            if self.bookmark.is_some_and(|moment| now >= moment) {
                let last = self.end - LAST_WORDS;
                self.bookmark = (now < last).then(|| (now + BOOKMARK_EVERY).min(last));
                return Some(self.bookmark_line(self.at, false));
            }
            let wake = self.bookmark.unwrap_or(self.end).min(self.end);
            let wake = if self.twist.lag.is_some() { wake.min(now + LAG_STEP) } else { wake };
            tokio::select! {
                biased;
                () = woken => {}
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// The answer's body.
    pub fn into_body(self) -> AnswerBody {
        let lines = stream::unfold(self, |mut watch| async move {
            let line = watch.next().await?;
            Some((Ok::<_, BoxError>(Frame::data(line)), watch))
        });
        StreamBody::new(lines).boxed_unsync()
    }
}
