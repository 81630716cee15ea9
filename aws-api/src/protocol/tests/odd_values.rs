//! Bodies in odd encodings, values in odd spelling, elements that are there twice.

use crate::error::ParseError;
use crate::operation::Operation;
use crate::{ec2, route53, sts};

fn groups(content: &str) -> Result<Vec<ec2::SecurityGroup>, String> {
    let body = format!(
        "<DescribeSecurityGroupsResponse><securityGroupInfo><item>{content}</item></securityGroupInfo></DescribeSecurityGroupsResponse>"
    );
    ec2::DescribeSecurityGroups::decode(body.as_bytes()).map(|it| it.security_groups).map_err(|error| error.0)
}

fn group(content: &str) -> ec2::SecurityGroup {
    groups(content).unwrap().remove(0)
}

#[test]
fn a_byte_order_mark_of_utf_8_is_no_part_of_the_document() {
    let body = "\u{feff}<?xml version=\"1.0\"?><CreateTagsResponse><return>true</return></CreateTagsResponse>";
    ec2::CreateTags::decode(body.as_bytes()).unwrap();
}

#[test]
fn only_utf_8_is_read_whatever_the_declaration_says() {
    let text =
        "<?xml version=\"1.0\" encoding=\"UTF-16\"?><CreateTagsResponse><return>true</return></CreateTagsResponse>";
    ec2::CreateTags::decode(text.as_bytes()).unwrap();
    let utf16 = |order: fn(u16) -> [u8; 2]| -> Vec<u8> {
        std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(order).collect()
    };
    for body in [utf16(u16::to_le_bytes), utf16(u16::to_be_bytes)] {
        assert_eq!(ec2::CreateTags::decode(&body), Err(ParseError("the body isn't UTF-8 at byte 0".into())));
    }
    // Without a mark it is UTF-8 with zeros.
    let bare: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let ParseError(message) = ec2::CreateTags::decode(&bare).unwrap_err();
    assert_eq!(message, "a control character, which XML doesn't allow, at byte 1");
    for (bad, place) in [(&b"<a>\xc3</a>"[..], 3), (b"<a>\xed\xa0\x80</a>", 3), (b"<a>\xc0\x80</a>", 3), (b"\x80", 0)] {
        let ParseError(message) = ec2::CreateTags::decode(bad).unwrap_err();
        assert_eq!(message, format!("the body isn't UTF-8 at byte {place}"));
    }
}

#[test]
fn a_control_character_is_an_error_wherever_it_stands() {
    for letter in ["\0", "\u{1}", "\u{8}", "\u{b}", "\u{1f}"] {
        for body in [
            format!("<groupId>sg-1{letter}</groupId>"),
            format!("<groupId><![CDATA[{letter}]]></groupId>"),
            format!("<unknown>{letter}</unknown>"),
            format!("<unknown a='{letter}'/>"),
            format!("<!-- {letter} -->"),
        ] {
            let message = groups(&body).unwrap_err();
            assert!(message.starts_with("a control character, which XML doesn't allow, at byte "), "{message}");
        }
        let reference = format!("<groupId>&#x{:x};</groupId>", u32::from(letter.chars().next().unwrap()));
        assert!(groups(&reference).unwrap_err().starts_with("an entity that XML doesn't know"));
    }
    assert_eq!(
        group("<groupName>a\tb\r\nc&#9;&#10;&#13;\u{7f}\u{85}</groupName>").group_name.unwrap(),
        "a\tb\nc\t\n\r\u{7f}\u{85}"
    );
}

#[test]
fn of_a_value_that_is_there_twice_the_last_one_counts() {
    let group = group("<groupId>sg-1</groupId><vpcId>vpc-1</vpcId><groupId>sg-2</groupId>");
    assert_eq!((group.group_id.as_deref(), group.vpc_id.as_deref()), (Some("sg-2"), Some("vpc-1")));
    // One that can't be read is an error, whether it counts or not.
    let body = "<Credentials><Expiration>soon</Expiration><Expiration>2026-01-01T00:00:00Z</Expiration></Credentials>";
    let body = format!("<AssumeRoleResponse><AssumeRoleResult>{body}</AssumeRoleResult></AssumeRoleResponse>");
    sts::AssumeRole::decode(body.as_bytes()).unwrap_err();
    let user = |id: &str| format!("<GetCallerIdentityResult><UserId>{id}</UserId></GetCallerIdentityResult>");
    let body = format!("<GetCallerIdentityResponse>{}{}</GetCallerIdentityResponse>", user("a"), user("b"));
    assert_eq!(sts::GetCallerIdentity::decode(body.as_bytes()).unwrap().user_id.as_deref(), Some("b"));
}

