//! How strict, how slow and how forgetful the account is.

use std::time::Duration;

/// Settings of an [`Aws`](super::Aws). The default is AWS as documented, with nothing eventual: whoever wants lag says
/// how much.
#[derive(Clone, Debug)]
pub struct Options {
    /// What ids, lags and travel times are drawn from.
    pub seed: u64,
    /// The region that the endpoints are of.
    pub region: String,
    /// The account's number.
    pub account: String,
    /// How long a request, and its answer, are on their way at most: drawn for each. Zero: no time at all.
    pub travel: Duration,
    /// A read of EC2 may be this old.
    pub ec2_lag: Duration,
    /// A read of Route 53 may be this old.
    pub route53_lag: Duration,
    /// In this percentage of the cases it is, by an amount that is drawn.
    pub lag_percent: u32,
    /// Instead, each read is as old as it may be: none shows less than one before it.
    pub steady_lag: bool,
    /// Whether an old answer of EC2 shows some things as they were and others as they are; else all are as they were.
    pub patchy: bool,
    /// How long a group can't be deleted after it was taken off an interface.
    pub release_time: Duration,
    /// How long a change of records is PENDING.
    pub propagation: Duration,
    /// How long a zone is busy after a batch: another one is refused with PriorRequestNotComplete.
    pub zone_busy: Duration,
    /// Whether a refused batch is told in the form that only InvalidChangeBatch has, a list of messages, which the
    /// reference shows. AWS has been seen with both forms.
    pub listed_batch_errors: bool,
    /// Whether request rates are limited.
    pub throttling: bool,
    /// How long a page token can be used.
    pub token_life: Duration,
    /// How long temporary keys are good.
    pub key_life: Duration,
    /// How far back [`Fault::Stale`](crate::sim::Fault::Stale) can reach.
    pub memory: Duration,
    /// Entries of a page of instances, groups, records or zones, when that is less than AWS's own limit.
    pub page: Option<usize>,
    /// Whether Authorize adds what it can before it refuses the rest, as moto does; AWS: all or nothing.
    pub partial_authorize: bool,
    /// Whether a full interface is told in words, as InvalidParameterValue, instead of by its own code.
    pub interface_limit_in_words: bool,
    /// The quotas.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            seed: 0,
            region: "eu-west-1".to_owned(),
            account: "123456789012".to_owned(),
            travel: Duration::ZERO,
            ec2_lag: Duration::ZERO,
            route53_lag: Duration::ZERO,
            lag_percent: 50,
            steady_lag: false,
            patchy: true,
            release_time: Duration::ZERO,
            propagation: Duration::from_secs(30),
            zone_busy: Duration::ZERO,
            listed_batch_errors: false,
            throttling: true,
            token_life: Duration::from_secs(3600),
            key_life: Duration::from_secs(3600),
            memory: Duration::from_secs(600),
            page: None,
            partial_authorize: false,
            interface_limit_in_words: false,
            limits: Limits::default(),
        }
    }
}

impl Options {
    /// Whether no read shows an older state than one before it.
    pub fn is_monotone(&self) -> bool {
        self.steady_lag || (self.ec2_lag.is_zero() && self.route53_lag.is_zero())
    }
}

/// Quotas. Sources: Amazon VPC quotas, Route 53 quotas.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Groups on an interface.
    pub groups_per_interface: usize,
    /// Inbound rules of a group, IPv4 and IPv6 apart.
    pub rules_per_group: usize,
    /// Groups in the region.
    pub groups: usize,
    /// Records in a zone.
    pub records_per_zone: usize,
    /// Values of a record.
    pub values_per_record: usize,
    /// Values in a batch; UPSERT counts twice.
    pub values_per_batch: usize,
    /// Characters of all values in a batch; UPSERT counts twice.
    pub characters_per_batch: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            groups_per_interface: 5,
            rules_per_group: 60,
            groups: 2500,
            records_per_zone: 10_000,
            values_per_record: 400,
            values_per_batch: 1000,
            characters_per_batch: 32_000,
        }
    }
}
