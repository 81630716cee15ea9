//! How many requests AWS grants: one token bucket for each bucket that AWS has.
//!
//! The defaults are those of Amazon EC2 API, "Request throttling" (bucket size and refill per second, for each action
//! by itself), and of Route 53's quotas (five requests per second for an account).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::operation::{Operation, Service};

/// A bucket of tokens, one for each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests that a full bucket grants at once; 0 counts as 1.
    pub burst: u32,
    /// How long it takes until one more is granted; beyond an hour it counts as an hour. Zero is no limit.
    pub every: Duration,
}

impl Rate {
    /// `burst` requests at once, then `refill` per second (0 counts as 1).
    pub const fn per_second(burst: u32, refill: u32) -> Rate {
        let refill = if refill == 0 { 1 } else { refill };
        Rate { burst, every: Duration::from_nanos(1_000_000_000 / refill as u64) }
    }
}

/// The rates that a client keeps to; `None` is no limit. Less than AWS's are in place where others use the same
/// account, more where AWS has raised them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rates {
    /// Each action of EC2 that reads: 100 at once, 20 per second.
    pub ec2_reads: Option<Rate>,
    /// Each action of EC2 that reads, asked for everything: without filter and without page size
    /// ([`Operation::narrowed`]). 50 at once, 10 per second.
    pub ec2_wide_reads: Option<Rate>,
    /// Each action of EC2 that changes something: 50 at once, 5 per second.
    pub ec2_changes: Option<Rate>,
    /// Actions of EC2 with rates of their own, by name; they go before the others. `ModifyNetworkInterfaceAttribute`:
    /// 100 at once, 5 per second. `CreateTags`: 100 at once, 10 per second.
    pub ec2_actions: BTreeMap<String, Option<Rate>>,
    /// All of Route 53 together: 5 at once, 5 per second.
    pub route53: Option<Rate>,
    /// All of STS together: no limit.
    pub sts: Option<Rate>,
}

impl Default for Rates {
    fn default() -> Rates {
        let own = |name: &str, burst, refill| (name.to_owned(), Some(Rate::per_second(burst, refill)));
        Rates {
            ec2_reads: Some(Rate::per_second(100, 20)),
            ec2_wide_reads: Some(Rate::per_second(50, 10)),
            ec2_changes: Some(Rate::per_second(50, 5)),
            ec2_actions: [own("ModifyNetworkInterfaceAttribute", 100, 5), own("CreateTags", 100, 10)].into(),
            route53: Some(Rate::per_second(5, 5)),
            sts: None,
        }
    }
}

/// What a request counts as. Requests of one group share a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Group {
    service: Service,
    /// Empty where the service counts all requests together.
    action: &'static str,
    mutates: bool,
    narrowed: bool,
}

impl Group {
    /// The group of a request.
    pub(crate) fn of<O: Operation>(operation: &O) -> Group {
        match O::SERVICE {
            Service::Ec2 => {
                let narrowed = O::MUTATES || operation.narrowed();
                Group { service: Service::Ec2, action: O::NAME, mutates: O::MUTATES, narrowed }
            }
            service => Group { service, action: "", mutates: false, narrowed: true },
        }
    }
}

impl Rates {
    /// The rate of a group.
    pub(crate) fn of(&self, group: Group) -> Option<Rate> {
        match group.service {
            Service::Sts => self.sts,
            Service::Route53 => self.route53,
            Service::Ec2 => match self.ec2_actions.get(group.action) {
                Some(own) => *own,
                None if group.mutates => self.ec2_changes,
                None if group.narrowed => self.ec2_reads,
                None => self.ec2_wide_reads,
            },
        }
    }
}
