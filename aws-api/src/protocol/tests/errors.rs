use crate::operation::Service;
use crate::protocol::errors::{ApiError, parse};

fn error(code: &str, message: &str, request_id: Option<&str>) -> Option<ApiError> {
    Some(ApiError { code: code.into(), message: message.into(), request_id: request_id.map(str::to_owned) })
}

#[test]
fn ec2_errors_are_read() {
    let body = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>InvalidGroup.Duplicate</Code><Message>The security group 'a &amp; b' already exists for VPC 'vpc-1'</Message></Error></Errors><RequestID>r-1</RequestID></Response>";
    assert_eq!(
        parse(Service::Ec2, body),
        error("InvalidGroup.Duplicate", "The security group 'a & b' already exists for VPC 'vpc-1'", Some("r-1"))
    );
}

#[test]
fn route53_errors_are_read() {
    let body = b"<?xml version=\"1.0\"?>\n<ErrorResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error><RequestId>r-2</RequestId></ErrorResponse>";
    assert_eq!(parse(Service::Route53, body), error("Throttling", "Rate exceeded", Some("r-2")));
}

#[test]
fn all_messages_of_a_refused_batch_are_kept() {
    let body = b"<?xml version=\"1.0\"?>\n<InvalidChangeBatch xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Messages><Message>Tried to delete a</Message><Message>Tried to create b</Message></Messages><RequestId>r-3</RequestId></InvalidChangeBatch>";
    let wanted = error("InvalidChangeBatch", "Tried to delete a; Tried to create b", Some("r-3"));
    assert_eq!(parse(Service::Route53, body), wanted);
    assert_eq!(parse(Service::Ec2, body), None);
    let body = b"<ErrorResponse><Error><Type>Sender</Type><Code>InvalidChangeBatch</Code><Message>[Tried to delete a]</Message></Error></ErrorResponse>";
    assert_eq!(parse(Service::Route53, body), error("InvalidChangeBatch", "[Tried to delete a]", None));
}

#[test]
fn sts_errors_are_read() {
    let body = b"<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <Error>\n    <Type>Sender</Type>\n    <Code>AccessDenied</Code>\n    <Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message>\n  </Error>\n  <RequestId>r-4</RequestId>\n</ErrorResponse>\n";
    assert_eq!(
        parse(Service::Sts, body),
        error("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", Some("r-4"))
    );
}

#[test]
fn the_first_of_several_errors_gives_the_code() {
    let body = b"<Response><Errors><Error><Code>A</Code><Message>a</Message></Error><Error><Code>B</Code><Message>b</Message></Error></Errors></Response>";
    assert_eq!(parse(Service::Ec2, body), error("A", "a; b", None));
}

#[test]
fn a_message_that_is_said_twice_is_kept_once() {
    let body = b"<ErrorResponse><Error><Code>A</Code><Message>a</Message><message>a</message></Error></ErrorResponse>";
    assert_eq!(parse(Service::Route53, body), error("A", "a", None));
}

#[test]
fn an_answer_with_errors_as_its_root_is_an_error() {
    let body = b"<Errors><Error><Code>InternalError</Code><Message/></Error></Errors>";
    assert_eq!(parse(Service::Ec2, body), error("InternalError", "", None));
}

#[test]
fn an_error_that_breaks_off_after_its_code_is_read_as_far_as_it_goes() {
    let body = b"<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Reque";
    assert_eq!(parse(Service::Ec2, body), error("RequestLimitExceeded", "", None));
    assert_eq!(parse(Service::Ec2, b"<Response><Errors><Error><Code>RequestLimitExc"), None);
}

#[test]
fn what_is_no_error_of_aws_gives_none() {
    for body in [
        "",
        "Service Unavailable",
        "<html><head><title>502 Bad Gateway</title></head></html>",
        "<!DOCTYPE html><html><Error><Code>x</Code></Error></html>",
        "{\"message\":\"Forbidden\"}",
        "<Response/>",
        "<Response><Errors><Error><Code/><Message>m</Message></Error></Errors></Response>",
        "<DescribeInstancesResponse><Code>x</Code></DescribeInstancesResponse>",
        "\u{0}\u{1}",
    ] {
        for service in [Service::Ec2, Service::Route53, Service::Sts] {
            assert_eq!(parse(service, body.as_bytes()), None, "{body}");
        }
    }
    assert_eq!(parse(Service::Ec2, b"<Response>\xff"), None);
    assert_eq!(parse(Service::Ec2, "<Error>".repeat(1_000_000).as_bytes()), None);
}
