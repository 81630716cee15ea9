//! What a fault does to an answer. Decides nothing: which call meets which fault is up to [`crate::sim::Chaos`].

use std::time::Duration;

use super::store::Store;
use crate::sim::fault::Fault;

/// How reads are bent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Twist {
    /// The world is shown as it was at this version.
    pub as_of: Option<u64>,
    /// A watch tells everything so much later.
    pub lag: Option<Duration>,
    pub empty: bool,
    pub omits: bool,
    pub halves: bool,
    pub page_expired: bool,
    pub undecodable: bool,
    pub watch: WatchTwist,
    /// Decides which object it hits: the call's number.
    pub choice: u64,
}

/// How watches are bent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WatchTwist {
    pub ends_after: Option<usize>,
    pub stalls_after: Option<usize>,
    pub gone: bool,
    pub no_bookmarks: bool,
}

impl Twist {
    pub fn new(fault: Option<&Fault>, store: &Store, now: Duration, call: u64) -> Twist {
        let mut out = Twist { choice: call, ..Twist::default() };
        match fault {
            Some(Fault::Stale(age)) => {
                out.as_of = Some(store.version_at(now.saturating_sub(*age)));
                out.lag = Some(*age);
            }
            Some(Fault::Omits) => out.omits = true,
            Some(Fault::Shrunken) => out.halves = true,
            Some(Fault::Empty) => out.empty = true,
            Some(Fault::PageExpired) => out.page_expired = true,
            Some(Fault::Undecodable) => out.undecodable = true,
            Some(Fault::WatchEnds(events)) => out.watch.ends_after = Some(*events),
            Some(Fault::WatchStalls(events)) => out.watch.stalls_after = Some(*events),
            Some(Fault::WatchSilent) => out.watch.stalls_after = Some(0),
            Some(Fault::WatchGone) => out.watch.gone = true,
            Some(Fault::NoBookmarks) => out.watch.no_bookmarks = true,
            _ => {}
        }
        out
    }

    /// Which of so many things is hit.
    pub fn pick(&self, of: usize) -> Option<usize> {
        let mixed = self.choice.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        usize::try_from(mixed).ok()?.checked_rem(of)
    }

    /// Leaves out of a list what is to be left out.
    pub fn thin<T>(&self, items: &mut Vec<T>) {
        if self.empty {
            items.clear();
        }
        if self.halves {
            // A third stays.
            let mut at = 0;
            items.retain(|_| {
                at += 1;
                at % 3 == 1
            });
        }
        if self.omits
            && let Some(at) = self.pick(items.len())
        {
            items.remove(at);
        }
    }

    /// Which item of so many doesn't decode.
    pub fn spoils(&self, of: usize) -> Option<usize> {
        if self.undecodable { self.pick(of) } else { None }
    }
}
