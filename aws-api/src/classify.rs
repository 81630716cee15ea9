//! What an answer means: its class, and whether asking again can help. Judged by service, status and parsed code,
//! never by a message. Sources: EC2's and Route 53's lists of error codes, the AWS SDKs' tables of retryable codes.

use crate::error::Class;
use crate::operation::Service;
use crate::protocol::errors;
use crate::transport::TransportError;

/// Codes by which AWS says "too many requests". `LimitExceededException` is one of them; the quotas of EC2 and
/// Route 53 end in `LimitExceeded`.
const THROTTLES: &[&str] = &[
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "SlowDown",
    "EC2ThrottledException",
    "ProvisionedThroughputExceededException",
    "TransactionInProgressException",
];

/// Codes of a service that couldn't do it just now. For a request that changes something they leave the outcome open.
const TRANSIENT: &[&str] = &[
    "RequestTimeout",
    "RequestTimeoutException",
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "InternalServiceError",
    "ServerInternal",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "Unavailable",
];

/// Codes that a wrong clock of ours may have caused.
const SKEWED: &[&str] = &[
    // EC2's, also for keys it doesn't know.
    "AuthFailure",
    "InvalidSignatureException",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
];

/// Codes that say that temporary keys are over; EC2 says it in the words in which it refuses an old date.
const EXPIRED: &[&str] = &["ExpiredToken", "ExpiredTokenException", "RequestExpired"];

const DENIED: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "Blocked",
    "IDPRejectedClaim",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidIdentityToken",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "NotAuthorized",
    "OptInRequired",
    "PendingVerification",
    "RegionDisabledException",
    "UnauthorizedOperation",
    "UnrecognizedClientException",
];

const CONFLICTS: &[&str] = &[
    "ConcurrentModification",
    "ConflictException",
    "DependencyViolation",
    "IncorrectInstanceState",
    "IncorrectState",
    "InvalidChangeBatch",
    "PriorRequestNotComplete",
];

/// Whether the body of an answer that isn't a success says "too many requests": nothing was done then, whatever the
/// status.
pub fn was_throttled(service: Service, body: &[u8]) -> bool {
    errors::parse(service, body).is_some_and(|said| THROTTLES.contains(&said.code.as_str()))
}

/// The class of an answer that isn't a success.
pub fn classify(mutates: bool, code: Option<&str>, status: u16) -> Class {
    let Some(code) = code else { return by_status(mutates, status) };
    let unfinished = if mutates { Class::UnknownOutcome } else { Class::Transient };
    if THROTTLES.contains(&code) || status == 429 {
        Class::Throttled
    } else if status >= 500 || TRANSIENT.contains(&code) {
        unfinished
    } else if code == "IDPCommunicationError" {
        // STS couldn't reach the identity provider: it has given nothing out.
        Class::Transient
    } else if code.ends_with("LimitExceeded") || code == "LimitsExceeded" {
        Class::Quota
    } else if DENIED.contains(&code) || SKEWED.contains(&code) || EXPIRED.contains(&code) {
        Class::Denied
    } else if CONFLICTS.contains(&code) || code.ends_with(".Duplicate") || code.ends_with(".InUse") {
        Class::Conflict
    } else if code.ends_with("NotFound") || code.starts_with("NoSuch") {
        Class::NotFound
    } else if matches!(status, 401 | 403) {
        Class::Denied
    } else {
        Class::Invalid
    }
}

/// An answer without a readable code. It may come from something in between, so a 404 proves no absence.
fn by_status(mutates: bool, status: u16) -> Class {
    match status {
        429 => Class::Throttled,
        408 | 500.. => {
            if mutates {
                Class::UnknownOutcome
            } else {
                Class::Transient
            }
        }
        401 | 403 => Class::Denied,
        _ => Class::Invalid,
    }
}

/// The class of a missing answer.
pub fn classify_transport(mutates: bool, error: &TransportError) -> Class {
    match error {
        TransportError::Lost(_) if mutates => Class::UnknownOutcome,
        _ => Class::Transient,
    }
}

/// How to go on after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Not at all: it wouldn't help, or nobody knows whether it was done.
    No,
    /// After a short pause.
    Soon,
    /// After a long one: the service asks for it.
    Slower,
}

/// Whether asking again may help and harms nobody: only when nothing was done, or nothing could be.
pub fn again(class: Class, code: Option<&str>) -> Again {
    match class {
        Class::Throttled => Again::Slower,
        Class::Transient => Again::Soon,
        // Route 53 is still busy with the change before this one; it has done nothing of this one.
        Class::Conflict if code == Some("PriorRequestNotComplete") => Again::Slower,
        _ => Again::No,
    }
}

/// Whether a wrong clock of ours may be behind `code`.
pub fn maybe_skewed(code: Option<&str>) -> bool {
    code.is_some_and(|code| SKEWED.contains(&code))
}

/// Whether `code` says that the keys have expired.
pub fn keys_expired(code: Option<&str>) -> bool {
    code.is_some_and(|code| EXPIRED.contains(&code))
}
