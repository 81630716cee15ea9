//! Request rates: a token bucket for each action of EC2, one for all of Route 53.
//!
//! Sources: Amazon EC2 API, "Request throttling" (size and refill per second); Route 53 quotas, five requests a second
//! for an account. STS and IMDS have no published rate.

use std::collections::BTreeMap;
use std::time::Duration;

use super::answer::{Kind, Refusal, Result};
use super::request::Request;

const TOKEN: u128 = 1_000_000_000;

#[derive(Debug, Default)]
pub(super) struct Buckets(BTreeMap<(Kind, String), Bucket>);

#[derive(Debug)]
struct Bucket {
    /// In billionths of a token.
    level: u128,
    at: Duration,
}

/// Name, size and refill per second.
fn rate(request: &Request) -> Option<(&str, u32, u32)> {
    let name = request.operation.as_str();
    match request.kind {
        Kind::Sts | Kind::Imds => None,
        Kind::Route53 => Some(("", 5, 5)),
        Kind::Ec2 => Some(match name {
            "ModifyNetworkInterfaceAttribute" => (name, 100, 5),
            "CreateTags" => (name, 100, 10),
            _ if request.is_change() => (name, 50, 5),
            _ if request.is_boundless() => ("unfiltered and unpaged", 50, 10),
            _ => (name, 100, 20),
        }),
    }
}

impl Buckets {
    /// Takes a token.
    pub fn take(&mut self, request: &Request, now: Duration) -> Result<()> {
        let Some((name, size, refill)) = rate(request) else { return Ok(()) };
        let full = TOKEN * u128::from(size);
        let key = (request.kind, name.to_owned());
        let bucket = self.0.entry(key).or_insert(Bucket { level: full, at: now });
        let gained = now.saturating_sub(bucket.at).as_nanos() * u128::from(refill);
        bucket.level = (bucket.level + gained).min(full);
        bucket.at = now;
        // A caller that reckons with rounded times is no offender.
        if bucket.level + TOKEN / 1000 < TOKEN {
            return Err(match request.kind {
                Kind::Ec2 => Refusal::new(503, "RequestLimitExceeded", "Request limit exceeded."),
                _ => Refusal::new(400, "Throttling", "Rate exceeded"),
            });
        }
        bucket.level = bucket.level.saturating_sub(TOKEN);
        Ok(())
    }
}
