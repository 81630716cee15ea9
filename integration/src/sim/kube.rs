//! A simulated API server: requests in, answers and watches out, on tokio's time, as strict as the real one in all
//! that the daemon and kubectl rely on. `tests/contract_kube.rs` holds it to that.
//!
//! | Fault of the catalogue | Here |
//! |-|-|
//! | K1 watch drops, closed at once | [`Fault::WatchEnds`] |
//! | K2 410 as an event | [`Fault::WatchGone`], or [`Kube::compact`] under a watch's start |
//! | K3 410 as a status at a watch's start | [`Fault::Refuse`] with 410 `Expired`; [`Kube::compact`] |
//! | K4 silent watch | [`Fault::WatchSilent`], [`Fault::WatchStalls`] |
//! | K5 no bookmarks | [`Fault::NoBookmarks`] |
//! | K6 an older state after a reconnect | [`Fault::Stale`] on lists, gets and watches |
//! | K7 a page fails, its token expires, JSON ends early | [`Fault::PageExpired`], any fault on a call with `continue`, [`Fault::Garbled`] |
//! | K8 empty or shrunken list | [`Fault::Empty`], [`Fault::Shrunken`], [`Fault::Omits`] |
//! | K9 one object doesn't decode | [`Fault::Undecodable`], in lists, gets and watches; [`UNDECODABLE`] |
//! | K10 changed or made anew between read and write | [`Kube::by`] from within [`crate::sim::Chaos::on_call`] |
//! | K11 429, 503, 504 with and without effect | [`Fault::Refuse`]; [`Fault::Garbled`] with `Html` after the effect |
//! | K12 403 by admission, rights lost | [`Kube::add_hook`], [`Kube::set_rights`], [`Fault::Refuse`] |
//! | K13 answer lost or never given | [`Fault::LostAfter`], [`Fault::LostBefore`], [`Fault::Hang`], [`Fault::Late`] |
//! | K14 slow | [`Fault::Slow`] |
//! | K15 Lease deleted, nulled, edited, garbage | [`Kube::by`] |
//! | K16 clocks of a candidate | [`crate::sim::Clock::off_by`]: nothing of this server |
//!
//! Each request is a [`crate::sim::Call`] named `kube:VERB RESOURCE[/SUBRESOURCE][ dry-run]`, where a patch's verb is
//! `apply`, `merge`, `strategic` or `json-patch`, about `namespace/name`; the target of a list that goes on with
//! `continue` ends in `next page`.

mod admission;
mod answer;
mod delete;
mod discovery;
mod faults;
mod fields;
mod handle;
mod kinds;
mod list;
mod look;
mod managed;
mod patch;
mod people;
mod protobuf;
mod rbac;
mod route;
mod schema;
mod select;
mod serve;
mod status;
mod store;
mod tables;
#[cfg(test)]
mod tests;
mod told;
mod update;
mod watch;
mod write;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use tower::BoxError;

use crate::error::Result;
use crate::sim::Stage;
#[cfg(doc)]
use crate::sim::fault::Fault;

pub use admission::{Hook, Review, deny_external_ips, stamp_load_balancer_class};
pub use kinds::Resource;
pub use list::UNDECODABLE;
pub use look::{ConditionView, LeaseView, LeaseWrite, Look, NodeView, ServiceView};
pub use people::Hand;
pub use rbac::{Rights, User};
pub use serve::Served;
pub use status::Status;

use admission::Hooks;
use store::Store;

pub(crate) type AnswerBody = UnsyncBoxBody<Bytes, BoxError>;

/// How a simulated API server is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// The time that each request takes: half of it before its effect, half after.
    pub latency: Duration,
    /// What is permitted to whom.
    pub rights: Rights,
    /// Namespaces that are there from the beginning, besides those of every cluster.
    pub namespaces: Vec<String>,
    /// The most objects of a page, whatever is asked for; `None`: as asked.
    pub page: Option<usize>,
}

impl Options {
    /// The rights of `deploy/base/rbac.yaml`, and the namespace there.
    ///
    /// # Errors
    /// The manifest can't be read.
    pub fn deployed() -> Result<Options> {
        let rights = Rights::from_manifest(&crate::repository().join("deploy/base/rbac.yaml"))?;
        Ok(Options { latency: Duration::from_millis(4), rights, namespaces: vec!["external-ips".into()], page: None })
    }
}

/// The server; clones are the same.
#[derive(Clone)]
pub struct Kube {
    inner: Arc<Inner>,
}

struct Inner {
    stage: Stage,
    options: Options,
    store: Mutex<Store>,
    control: Mutex<Control>,
}

/// Who may do what. Changed by scenarios only.
#[derive(Debug, Default)]
struct Control {
    users: BTreeMap<String, User>,
    rights: Arc<Rights>,
    hooks: Arc<Hooks>,
}

impl Kube {
    /// An empty cluster: the namespaces `default`, `kube-system`, `kube-public`, `kube-node-lease` and those of the
    /// options, and the Service `default/kubernetes`.
    pub fn new(stage: Stage, options: Options) -> Kube {
        let control = Control { rights: Arc::new(options.rights.clone()), ..Control::default() };
        let inner = Inner { stage, options, store: Mutex::new(Store::new()), control: Mutex::new(control) };
        let kube = Kube { inner: Arc::new(inner) };
        kube.furnish();
        kube
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.inner.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        self.inner.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time since the world's beginning.
    fn elapsed(&self) -> Duration {
        self.inner.stage.clock.now()
    }

    /// The right time of day.
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::try_from(self.inner.stage.clock.wall()).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    /// The right time of day in RFC 3339, whole seconds.
    fn wall(&self) -> String {
        self.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// Looks at the cluster, under its lock.
    pub fn look<R>(&self, f: impl FnOnce(&Look<'_>) -> R) -> R {
        f(&Look(&self.store()))
    }

    /// Somebody gets a token, for those who come over the network.
    pub fn add_user(&self, token: &str, user: User) {
        self.control().users.insert(token.to_owned(), user);
    }

    /// From now on these rights count.
    pub fn set_rights(&self, rights: Rights) {
        self.control().rights = Arc::new(rights);
    }

    /// From now on this hook reviews creations and updates by requests. One of the same name is replaced.
    pub fn add_hook(&self, name: &str, hook: Hook) {
        Arc::make_mut(&mut self.control().hooks).set(name, hook);
    }

    /// Takes a hook away.
    pub fn remove_hook(&self, name: &str) {
        Arc::make_mut(&mut self.control().hooks).remove(name);
    }

    /// The past is forgotten, as after etcd's compaction: older watches and pages get 410.
    pub fn compact(&self) {
        self.store().compact();
    }
}
