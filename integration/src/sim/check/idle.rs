//! L7 where nothing is about: each write to AWS changes something. Whoever forgets what it has written, and believes
//! reads of the past, writes it again.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::sim::event::{Actor, Call, Event, Seam};

use super::Memory;
use super::past::DISTURBED;

/// Answers that say no for reasons that only a write can find out: how much is allowed or left, what AWS itself isn't
/// done with, and what time it is there.
const FOUND_OUT: [&str; 8] = [
    "AuthFailure",
    "DependencyViolation",
    "InvalidGroup.NotFound",
    "InvalidParameterValue",
    "PriorRequestNotComplete",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "Throttling",
];

/// Writes to AWS under way, and whether it is known what to expect of them.
#[derive(Default)]
pub(super) struct Idle {
    /// By number: operation and target.
    open: BTreeMap<u64, String>,
    /// When something last happened that leaves the daemon unsure: a fault, a change by somebody else, the end of a
    /// process. So it may be for [`DISTURBED`].
    disturbed: Option<Duration>,
    /// Whether no read shows an older state than one before it: then nothing is forgotten by what a read showed.
    monotone: bool,
}

impl Idle {
    /// Where no read of AWS shows an older state than one before it (`monotone`), a world is undisturbed from its
    /// beginning.
    pub(super) fn new(monotone: bool) -> Idle {
        Idle { monotone, ..Idle::default() }
    }

    /// Something happened. What was about, if it is the answer to a write that should have changed something and didn't.
    fn see(&mut self, at: Duration, event: &Event) -> Option<String> {
        match event {
            Event::Called(call) => self.called(call),
            Event::Changed { call: Some(call), actor: Actor::Replica(_), .. } => {
                self.open.remove(call);
            }
            // Whoever comes into a world finds it as it is.
            Event::Changed { call: None, .. } if at.is_zero() && self.monotone => {}
            Event::Changed { seam: Seam::Aws, .. } | Event::Fault { .. } => self.disturbed = Some(at),
            Event::Changed { what, .. } if what.contains("leases") => self.disturbed = Some(at),
            Event::Process { what, .. } if what != "starts" => self.disturbed = Some(at),
            Event::Answered { call, code, .. } => return self.answered(at, *call, code.as_deref()),
            Event::Changed { .. } | Event::Process { .. } | Event::Note(_) => {}
        }
        None
    }

    fn called(&mut self, call: &Call) {
        if call.seam == Seam::Aws && call.mutates && matches!(call.actor, Actor::Replica(_)) {
            self.open.insert(call.number, format!("{} {}", call.operation, call.target));
        }
    }

    fn answered(&mut self, at: Duration, call: u64, code: Option<&str>) -> Option<String> {
        let about = self.open.remove(&call)?;
        if code == Some("InvalidGroup.NotFound") && about.starts_with("ec2:DeleteSecurityGroup") {
            // Gone, or too new to be found: the daemon can't know, and takes it for there when a read shows it.
            self.disturbed = Some(at);
        }
        let sure = self.disturbed.is_none_or(|disturbed| disturbed + DISTURBED < at);
        let found_out = |code: &str| FOUND_OUT.contains(&code) || code.ends_with("LimitExceeded");
        (sure && !code.is_some_and(found_out)).then(|| match code {
            Some(code) => format!("{about} changed nothing: {code}"),
            None => format!("{about} changed nothing"),
        })
    }
}

impl Memory {
    /// Something happened; a change is there already.
    pub(super) fn judge_idle(&mut self, at: Duration, event: &Event) {
        if let Some(what) = self.idle.see(at, event) {
            self.broken("L7", at, what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::fault::Fault;

    fn call() -> Event {
        let (operation, target) = ("ec2:ModifyInstanceAttribute".to_owned(), "i-1 = sg-1".to_owned());
        Event::Called(Call { number: 7, actor: Actor::Replica(1), seam: Seam::Aws, operation, target, mutates: true })
    }

    fn changed(call: Option<u64>, actor: Actor, seam: Seam) -> Event {
        Event::Changed { call, actor, seam, what: "something".to_owned() }
    }

    fn answered(code: Option<&str>) -> Event {
        let status = Some(if code.is_some() { 400 } else { 200 });
        Event::Answered { call: 7, status, code: code.map(str::to_owned) }
    }

    fn judged(before: &[Event], code: Option<&str>) -> bool {
        let mut idle = Idle::default();
        let events = before.iter().cloned().chain([answered(code)]);
        let found: Vec<String> = events.filter_map(|event| idle.see(Duration::from_secs(50), &event)).collect();
        assert!(found.len() <= 1, "{found:?}");
        !found.is_empty()
    }

    #[test]
    fn a_write_that_changes_nothing_is_found_whatever_is_answered() {
        assert!(judged(&[call()], None));
        assert!(judged(&[call()], Some("InvalidPermission.Duplicate")));
        assert!(judged(&[changed(None, Actor::Person, Seam::Kube), call()], None));
    }

    #[test]
    fn a_write_that_changes_something_or_finds_out_what_only_a_write_can_is_not() {
        assert!(!judged(&[call(), changed(Some(7), Actor::Replica(1), Seam::Aws)], None));
        for code in ["DependencyViolation", "RulesPerSecurityGroupLimitExceeded", "RequestLimitExceeded"] {
            assert!(!judged(&[call()], Some(code)));
        }
    }

    #[test]
    fn a_world_is_undisturbed_from_its_beginning_where_no_read_goes_back_behind_another() {
        for monotone in [false, true] {
            let mut idle = Idle::new(monotone);
            assert_eq!(idle.see(Duration::ZERO, &changed(None, Actor::Person, Seam::Aws)), None);
            idle.see(Duration::from_secs(50), &call());
            let found = idle.see(Duration::from_secs(50), &answered(None));
            assert_eq!(found.is_some(), monotone);
        }
    }

    #[test]
    fn whoever_may_be_unsure_may_write_once_more() {
        let fault = Event::Fault { call: 1, fault: Fault::LostAfter };
        let ended = Event::Process { replica: 1, what: "is killed".to_owned() };
        for unsure in [changed(None, Actor::Nature, Seam::Aws), fault, ended] {
            assert!(!judged(&[unsure, call()], None));
        }
    }

    #[test]
    fn a_group_that_is_not_found_when_it_is_to_go_may_be_there_all_the_same() {
        let Event::Called(mut delete) = call() else { unreachable!() };
        delete.operation = "ec2:DeleteSecurityGroup".to_owned();
        let not_found = answered(Some("InvalidGroup.NotFound"));
        assert!(!judged(&[Event::Called(delete), not_found, call()], Some("InvalidGroup.Duplicate")));
    }
}
