//! What answers mean.

use crate::Class::{self, *};
use crate::classify::{Again, again, classify, classify_transport};
use crate::{Error, Service, TransportError};

/// Code, status, class for a read, class for a change.
const ANSWERS: &[(&str, u16, Class, Class)] = &[
    ("RequestLimitExceeded", 503, Throttled, Throttled),
    ("Throttling", 400, Throttled, Throttled),
    ("ThrottlingException", 400, Throttled, Throttled),
    ("TooManyRequestsException", 429, Throttled, Throttled),
    ("BandwidthLimitExceeded", 503, Throttled, Throttled),
    ("LimitExceededException", 400, Throttled, Throttled),
    ("SlowDown", 503, Throttled, Throttled),
    ("EC2ThrottledException", 503, Throttled, Throttled),
    ("ThrottledException", 400, Throttled, Throttled),
    ("RequestThrottled", 400, Throttled, Throttled),
    ("RequestThrottledException", 400, Throttled, Throttled),
    ("ProvisionedThroughputExceededException", 400, Throttled, Throttled),
    ("TransactionInProgressException", 400, Throttled, Throttled),
    ("PriorRequestNotComplete", 400, Conflict, Conflict),
    ("InternalError", 500, Transient, UnknownOutcome),
    ("Unavailable", 503, Transient, UnknownOutcome),
    ("ServiceUnavailable", 503, Transient, UnknownOutcome),
    ("SomethingNew", 500, Transient, UnknownOutcome),
    ("RequestTimeout", 400, Transient, UnknownOutcome),
    ("RequestTimeoutException", 400, Transient, UnknownOutcome),
    ("IDPCommunicationError", 400, Transient, Transient),
    ("SecurityGroupsPerInterfaceLimitExceeded", 400, Quota, Quota),
    ("SecurityGroupsPerInstanceLimitExceeded", 400, Quota, Quota),
    ("RulesPerSecurityGroupLimitExceeded", 400, Quota, Quota),
    ("SecurityGroupLimitExceeded", 400, Quota, Quota),
    ("UnauthorizedOperation", 403, Denied, Denied),
    ("AccessDenied", 403, Denied, Denied),
    ("AuthFailure", 401, Denied, Denied),
    ("ExpiredToken", 400, Denied, Denied),
    ("InvalidClientTokenId", 403, Denied, Denied),
    ("RequestExpired", 400, Denied, Denied),
    ("SomethingNew", 403, Denied, Denied),
    ("InvalidPermission.Duplicate", 400, Conflict, Conflict),
    ("InvalidGroup.Duplicate", 400, Conflict, Conflict),
    ("InvalidGroup.InUse", 400, Conflict, Conflict),
    ("DependencyViolation", 400, Conflict, Conflict),
    ("InvalidChangeBatch", 400, Conflict, Conflict),
    ("InvalidGroup.NotFound", 400, NotFound, NotFound),
    ("InvalidInstanceID.NotFound", 400, NotFound, NotFound),
    ("InvalidPermission.NotFound", 400, NotFound, NotFound),
    ("NoSuchHostedZone", 404, NotFound, NotFound),
    ("NoSuchChange", 404, NotFound, NotFound),
    ("InvalidParameterValue", 400, Invalid, Invalid),
    ("InvalidInstanceID", 400, Invalid, Invalid),
    ("DryRunOperation", 412, Invalid, Invalid),
    ("InvalidInput", 400, Invalid, Invalid),
];

#[test]
fn an_answer_has_the_class_of_its_code() {
    for &(code, status, read, change) in ANSWERS {
        assert_eq!(classify(false, Some(code), status), read, "read: {code} {status}");
        assert_eq!(classify(true, Some(code), status), change, "change: {code} {status}");
    }
}

#[test]
fn an_answer_without_a_code_is_judged_by_its_status_and_proves_no_absence() {
    for (status, read, change) in [
        (429, Throttled, Throttled),
        (500, Transient, UnknownOutcome),
        (503, Transient, UnknownOutcome),
        (408, Transient, UnknownOutcome),
        (401, Denied, Denied),
        (403, Denied, Denied),
        (404, Invalid, Invalid),
        (400, Invalid, Invalid),
        (302, Invalid, Invalid),
    ] {
        assert_eq!((classify(false, None, status), classify(true, None, status)), (read, change), "{status}");
    }
}

#[test]
fn what_was_not_sent_has_no_unknown_outcome() {
    let text = || "x".to_owned();
    for (error, read, change) in [
        (TransportError::NotSent(text()), Transient, Transient),
        (TransportError::Refused(text()), Transient, Transient),
        (TransportError::Lost(text()), Transient, UnknownOutcome),
    ] {
        assert_eq!((classify_transport(false, &error), classify_transport(true, &error)), (read, change), "{error}");
    }
}

#[test]
fn only_what_has_done_nothing_is_asked_again() {
    assert_eq!(again(Throttled, None), Again::Slower);
    assert_eq!(again(Transient, None), Again::Soon);
    assert_eq!(again(Conflict, Some("PriorRequestNotComplete")), Again::Slower);
    for class in [UnknownOutcome, Conflict, NotFound, Denied, Quota, Invalid] {
        assert_eq!(again(class, Some("InvalidChangeBatch")), Again::No, "{class:?}");
    }
}

#[test]
fn a_summary_is_the_same_at_each_try() {
    let told = |id: &str, blob: &str| {
        let message = format!("You are not authorized. Encoded authorization failure message: {blob}");
        let mut error = Error::new(Service::Ec2, "CreateTags", Denied, message);
        error.code = Some("UnauthorizedOperation".to_owned());
        error.request_id = Some(id.to_owned());
        error
    };
    let error = told("r-1", "x8Kd");
    assert_eq!(error.summary().to_string(), "EC2 CreateTags answered UnauthorizedOperation: You are not authorized.");
    assert_eq!(error.summary().to_string(), told("r-2", "9fQz").summary().to_string());
    assert!(error.to_string().contains("r-1") && error.to_string().contains("x8Kd"), "the log has all of it: {error}");
    // Keys that can't be had from STS quote its error.
    let nested = format!("no AWS credentials from web identity: {error} (role r)");
    let nested = Error::new(
        Service::Ec2,
        "DescribeInstances",
        Denied,
        nested.replace(" Encoded authorization failure message: x8Kd", ""),
    );
    let told = nested.summary().to_string();
    assert!(!told.contains("r-1") && told.ends_with("(role r)"), "{told}");
}