#[test]
fn lists_that_are_there_twice_are_one_so_that_nothing_listed_is_lost() {
    let rules = |ports: [u32; 2]| {
        let [first, second] = ports.map(|port| format!("<item><fromPort>{port}</fromPort></item>"));
        format!("<ipPermissions>{first}{second}</ipPermissions>")
    };
    let group = group(&format!("{}<groupId>sg-1</groupId><ipPermissions/>{}", rules([1, 2]), rules([3, 4])));
    let ports: Vec<_> = group.ip_permissions.iter().map(|rule| rule.from_port.unwrap()).collect();
    assert_eq!(ports, [1, 2, 3, 4]);
    let item = "<item><groupId>sg-1</groupId></item>";
    let list = format!("<securityGroupInfo>{item}</securityGroupInfo>");
    let body = format!("<DescribeSecurityGroupsResponse>{list}{list}</DescribeSecurityGroupsResponse>");
    assert_eq!(ec2::DescribeSecurityGroups::decode(body.as_bytes()).unwrap().security_groups.len(), 2);
}

#[test]
fn a_truth_value_in_odd_spelling_is_an_error_and_never_false() {
    let more = |text: &str| {
        let body = format!(
            "<ListHostedZonesResponse><HostedZones/><IsTruncated>{text}</IsTruncated><NextMarker>m</NextMarker></ListHostedZonesResponse>"
        );
        route53::ListHostedZones::decode(body.as_bytes()).map(|it| it.is_truncated).map_err(|error| error.0)
    };
    for (text, value) in [("true", true), ("1", true), ("false", false), ("0", false), ("\n true ", true)] {
        assert_eq!(more(text), Ok(value), "{text}");
    }
    for text in ["True", "TRUE", "False", "yes", "no", "2", "-1", "t", "", "true false", "\u{ff54}rue"] {
        let message = more(text).unwrap_err();
        assert!(message.contains("where true or false is expected, near <IsTruncated>"), "{text}: {message}");
    }
}

#[test]
fn a_number_out_of_range_is_an_error_and_never_another_number() {
    let ttl = |text: &str| {
        let body = format!(
            "<ListResourceRecordSetsResponse><ResourceRecordSets><ResourceRecordSet><Name>a</Name><Type>A</Type><TTL>{text}</TTL></ResourceRecordSet></ResourceRecordSets><IsTruncated>false</IsTruncated></ListResourceRecordSetsResponse>"
        );
        let answer = route53::ListResourceRecordSets::decode(body.as_bytes());
        answer.map(|it| it.resource_record_sets[0].ttl.unwrap()).map_err(|error| error.0)
    };
    for (text, value) in [
        ("9223372036854775807", i64::MAX),
        ("-9223372036854775808", i64::MIN),
        ("+60", 60),
        (" 060 ", 60),
        ("<!-- a -->6<![CDATA[0]]>", 60),
    ] {
        assert_eq!(ttl(text), Ok(value), "{text}");
    }
    for text in
        ["9223372036854775808", "-9223372036854775809", "1e3", "60.0", "0x3c", "6 0", "--1", "NaN", "\u{666}", "60s"]
    {
        let message = ttl(text).unwrap_err();
        assert!(message.contains("where a whole number is expected, near <TTL>"), "{text}: {message}");
    }
}

#[test]
fn a_time_out_of_range_is_an_error() {
    let launched = |text: &str| {
        let body = format!(
            "<DescribeInstancesResponse><reservationSet><item><instancesSet><item><launchTime>{text}</launchTime></item></instancesSet></item></reservationSet></DescribeInstancesResponse>"
        );
        let answer = ec2::DescribeInstances::decode(body.as_bytes());
        answer.map(|it| it.reservations[0].instances[0].launch_time.unwrap().to_string()).map_err(|error| error.0)
    };
    for (text, value) in [
        ("2026-11-26T01:02:03.000Z", "2026-11-26T01:02:03Z"),
        ("2026-11-26T01:02:03+01:00", "2026-11-26T00:02:03Z"),
        ("9999-12-30T22:00:00Z", "9999-12-30T22:00:00Z"),
        // A leap second is the one before it.
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
    ] {
        assert_eq!(launched(text).as_deref(), Ok(value), "{text}");
    }
    for text in [
        "9999-12-31T23:59:59-23:59",
        "10000-01-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-11-26T24:00:00Z",
        "2026-11-26T01:02:03",
        "2026-11-26",
        "1795000000",
        "Thu, 26 Nov 2026 01:02:03 GMT",
    ] {
        let message = launched(text).unwrap_err();
        assert!(message.contains("where a time in ISO 8601 form is expected, near <launchTime>"), "{text}: {message}");
    }
}
