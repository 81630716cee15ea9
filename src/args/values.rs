//! How single values are written, and what to say about those that aren't.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

/// A value that may be left empty: a chart that renders an unset value as an empty string means "not given".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Maybe<T = String>(Option<T>);

/// The value, where there is one.
pub(super) fn given<T>(value: Option<Maybe<T>>) -> Option<T> {
    value.and_then(|value| value.0)
}

/// Reads a value with `parse`, and an empty one as none.
pub(super) fn optional<T: 'static>(
    parse: fn(&str) -> Result<T, String>,
) -> impl Fn(&str) -> Result<Maybe<T>, String> + Clone + Send + Sync + 'static {
    move |text| if text.is_empty() { Ok(Maybe(None)) } else { parse(text).map(|value| Maybe(Some(value))) }
}

/// Any text.
pub(super) fn text(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

/// A number of things, at least one.
pub(super) fn count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "a whole number from 1 is expected".into())
}

/// A name that may stand in a tag's key, a security group's name and a TXT record.
pub(super) fn name(text: &str) -> Result<String, String> {
    if text == PLACEHOLDER {
        return Err("that is the manifests' placeholder: put the name of your cluster there".into());
    }
    let fits = (1..=100).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if fits { Ok(text.to_owned()) } else { Err("1 to 100 letters, digits, `.`, `_` and `-` are allowed".into()) }
}

/// What stands in deploy/base in the place of the cluster's name.
const PLACEHOLDER: &str = "REPLACE_ME";

/// A namespace.
pub(super) fn label(text: &str) -> Result<String, String> {
    if is_label(text) {
        return Ok(text.to_owned());
    }
    Err("1 to 63 lower-case letters, digits and `-` are allowed, and no `-` at either end".into())
}

/// The name of most other Kubernetes objects.
pub(super) fn subdomain(text: &str) -> Result<String, String> {
    if text.len() <= 253 && text.split('.').all(is_label) {
        return Ok(text.to_owned());
    }
    Err("lower-case letters, digits, `-` and `.` are allowed, at most 253, beginning and ending with a letter or digit"
        .into())
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// An AWS region: it becomes part of a host name.
pub(super) fn region(text: &str) -> Result<String, String> {
    if is_label(text) { Ok(text.to_owned()) } else { Err("a region looks like eu-west-1".into()) }
}

/// The ARN of a role.
pub(super) fn role_arn(text: &str) -> Result<String, String> {
    aws_api::credentials::check_role_arn(text).map(|()| text.to_owned())
}

/// What a role's trust policy may ask for.
pub(super) fn external_id(text: &str) -> Result<String, String> {
    aws_api::credentials::check_external_id(text).map(|()| text.to_owned())
}

/// A hosted zone's id, with or without `/hostedzone/`.
pub(super) fn zone_id(text: &str) -> Result<String, String> {
    let id = text.strip_prefix("/hostedzone/").unwrap_or(text);
    let fits = (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    if fits {
        Ok(id.to_owned())
    } else {
        Err(format!("`{text}` is not a hosted zone id such as Z0123456789ABCDEFGHIJ"))
    }
}

/// A range of ports, `8080` or `9000-9100`; an empty one stands for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PortRange(pub(super) Option<(u16, u16)>);

impl FromStr for PortRange {
    type Err = String;

    fn from_str(text: &str) -> Result<PortRange, String> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(PortRange(None));
        }
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
        match (port(from), port(to)) {
            (Some(from), Some(to)) if from <= to => Ok(PortRange(Some((from, to)))),
            (Some(_), Some(_)) => Err("the first port of a range must not be the greater one".into()),
            _ => Err("a port is a number from 1 to 65535, a range is written 9000-9100".into()),
        }
    }
}

/// An address to listen on, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listen(pub(super) Option<SocketAddr>);

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Listen, String> {
        if text == "off" {
            return Ok(Listen(None));
        }
        let any = || text.strip_prefix(':')?.parse().ok().map(|port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
        let address = text.parse().ok().or_else(any);
        address.map(|address| Listen(Some(address))).ok_or_else(|| {
            "an address and port such as 0.0.0.0:8080, [::]:8080 or :8080, or `off`, is expected".to_owned()
        })
    }
}

/// A duration as Go writes them: numbers, each with a unit, such as `1h30m` or `1.5s`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| {
        let hint = if text.parse::<f64>().is_ok() { format!(": did you mean {text}s?") } else { String::new() };
        format!("a duration is numbers, each with a unit (ms, s, m, h), such as 90s or 1h30m{hint}")
    })
}

fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    if text.is_empty() {
        return None;
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (unit, after) = after.split_at(after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len()));
        let nanos: u64 = match unit {
            "ns" => 1,
            "us" | "µs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        total = total.checked_add(scaled(number, nanos)?)?;
        rest = after;
    }
    Some(total)
}

/// `number` (digits with at most one point) times `nanos`, exactly; what is less than a nanosecond is cut off.
fn scaled(number: &str, nanos: u64) -> Option<Duration> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut sum = Duration::from_nanos(whole.checked_mul(nanos)?);
    let mut place = nanos;
    for digit in fraction.chars() {
        place /= 10;
        sum = sum.checked_add(Duration::from_nanos(place.checked_mul(digit.to_digit(10)?.into())?))?;
    }
    Some(sum)
}

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// A TTL, in seconds.
pub(super) fn ttl(text: &str) -> Result<u32, String> {
    let seconds = whole(text, Duration::from_secs(1), WEEK, "1s to 168h")?;
    u32::try_from(seconds.as_secs()).map_err(|e| e.to_string())
}

/// How long a Lease lasts.
pub(super) fn lease_duration(text: &str) -> Result<Duration, String> {
    whole(text, Duration::from_secs(5), Duration::from_secs(300), "5s to 5m")
}

/// How often everything is read anew.
pub(super) fn full_sync(text: &str) -> Result<Duration, String> {
    let value = duration(text)?;
    if value < Duration::from_secs(10) {
        return Err("less than 10s would use up AWS's rate limits".into());
    }
    Ok(value)
}

fn whole(text: &str, least: Duration, most: Duration, range: &str) -> Result<Duration, String> {
    let value = duration(text)?;
    if value.subsec_nanos() != 0 || value < least || value > most {
        return Err(format!("whole seconds are expected, {range}"));
    }
    Ok(value)
}
