//! What failed, in words for the Service's owner and for whoever runs the daemon, and what may be done next.
//! Decides nothing about retries: that is the loop's.

use std::collections::BTreeSet;
use std::fmt;

use aws_api::{Class, Service};

use crate::expose::{Reason, ServiceKey, Step, ZoneId};

/// A part of what is read from AWS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The security groups that carry our tag.
    Groups,
    /// The instances.
    Instances,
    /// The list of hosted zones.
    Zones,
    /// The record sets of a hosted zone.
    Records(ZoneId),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Groups => f.write_str("the security groups"),
            Kind::Instances => f.write_str("the instances"),
            Kind::Zones => f.write_str("the hosted zones"),
            Kind::Records(zone) => write!(f, "the records of hosted zone {zone}"),
        }
    }
}

/// A refresh that could not read everything. What could be read is taken over all the same; for the rest the last
/// known value stays.
#[derive(Clone, Debug)]
pub struct Error {
    /// What could not be read, and why.
    pub failures: Vec<(Kind, aws_api::Error)>,
    /// The groups are known from before.
    pub(super) groups_known: bool,
    /// So are the zones.
    pub(super) zones_known: bool,
}

impl Error {
    /// Enough is known to go on with. Missing are only records of single zones, whose names wait; or which zones there
    /// are, when they are known from before; or the groups, when these are: then no step on a group is taken and only
    /// records change, so that no address stays in DNS that belongs to someone else by now.
    pub fn is_usable(&self) -> bool {
        self.failures.iter().all(|(kind, error)| match kind {
            Kind::Records(_) => true,
            Kind::Groups => self.groups_known && !error.refused,
            Kind::Zones => self.zones_known && !error.refused,
            Kind::Instances => false,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (kind, error)) in self.failures.iter().enumerate() {
            let separator = if n == 0 { "" } else { "; " };
            write!(f, "{separator}could not read {kind}: {error}{}", hint(error))?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// What the loop does after a failed step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The world isn't as it was thought to be: what the step touches is read again, then plan anew.
    Replan,
    /// Nobody's fault and nobody's work: it passes with time.
    Wait,
    /// It was not begun, since the others took so long: it is decided anew whether it is still wanted.
    Later,
    /// Try again later, and tell the owners meanwhile.
    BackOff,
    /// Nothing was sent, since this process doesn't lead.
    NotLeader,
}

/// A step that was not taken, or of which that isn't known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepError {
    /// What the owners of the step's Services read as the reason.
    pub reason: Reason,
    /// What was tried, what AWS said, who can do what about it.
    pub message: String,
    /// What to do next.
    pub next: Next,
    /// Whether AWS was asked to take it; not while what it rests on can't be read.
    pub tried: bool,
    /// The Services whose part of the step was refused for what is in it, while the rest was taken; none: it failed as a
    /// whole.
    pub refused_for: Box<BTreeSet<ServiceKey>>,
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for StepError {}

impl StepError {
    pub(super) fn new(reason: Reason, next: Next, message: impl Into<String>) -> StepError {
        StepError { reason, message: message.into(), next, tried: true, refused_for: Box::default() }
    }

    /// AWS's answer to a call of `step`.
    pub(super) fn of(step: &Step, error: &aws_api::Error) -> StepError {
        let (reason, next) = judge(error);
        StepError::new(reason, next, format!("could not {}: {}{}", step.action, error.summary(), hint(error)))
    }
}

/// Why no step that rests on the groups is taken: they could not be read.
pub(super) fn groups_unread(error: &aws_api::Error) -> (Reason, String) {
    (judge(error).0, format!("could not read {}: {}{}", Kind::Groups, error.summary(), hint(error)))
}

fn judge(error: &aws_api::Error) -> (Reason, Next) {
    if error.refused {
        return (Reason::Progressing, Next::NotLeader);
    }
    // A group stays in use for minutes after it was detached; an earlier change of a zone takes its time.
    if ["DependencyViolation", "InvalidGroup.InUse", "PriorRequestNotComplete"].iter().any(|code| error.is(code)) {
        return (Reason::Progressing, Next::Wait);
    }
    match error.class {
        Class::UnknownOutcome | Class::Conflict | Class::NotFound => (Reason::Failed, Next::Replan),
        Class::Denied => (Reason::AccessDenied, Next::BackOff),
        Class::Throttled => (Reason::Throttled, Next::BackOff),
        Class::Quota if error.service == Service::Ec2 => (Reason::SecurityGroupLimit, Next::BackOff),
        // The fifth group of an interface may be refused in these words, too.
        Class::Invalid if is_about_memberships(error) => (Reason::SecurityGroupLimit, Next::BackOff),
        Class::Quota | Class::Transient | Class::Invalid => (Reason::Failed, Next::BackOff),
    }
}

/// What can be done about it, where AWS's own words don't say so.
fn hint(error: &aws_api::Error) -> String {
    if error.refused {
        return String::new();
    }
    if lacks_permission(error) {
        return format!("; the daemon's role needs {}", permission(error));
    }
    let what = match error.class {
        Class::Denied => "whoever runs the daemon has to look at its credentials and its clock",
        Class::Quota | Class::Invalid if is_about_memberships(error) => {
            "raise the quota \"Security groups per network interface\", or take off a group that isn't needed"
        }
        Class::Quota if error.is("RulesPerSecurityGroupLimitExceeded") => {
            "raise the quota \"Inbound or outbound rules per security group\", or ask for fewer ports or source ranges"
        }
        Class::Quota if error.service == Service::Ec2 => {
            "raise that quota, or delete security groups that aren't needed"
        }
        Class::Quota => "raise that quota, or delete records that aren't needed",
        Class::Throttled | Class::Transient => "it is tried again by itself",
        Class::UnknownOutcome | Class::Conflict | Class::NotFound => "it is looked at and tried again by itself",
        Class::Invalid => return String::new(),
    };
    format!("; {what}")
}

/// Whether AWS may take a part of what it refused: the request is well, and too much or wrong in what it asks for.
pub(super) fn is_about_content(error: &aws_api::Error) -> bool {
    !error.refused
        && !is_about_memberships(error)
        && (error.class == Class::Invalid || error.is("RulesPerSecurityGroupLimitExceeded"))
}

/// The interface has as many groups as it may have, in either of the ways in which EC2 says so.
pub(super) fn is_about_memberships(error: &aws_api::Error) -> bool {
    error.is("SecurityGroupsPerInterfaceLimitExceeded")
        || error.is("SecurityGroupsPerInstanceLimitExceeded")
        || error.message.contains("security group memberships")
}

fn permission(error: &aws_api::Error) -> String {
    let service = match error.service {
        Service::Ec2 => "ec2",
        Service::Route53 => "route53",
        Service::Sts => "sts",
    };
    match error.operation {
        "CreateSecurityGroup" => "ec2:CreateSecurityGroup and ec2:CreateTags".into(),
        "ModifyNetworkInterfaceAttribute" => {
            "ec2:ModifyNetworkInterfaceAttribute for instances with several network interfaces".into()
        }
        "ChangeResourceRecordSets" => {
            "route53:ChangeResourceRecordSets on this zone, and for this name where its policy lists names".into()
        }
        operation => format!("{service}:{operation}"),
    }
}

/// Whether AWS knows us and says no, rather than not accepting our credentials.
pub(super) fn lacks_permission(error: &aws_api::Error) -> bool {
    let codes = ["UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "NotAuthorized"];
    !error.refused && error.class == Class::Denied && codes.iter().any(|code| error.is(code))
}

/// Whether what the step touches must be read again before anything else is decided on it.
pub(super) fn casts_doubt(error: &aws_api::Error) -> bool {
    !error.refused && matches!(error.class, Class::UnknownOutcome | Class::Conflict | Class::NotFound)
}
