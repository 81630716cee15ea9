//! What can go wrong with a call, and who decides it. The catalogue is the one of the project's reliability notes:
//! K1-K16 for Kubernetes, A1-A20 for AWS, P1-P10 for processes.

use std::time::Duration;

use crate::sim::event::Call;

/// What goes wrong with one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An error answer, without effect. AWS: an error document of the service (throttles too); Kubernetes: a Status.
    Refuse {
        /// HTTP status.
        status: u16,
        /// AWS's code or Kubernetes's reason.
        code: &'static str,
        /// `Retry-After`, in seconds.
        retry_after: Option<u32>,
    },
    /// No connection: nothing is sent.
    Unreachable,
    /// The connection breaks, without effect.
    LostBefore,
    /// It takes effect, and the connection breaks before the answer.
    LostAfter,
    /// No answer ever comes; with or without effect.
    Hang {
        /// Whether it takes effect.
        effect: bool,
    },
    /// The connection breaks, and it takes effect so much later all the same.
    Late(Duration),
    /// It takes effect and is answered so much later.
    Slow(Duration),
    /// It takes effect, and the answer is unusable.
    Garbled(Garble),
    /// A read shows the world as it was so long ago.
    Stale(Duration),
    /// A listing leaves out one thing that is there.
    Omits,
    /// A listing says that there is nothing.
    Empty,
    /// A listing leaves out most of what is there.
    Shrunken,
    /// A listing's next page is refused: its token has expired.
    PageExpired,
    /// AWS: a listing's next page is the same again.
    PageRepeats,
    /// Kubernetes: a watch ends after so many events; 0: at once.
    WatchEnds(usize),
    /// Kubernetes: a watch begins with the event ERROR 410.
    WatchGone,
    /// Kubernetes: a watch that never says anything.
    WatchSilent,
    /// Kubernetes: a watch that stays open and says nothing more after so many events.
    WatchStalls(usize),
    /// Kubernetes: a watch without bookmarks.
    NoBookmarks,
    /// Kubernetes: one object of the answer doesn't decode.
    Undecodable,
}

impl Fault {
    /// Whether the sender of a write isn't told what became of it; and if so, how much later it takes effect at most.
    pub fn leaves_unknown(&self) -> Option<Duration> {
        match self {
            Fault::LostBefore | Fault::LostAfter | Fault::Hang { .. } | Fault::Garbled(_) => Some(Duration::ZERO),
            Fault::Late(after) | Fault::Slow(after) => Some(*after),
            // A throttle is told before anything is done; any other error of a server may hide an effect.
            Fault::Refuse { status, .. } => (*status >= 500).then_some(Duration::ZERO),
            _ => None,
        }
    }
}

/// How an answer is spoiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Garble {
    /// It ends in the middle.
    Truncated,
    /// A page of something in between, with status 502.
    Html,
    /// Status 200 with a document of the right kind and none of its content.
    Hollow,
    /// Not the encoding that it says.
    Encoding,
    /// Larger and deeper than anything real.
    Huge,
}

/// Decides what goes wrong.
pub trait Chaos: Send {
    /// Asked once for each call, in order, before it does anything.
    fn on_call(&mut self, call: &Call) -> Option<Fault>;
}

/// Nothing goes wrong.
pub struct Calm;

impl Chaos for Calm {
    fn on_call(&mut self, _call: &Call) -> Option<Fault> {
        None
    }
}

impl<F: FnMut(&Call) -> Option<Fault> + Send> Chaos for F {
    fn on_call(&mut self, call: &Call) -> Option<Fault> {
        self(call)
    }
}
