use crate::error::ParseError;
use crate::operation::Operation;
use crate::{ec2, route53};

fn error(body: impl AsRef<[u8]>) -> String {
    let ParseError(message) = ec2::DescribeInstances::decode(body.as_ref()).unwrap_err();
    message
}

const GOOD: &str = "<DescribeInstancesResponse><reservationSet><item><instancesSet><item><instanceId>i-&amp;1</instanceId><launchTime>2026-01-02T03:04:05Z</launchTime><tagSet><item><key><![CDATA[k]]></key></item></tagSet></item></instancesSet></item></reservationSet></DescribeInstancesResponse>";

#[test]
fn a_body_that_breaks_off_anywhere_is_an_error() {
    ec2::DescribeInstances::decode(GOOD.as_bytes()).unwrap();
    for end in 0..GOOD.len() {
        let message = error(&GOOD[..end]);
        assert!(!message.contains("found <"), "{end}: {message}");
    }
}

#[test]
fn what_was_found_instead_is_said() {
    for (body, said) in [
        ("", "the body is empty"),
        (" \r\n\t", "the body is empty"),
        (
            "upstream connect error or disconnect/reset before headers",
            "the body isn't XML, it starts with \"upstream connect error or discon\"",
        ),
        ("{\"message\": null}", "the body isn't XML, it starts with \"{\\\"message\\\": null}\""),
        ("<!DOCTYPE html><html></html>", "a document of type \"html\", not an answer of AWS, at byte 15"),
        ("<html><body><h1>502</h1></body></html>", "found <html> where <DescribeInstancesResponse> is expected"),
        ("<Response><Errors/></Response>", "found <Response> where <DescribeInstancesResponse> is expected"),
        ("<Errors/>", "found <Errors> where <DescribeInstancesResponse> is expected"),
        ("<?xml version='1.0'?>", "the body ends too early, at byte 21"),
        ("<!-- a --> text <DescribeInstancesResponse/>", "text before the first element, at byte 16"),
        ("<DescribeInstancesResponse><a></b></DescribeInstancesResponse>", "malformed XML, near <a> at byte 34"),
    ] {
        assert_eq!(error(body), said);
    }
    assert_eq!(error(b"<DescribeInstancesResponse>\xff"), "the body isn't UTF-8 at byte 27");
    assert!(error(format!("{GOOD}<more/>")).starts_with("something after the end of the document"));
    assert!(error(format!("{GOOD}{GOOD}")).starts_with("something after the end of the document"));
}

fn with_instance(content: &str) -> String {
    format!(
        "<DescribeInstancesResponse><reservationSet><item><instancesSet><item>{content}</item></instancesSet></item></reservationSet></DescribeInstancesResponse>"
    )
}

#[test]
fn a_value_that_is_not_what_it_should_be_is_shown_with_its_element() {
    let message = error(with_instance("<launchTime>yesterday</launchTime>"));
    assert!(
        message.starts_with("\"yesterday\" where a time in ISO 8601 form is expected, near <launchTime>"),
        "{message}"
    );
    let message = error(with_instance("<launchTime/>"));
    assert!(message.starts_with("\"\" where a time"), "{message}");
    let long = "9".repeat(1000);
    for number in ["0x1", "1.5", "9223372036854775808", "", &long] {
        let attachment = format!("<attachment><deviceIndex>{number}</deviceIndex></attachment>");
        let message =
            error(with_instance(&format!("<networkInterfaceSet><item>{attachment}</item></networkInterfaceSet>")));
        assert!(message.contains("where a whole number is expected, near <deviceIndex>"), "{message}");
        assert!(message.len() < 120, "{message}");
    }
    let message = error(with_instance("<vpcId><b>x</b></vpcId>"));
    assert!(message.starts_with("an element where text is expected, near <b>"), "{message}");
    for entity in ["&nbsp;", "&#0;", "&#xD800;", "&#x110000;", "&#;"] {
        let message = error(with_instance(&format!("<vpcId>{entity}</vpcId>")));
        assert!(message.starts_with("an entity that XML doesn't know"), "{entity}: {message}");
    }
}

#[test]
fn depth_ends_at_a_limit_wherever_it_is() {
    let deep = |levels: usize| format!("{}{}", "<a>".repeat(levels), "</a>".repeat(levels));
    let around =
        |content: String| format!("<DescribeInstancesResponse>{content}<reservationSet/></DescribeInstancesResponse>");
    ec2::DescribeInstances::decode(around(deep(63)).as_bytes()).unwrap();
    for levels in [64, 1_000, 1_000_000] {
        let message = error(around(deep(levels)));
        assert!(message.starts_with("too many elements within elements"), "{message}");
    }
    assert!(error("<a>".repeat(1_000_000)).starts_with("found <a>"));
}

#[test]
fn ten_megabytes_of_instances_are_read() {
    let item = &with_instance(&format!("<instanceId>i-1</instanceId><userData>{}</userData>", "x".repeat(2_000)));
    let start = "<DescribeInstancesResponse><reservationSet>";
    let end = "</reservationSet></DescribeInstancesResponse>";
    let item = item.strip_prefix(start).unwrap().strip_suffix(end).unwrap();
    let count = 10 * 1024 * 1024 / item.len();
    let answer = ec2::DescribeInstances::decode(format!("{start}{}{end}", item.repeat(count)).as_bytes()).unwrap();
    assert_eq!(answer.reservations.len(), count);
}

#[test]
fn the_memory_for_entries_is_bounded_by_the_body() {
    let entries = |count: usize| {
        format!(
            "<DescribeInstancesResponse><reservationSet><item><instancesSet>{}</instancesSet></item></reservationSet></DescribeInstancesResponse>",
            "<item/>".repeat(count)
        )
    };
    assert_eq!(ec2::DescribeInstances::decode(entries(50).as_bytes()).unwrap().reservations[0].instances.len(), 50);
    let message = error(entries(1_000_000));
    assert!(message.starts_with("too many list entries for a body of this size"), "{message}");
}

#[test]
fn a_body_of_random_bytes_never_panics() {
    const BYTES: &[u8] = b"<>/&;![]?-'\"= \x00\xffax0";
    // A fixed linear congruential generator: the same bytes in every run.
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let record = "<ListResourceRecordSetsResponse><ResourceRecordSets><ResourceRecordSet><Name>a</Name><Type>A</Type><TTL>1</TTL></ResourceRecordSet></ResourceRecordSets><IsTruncated>false</IsTruncated></ListResourceRecordSetsResponse>";
    for _ in 0..20_000 {
        let mut body = GOOD.as_bytes().to_vec();
        let mut other = record.as_bytes().to_vec();
        for bytes in [&mut body, &mut other] {
            for _ in 0..next() % 4 + 1 {
                let place = next() % bytes.len();
                bytes[place] = BYTES[next() % BYTES.len()];
            }
        }
        let _ = ec2::DescribeInstances::decode(&body);
        let _ = route53::ListResourceRecordSets::decode(&other);
        let _ = crate::protocol::errors::parse(crate::Service::Ec2, &body);
    }
}
