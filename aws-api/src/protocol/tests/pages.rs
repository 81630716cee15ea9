use crate::operation::{Operation, Paged};
use crate::{ec2, route53};

#[test]
fn ec2_pages_follow_the_token_until_it_is_absent_or_empty() {
    let request = ec2::DescribeInstances { max_results: Some(1000), ..Default::default() };
    let page = |token: &str| {
        let body = format!("<DescribeInstancesResponse><reservationSet/>{token}</DescribeInstancesResponse>");
        ec2::DescribeInstances::decode(body.as_bytes()).unwrap()
    };
    let second = request.next(&page("<nextToken>t</nextToken>")).unwrap();
    assert_eq!(second, ec2::DescribeInstances { next_token: Some("t".into()), ..request });
    assert_eq!(second.next(&page("")), None);
    assert_eq!(second.next(&page("<nextToken/>")), None);
    assert_eq!(second.next(&page("<nextToken></nextToken>")), None);
    let request = ec2::DescribeSecurityGroups::default();
    let page = ec2::DescribeSecurityGroupsResponse { next_token: Some("u".into()), ..Default::default() };
    assert_eq!(request.next(&page).unwrap().next_token.as_deref(), Some("u"));
    assert_eq!(request.next(&Default::default()), None);
}

#[test]
fn zones_follow_the_marker_while_there_are_more() {
    let request = route53::ListHostedZones { max_items: Some("1".into()), ..Default::default() };
    let page = |rest: &str| {
        let body = format!("<ListHostedZonesResponse><HostedZones/>{rest}</ListHostedZonesResponse>");
        route53::ListHostedZones::decode(body.as_bytes())
    };
    let more = page("<IsTruncated>true</IsTruncated><NextMarker>m</NextMarker>").unwrap();
    assert_eq!(request.next(&more).unwrap(), route53::ListHostedZones { marker: Some("m".into()), ..request.clone() });
    let last = page("<IsTruncated>false</IsTruncated><NextMarker>m</NextMarker>").unwrap();
    assert_eq!(request.next(&last), None);
    let odd = page("<IsTruncated>true</IsTruncated>").unwrap_err();
    assert_eq!(odd.0, "ListHostedZonesResponse says that there is more, but lacks NextMarker");
    let odd = page("<IsTruncated>true</IsTruncated><NextMarker/>").unwrap_err();
    assert_eq!(odd.0, "ListHostedZonesResponse says that there is more, but lacks NextMarker");
    let odd = page("").unwrap_err();
    assert_eq!(odd.0, "ListHostedZonesResponse lacks IsTruncated");
}

#[test]
fn records_follow_name_type_and_identifier() {
    let first = route53::ListResourceRecordSets {
        hosted_zone_id: "Z1".into(),
        max_items: Some("300".into()),
        ..Default::default()
    };
    let page = |identifier: Option<&str>| route53::ListResourceRecordSetsResponse {
        is_truncated: true,
        next_record_name: Some("b.".into()),
        next_record_type: Some(route53::RRType::Txt),
        next_record_identifier: identifier.map(str::to_owned),
        ..Default::default()
    };
    let second = first.next(&page(Some("s"))).unwrap();
    assert_eq!(
        second,
        route53::ListResourceRecordSets {
            start_record_name: Some("b.".into()),
            start_record_type: Some(route53::RRType::Txt),
            start_record_identifier: Some("s".into()),
            ..first.clone()
        }
    );
    // The identifier of a page before must not linger.
    assert_eq!(second.next(&page(None)).unwrap().start_record_identifier, None);
    assert_eq!(second.next(&route53::ListResourceRecordSetsResponse::default()), None);
}
