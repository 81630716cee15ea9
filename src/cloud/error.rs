//! What failed, in words for the Service's owner and for whoever runs the daemon, and what may be done next.
//! Decides nothing about retries: that is the loop's.

use std::fmt;

use aws_api::{Class, Service};

use crate::expose::{Reason, Step, ZoneId};

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
}

impl Error {
    /// Only records of single zones are missing: everybody else can be served.
    pub fn only_records(&self) -> bool {
        self.failures.iter().all(|(kind, _)| matches!(kind, Kind::Records(_)))
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
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for StepError {}

impl StepError {
    pub(super) fn new(reason: Reason, next: Next, message: impl Into<String>) -> StepError {
        StepError { reason, message: message.into(), next }
    }

    /// AWS's answer to a call of `step`.
    pub(super) fn of(step: &Step, error: &aws_api::Error) -> StepError {
        let (reason, next) = judge(error);
        StepError::new(reason, next, format!("could not {}: {}{}", step.action, error.summary(), hint(error)))
    }
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
        Class::Invalid if error.message.contains("security group memberships") => {
            (Reason::SecurityGroupLimit, Next::BackOff)
        }
        Class::Quota | Class::Transient | Class::Invalid => (Reason::Failed, Next::BackOff),
    }
}

/// What can be done about it, where AWS's own words don't say so.
fn hint(error: &aws_api::Error) -> String {
    let service = match error.service {
        Service::Ec2 => "ec2",
        Service::Route53 => "route53",
        Service::Sts => "sts",
    };
    match error.operation {
        _ if !lacks_permission(error) => String::new(),
        "CreateSecurityGroup" => "; the daemon's role needs ec2:CreateSecurityGroup and ec2:CreateTags".into(),
        "ModifyNetworkInterfaceAttribute" => {
            "; the daemon's role needs ec2:ModifyNetworkInterfaceAttribute for instances with several network interfaces"
                .into()
        }
        operation => format!("; the daemon's role needs {service}:{operation}"),
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
