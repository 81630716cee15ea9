//! Bodies that are made to take memory or time. `tests/memory.rs` measures what they take.

use crate::error::ParseError;
use crate::operation::{Operation, Service};
use crate::protocol::errors::parse;
use crate::transport::MAX_ANSWER;
use crate::{ec2, route53, sts};

fn around(content: &str) -> String {
    format!("<DescribeInstancesResponse>{content}<reservationSet/></DescribeInstancesResponse>")
}

#[test]
fn a_body_may_have_what_a_transport_brings_and_not_a_byte_more() {
    let fill = MAX_ANSWER - around("<!---->").len();
    let body = around(&format!("<!--{}-->", " ".repeat(fill)));
    assert_eq!(body.len(), MAX_ANSWER);
    ec2::DescribeInstances::decode(body.as_bytes()).unwrap();
    let ParseError(message) = ec2::DescribeInstances::decode(format!("{body}\n").as_bytes()).unwrap_err();
    assert_eq!(message, format!("a body of {} bytes is too large", MAX_ANSWER + 1));
    assert_eq!(parse(Service::Ec2, format!("{body}\n").as_bytes()), None);
}

#[test]
fn what_is_not_an_element_is_passed_by_however_often_it_comes() {
    let attributes: String = (0..200_000).map(|number| format!(" a{number}='&b;<c>'")).collect();
    for content in [
        format!("<a{attributes}/>"),
        "<a b='c' b='d'/>".repeat(100_000),
        "<!-- a -->".repeat(100_000),
        "<?a b?>".repeat(100_000),
        "<![CDATA[a]]>".repeat(100_000),
        "&amp;".repeat(100_000),
        "&unknown;".repeat(100_000),
        "<a/>".repeat(100_000),
        format!("<{0}/>", "a".repeat(1_000_000)),
    ] {
        let answer = ec2::DescribeInstances::decode(around(&content).as_bytes());
        assert_eq!(answer.unwrap(), ec2::DescribeInstancesResponse::default());
    }
}

#[test]
fn one_huge_text_is_a_value_like_others() {
    let text = "x".repeat(2_000_000);
    let result = format!("<GetCallerIdentityResult><Arn>{text}</Arn></GetCallerIdentityResult>");
    let body = format!("<GetCallerIdentityResponse>{result}</GetCallerIdentityResponse>");
    assert_eq!(sts::GetCallerIdentity::decode(body.as_bytes()).unwrap().arn, Some(text));
}

#[test]
fn entries_without_content_end_at_a_limit_in_every_list() {
    let many = |element: &str, around: &str| around.replace("...", &format!("<{element}/>").repeat(300_000));
    let groups =
        "<DescribeSecurityGroupsResponse><securityGroupInfo>...</securityGroupInfo></DescribeSecurityGroupsResponse>";
    let zones = "<ListHostedZonesResponse><HostedZones>...</HostedZones></ListHostedZonesResponse>";
    let rules = "<RevokeSecurityGroupIngressResponse><unknownIpPermissionSet>...</unknownIpPermissionSet></RevokeSecurityGroupIngressResponse>";
    let failures = [
        ec2::DescribeSecurityGroups::decode(many("item", groups).as_bytes()).unwrap_err(),
        ec2::RevokeSecurityGroupIngress::decode(many("item", rules).as_bytes()).unwrap_err(),
        // An entry lacks what is always there long before.
        route53::ListHostedZones::decode(many("HostedZone", zones).as_bytes()).unwrap_err(),
    ];
    let messages = failures.map(|error| error.0);
    assert!(
        messages[..2].iter().all(|it| it.starts_with("too many list entries for a body of this size")),
        "{messages:?}"
    );
    assert_eq!(messages[2], "HostedZone lacks Id");
    // Lists within lists share the limit.
    let item = "<item><instancesSet><item/></instancesSet></item>".repeat(50_000);
    let body =
        format!("<DescribeInstancesResponse><reservationSet>{item}</reservationSet></DescribeInstancesResponse>");
    let ParseError(message) = ec2::DescribeInstances::decode(body.as_bytes()).unwrap_err();
    assert!(message.starts_with("too many list entries for a body of this size"), "{message}");
}

#[test]
fn a_document_type_is_refused_before_what_it_declares() {
    let bomb: String =
        (0..20).map(|level| format!("<!ENTITY e{} '&e{level};&e{level};&e{level};'>", level + 1)).collect();
    for kind in [
        format!("<!DOCTYPE a [<!ENTITY e0 'xxxxxxxxxx'>{bomb}]>"),
        "<!DOCTYPE a SYSTEM 'file:///etc/passwd'>".to_owned(),
        "<!DOCTYPE a PUBLIC 'b' 'http://169.254.169.254/'>".to_owned(),
        "<!DOCTYPE a [<!ENTITY % b SYSTEM 'file:///etc/passwd'> %b;]>".to_owned(),
        format!("<!DOCTYPE {}>", "a".repeat(1_000_000)),
    ] {
        for body in [format!("{kind}{}", around("&e20;")), around(&kind)] {
            let ParseError(message) = ec2::DescribeInstances::decode(body.as_bytes()).unwrap_err();
            assert!(message.starts_with("a document of type \"a") && message.len() < 150, "{message}");
        }
        let error = format!("{kind}<Response><Errors><Error><Code>A</Code></Error></Errors></Response>");
        assert_eq!(parse(Service::Ec2, error.as_bytes()), None);
    }
}

#[test]
fn a_message_has_a_limit_however_many_there_are() {
    let error = |content: &str| {
        let body =
            format!("<ErrorResponse><Error><Code>A</Code></Error>{content}<RequestId>r</RequestId></ErrorResponse>");
        parse(Service::Route53, body.as_bytes()).unwrap()
    };
    let huge = error(&format!("<Message>{}</Message>", "\u{fc}".repeat(500_000)));
    assert_eq!((huge.message.len(), huge.request_id.as_deref()), (32 * 1024, Some("r")));
    let many: String = (0..100_000).map(|number| format!("<Message>{number}</Message>")).collect();
    let many = error(&format!("<Messages>{many}</Messages>"));
    let wanted: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    assert_eq!((many.message, many.request_id.as_deref()), (wanted.join("; "), Some("r")));
    let long: String = (0..300).map(|number| format!("<Message>{number}{}</Message>", "x".repeat(1_000))).collect();
    assert!(error(&long).message.len() <= 32 * 1024);
}

#[test]
fn what_is_no_word_is_neither_a_code_nor_an_id() {
    let error = |code: &str, id: &str| {
        let body = format!(
            "<Response><Errors><Error><Code>{code}</Code></Error></Errors><RequestID>{id}</RequestID></Response>"
        );
        parse(Service::Ec2, body.as_bytes())
    };
    let long = "x".repeat(129);
    assert_eq!(error(&long[1..], &long[1..]).unwrap().request_id.as_deref(), Some(&long[1..]));
    for odd in [&long, "two words", "two\nlines", "\u{fc}", "&#x7f;", ""] {
        assert_eq!(error(odd, "r"), None, "{odd}");
        assert_eq!(error("A", odd).unwrap().request_id, None, "{odd}");
    }
}

#[test]
fn errors_within_errors_end_at_the_limit_of_depth() {
    for levels in [62, 64, 1_000_000] {
        let start = "<Error>".repeat(levels);
        let body = format!("<Errors><Code>A</Code>{start}<Message>m</Message>");
        let said = parse(Service::Ec2, body.as_bytes()).unwrap();
        assert_eq!((said.code.as_str(), said.message.is_empty()), ("A", levels > 62));
    }
}
