//! Who sent a request: the signature is made again with the secret that belongs to the access key, and compared.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;

use super::answer::{Kind, Refusal, Result};
use super::request::{Request, Signature};

/// EC2 and STS take a date that is off by five minutes at most, Route 53 by fifteen.
fn tolerance(kind: Kind) -> Duration {
    Duration::from_secs(if kind == Kind::Route53 { 15 * 60 } else { 5 * 60 })
}

/// Secret and session token of an access key.
pub(super) struct Secret<'a> {
    pub secret: &'a str,
    pub token: Option<&'a str>,
}

/// Keys that the service doesn't know.
pub(super) fn unknown_key(kind: Kind) -> Refusal {
    match kind {
        Kind::Ec2 => auth_failure(),
        _ => Refusal::new(403, "InvalidClientTokenId", "The security token included in the request is invalid."),
    }
}

/// A request that must be signed and isn't.
pub(super) fn unsigned(kind: Kind) -> Refusal {
    match kind {
        Kind::Ec2 => auth_failure(),
        _ => Refusal::new(403, "MissingAuthenticationToken", "Missing Authentication Token"),
    }
}

/// Temporary keys whose time is over.
pub(super) fn expired_keys(kind: Kind) -> Refusal {
    match kind {
        Kind::Ec2 => Refusal::new(400, "RequestExpired", "Request has expired."),
        _ => Refusal::new(403, "ExpiredToken", "The security token included in the request is expired"),
    }
}

fn auth_failure() -> Refusal {
    Refusal::new(401, "AuthFailure", "AWS was not able to validate the provided access credentials")
}

fn mismatch(kind: Kind, why: impl Into<String>) -> Refusal {
    match kind {
        Kind::Ec2 => auth_failure(),
        _ => Refusal::new(403, "SignatureDoesNotMatch", why),
    }
}

/// Checks scope, date and signature. `region` is the one that the service is signed for.
pub(super) fn verify(
    request: &Request,
    signature: &Signature,
    secret: &Secret<'_>,
    region: &str,
    now: SystemTime,
) -> Result<()> {
    let kind = request.kind;
    if signature.service != kind.name() {
        return Err(mismatch(kind, format!("Credential should be scoped to correct service: '{}'.", kind.name())));
    }
    if signature.region != region {
        return Err(mismatch(
            kind,
            format!("Credential should be scoped to a valid region, not '{}'.", signature.region),
        ));
    }
    let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
    let date = header("x-amz-date").unwrap_or_default();
    let Some(time) = parse_date(date).filter(|_| date.starts_with(&signature.date)) else {
        return Err(mismatch(kind, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date"));
    };
    match now.duration_since(time) {
        Ok(old) if old > tolerance(kind) => {
            return Err(match kind {
                Kind::Ec2 => Refusal::new(400, "RequestExpired", "Request has expired."),
                _ => mismatch(kind, format!("Signature expired: {date} is too old")),
            });
        }
        Err(early) if early.duration() > tolerance(kind) => {
            return Err(mismatch(kind, format!("Signature not yet current: {date} is still to come")));
        }
        _ => {}
    }
    if secret.token != header("x-amz-security-token") {
        return Err(unknown_key(kind));
    }
    match again(request, signature, secret, time) {
        Some(again) if again == signature.signature => Ok(()),
        _ => Err(mismatch(
            kind,
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
             Access Key and signing method.",
        )),
    }
}

/// The signature that the request should have.
fn again(request: &Request, signature: &Signature, secret: &Secret<'_>, time: SystemTime) -> Option<String> {
    let token = secret.token.map(str::to_owned);
    let identity = Credentials::new(signature.access_key.as_str(), secret.secret, token, None, "simulator").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&signature.region)
        .name(&signature.service)
        .time(time)
        .settings(SigningSettings::default())
        .build()
        .ok()?
        .into();
    // Host comes from the address, date and token are added in signing.
    let added = ["x-amz-date", "x-amz-security-token"];
    let headers = request.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let headers =
        headers.filter(|(name, _)| signature.headers.iter().any(|signed| signed == name) && !added.contains(name));
    let signable =
        SignableRequest::new(request.method.as_str(), absolute(request)?, headers, SignableBody::Bytes(&request.body))
            .ok()?;
    Some(sign(signable, &params).ok()?.into_parts().1)
}

/// The address with its host: over HTTP/1.1 the host is in a header.
fn absolute(request: &Request) -> Option<String> {
    if request.uri.authority().is_some() {
        return Some(request.uri.to_string());
    }
    let host = request.headers.get("host")?.to_str().ok()?;
    Some(format!("http://{host}{}", request.uri))
}

/// `20260101T000000Z`.
fn parse_date(text: &str) -> Option<SystemTime> {
    let part = |from: usize, to: usize| text.get(from..to);
    let (date, time) = (part(0, 8)?, part(9, 15)?);
    if text.len() != 16 || part(8, 9)? != "T" || part(15, 16)? != "Z" || !date.is_ascii() || !time.is_ascii() {
        return None;
    }
    let rfc3339 = format!(
        "{}-{}-{}T{}:{}:{}Z",
        date.get(..4)?,
        date.get(4..6)?,
        date.get(6..)?,
        time.get(..2)?,
        time.get(2..4)?,
        time.get(4..)?
    );
    rfc3339.parse::<jiff::Timestamp>().ok().map(SystemTime::from)
}
