//! Which faults fit which call: the catalogue of the simulators' documentation, as values.

use std::time::Duration;

use crate::sim::event::{Call, Seam};
use crate::sim::fault::{Fault, Garble};

/// Which kinds of faults are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds {
    /// Refusals, among them throttles.
    pub refusals: bool,
    /// No connection, broken ones, no answer, unusable and slow ones.
    pub losses: bool,
    /// Reads that show the past, or not all.
    pub lies: bool,
    /// Requests that take effect long after their sender gave up.
    pub late: bool,
}

impl Kinds {
    /// All of them.
    pub const ALL: Kinds = Kinds { refusals: true, losses: true, lies: true, late: true };
    /// All but late delivery, under which nobody can say who writes when.
    pub const PROMPT: Kinds = Kinds { late: false, ..Kinds::ALL };
}

/// What can go wrong with a call. A call that nothing is said of meets none.
pub fn faults_of(call: &Call, kinds: Kinds) -> Vec<Fault> {
    let mut faults = Vec::new();
    if kinds.refusals {
        faults.extend(refusals(call));
    }
    if kinds.losses {
        faults.extend(losses(call));
    }
    if kinds.lies && !call.mutates {
        faults.extend(lies(call));
    }
    if kinds.late && call.mutates {
        faults.extend([Fault::Late(Duration::from_secs(4)), Fault::Late(Duration::from_secs(45))]);
    }
    faults
}

fn refuse(status: u16, code: &'static str, retry_after: Option<u32>) -> Fault {
    Fault::Refuse { status, code, retry_after }
}

fn refusals(call: &Call) -> Vec<Fault> {
    match call.seam {
        Seam::Aws if call.operation.starts_with("route53:") => {
            let mut faults = vec![
                refuse(400, "Throttling", None),
                refuse(403, "AccessDenied", None),
                refuse(500, "InternalFailure", None),
                refuse(503, "ServiceUnavailable", Some(2)),
            ];
            if call.mutates {
                faults.push(refuse(400, "PriorRequestNotComplete", None));
            }
            faults
        }
        Seam::Aws => vec![
            refuse(503, "RequestLimitExceeded", None),
            refuse(403, "UnauthorizedOperation", None),
            refuse(500, "InternalError", None),
            refuse(503, "Unavailable", None),
        ],
        Seam::Kube => {
            let mut faults = vec![
                refuse(429, "TooManyRequests", Some(1)),
                refuse(500, "InternalError", None),
                refuse(403, "Forbidden", None),
                refuse(503, "ServiceUnavailable", Some(1)),
            ];
            if call.mutates {
                faults.push(refuse(409, "Conflict", None));
                faults.push(refuse(504, "Timeout", None));
            } else {
                faults.push(refuse(410, "Expired", None));
            }
            faults
        }
    }
}

fn losses(call: &Call) -> Vec<Fault> {
    let mut faults = vec![
        Fault::Unreachable,
        Fault::LostBefore,
        Fault::Hang { effect: false },
        Fault::Slow(Duration::from_secs(1)),
        Fault::Garbled(Garble::Truncated),
        Fault::Garbled(Garble::Html),
        Fault::Garbled(Garble::Hollow),
        Fault::Garbled(Garble::Encoding),
    ];
    if call.mutates {
        faults.extend([Fault::LostAfter, Fault::Hang { effect: true }]);
    } else {
        // A write that is so slow takes effect when its sender has given up: that is late delivery.
        faults.push(Fault::Slow(Duration::from_secs(8)));
    }
    faults
}

fn lies(call: &Call) -> Vec<Fault> {
    let past = [Fault::Stale(Duration::from_secs(8)), Fault::Stale(Duration::from_secs(90))];
    let mut faults = Vec::new();
    if call.operation.starts_with("kube:watch") {
        faults.extend([
            Fault::WatchEnds(0),
            Fault::WatchEnds(2),
            Fault::WatchGone,
            Fault::WatchSilent,
            Fault::WatchStalls(1),
            Fault::NoBookmarks,
            Fault::Undecodable,
        ]);
        faults.extend(past);
    } else if call.operation.starts_with("kube:list") {
        faults.extend([Fault::Empty, Fault::Shrunken, Fault::Omits, Fault::PageExpired, Fault::Undecodable]);
        faults.extend(past);
    } else if call.operation.starts_with("kube:get") {
        faults.extend(past);
        faults.push(Fault::Undecodable);
    } else if call.operation.starts_with("ec2:") || call.operation.starts_with("route53:List") {
        // Reads may show the past; EC2 has been seen to leave single things out.
        faults.extend([Fault::PageExpired, Fault::PageRepeats]);
        if call.operation.starts_with("ec2:") {
            faults.push(Fault::Omits);
        }
        faults.extend(past);
    }
    faults
}
