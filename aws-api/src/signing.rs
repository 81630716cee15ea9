//! Makes an HTTP request of an encoded operation: host, headers, date and signature (Signature Version 4).

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as SigningCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Request};

use crate::config::Endpoint;
use crate::operation::{Encoded, Service};
use crate::secret::Keys;

/// The service's name in the signature.
fn signing_name(service: Service) -> &'static str {
    match service {
        Service::Ec2 => "ec2",
        Service::Route53 => "route53",
        Service::Sts => "sts",
    }
}

/// The request without a signature.
///
/// # Errors
/// When endpoint or user agent can't be part of a request.
pub(crate) fn request(endpoint: &Endpoint, encoded: &Encoded, user_agent: &str) -> Result<Request<Bytes>, String> {
    let mut uri = format!("{}{}", endpoint.url, encoded.path);
    if !encoded.query.is_empty() {
        uri.push('?');
        uri.push_str(&encoded.query);
    }
    let mut builder = Request::builder().method(encoded.method.clone()).uri(uri).header(USER_AGENT, user_agent);
    if let Some(content_type) = encoded.content_type {
        builder = builder.header(CONTENT_TYPE, content_type);
    }
    builder.body(encoded.body.clone()).map_err(|error| format!("the request can't be made: {error}"))
}

/// Signs `request` as of `now`.
///
/// # Errors
/// When it can't be signed; the text holds no secret.
pub(crate) fn sign_request(
    request: &mut Request<Bytes>,
    service: Service,
    signing_region: &str,
    keys: &Keys,
    now: SystemTime,
) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("the request can't be signed: {error}");
    let identity = SigningCredentials::new(
        keys.access_key_id.as_str(),
        keys.secret_access_key.expose(),
        keys.session_token.as_ref().map(|token| token.expose().to_owned()),
        keys.expires,
        "aws-api",
    )
    .into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(signing_region)
        .name(signing_name(service))
        .time(now)
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| failed(&error))?
        .into();
    let headers = request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let signable = SignableRequest::new(
        request.method().as_str(),
        request.uri().to_string(),
        headers,
        SignableBody::Bytes(request.body()),
    )
    .map_err(|error| failed(&error))?;
    let (instructions, _) = sign(signable, &params).map_err(|error| failed(&error))?.into_parts();
    let (signed, _) = instructions.into_parts();
    for header in signed {
        // Not by the crate's own function, which panics on a value that can't be a header.
        let mut value = HeaderValue::from_str(header.value()).map_err(|error| failed(&error))?;
        value.set_sensitive(header.sensitive() || header.name() == "authorization");
        request.headers_mut().insert(HeaderName::from_static(header.name()), value);
    }
    Ok(())
}

/// An instant as HTTP's headers write it.
pub(crate) fn date(text: &str) -> Option<SystemTime> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok().map(SystemTime::from)
}

/// How far the server's clock is ahead of `now`, by its `Date` header.
pub(crate) fn server_ahead(headers: &HeaderMap, now: SystemTime) -> Option<Skew> {
    let date = date(headers.get(DATE)?.to_str().ok()?)?;
    Some(match date.duration_since(now) {
        Ok(ahead) => Skew { seconds: i64::try_from(ahead.as_secs()).ok()? },
        Err(behind) => Skew { seconds: i64::try_from(behind.duration().as_secs()).ok()?.checked_neg()? },
    })
}

/// What has to be added to our clock to get AWS's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Skew {
    /// Whole seconds, which is what a `Date` header tells.
    pub(crate) seconds: i64,
}

impl Skew {
    /// `now` by AWS's clock.
    pub(crate) fn apply(self, now: SystemTime) -> SystemTime {
        let by = Duration::from_secs(self.seconds.unsigned_abs());
        if self.seconds >= 0 { now.checked_add(by) } else { now.checked_sub(by) }.unwrap_or(now)
    }
}
