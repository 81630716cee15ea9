use crate::operation::{Encoded, Operation};
use crate::{ec2, route53, sts};

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

fn tag(key: &str, value: &str) -> ec2::Tag {
    ec2::Tag { key: text(key), value: text(value) }
}

fn filter(name: &str, values: &[&str]) -> ec2::Filter {
    ec2::Filter { name: text(name), values: texts(values) }
}

fn body(encoded: &Encoded) -> &str {
    std::str::from_utf8(&encoded.body).unwrap()
}

fn assert_form(operation: &impl Operation, expected: &str) {
    let encoded = operation.encode();
    assert_eq!(encoded.method, http::Method::POST);
    assert_eq!((encoded.path.as_str(), encoded.query.as_str()), ("/", ""));
    assert_eq!(encoded.content_type, Some("application/x-www-form-urlencoded; charset=utf-8"));
    assert_eq!(body(&encoded), expected);
}

fn assert_get(operation: &impl Operation, path: &str, query: &str) {
    let encoded = operation.encode();
    assert_eq!(encoded.method, http::Method::GET);
    assert_eq!((encoded.path.as_str(), encoded.query.as_str()), (path, query));
    assert_eq!((encoded.content_type, body(&encoded)), (None, ""));
}

#[test]
fn authorize_security_group_ingress_is_sent_as_botocore_sends_it() {
    assert_form(
        &ec2::AuthorizeSecurityGroupIngress {
            group_id: text("sg-1"),
            ip_permissions: vec![
                ec2::IpPermission {
                    ip_protocol: text("udp"),
                    from_port: Some(6315),
                    to_port: Some(6316),
                    user_id_group_pairs: vec![ec2::UserIdGroupPair {
                        description: text("d"),
                        user_id: text("123"),
                        group_id: text("sg-2"),
                        ..Default::default()
                    }],
                    ip_ranges: vec![
                        ec2::IpRange { description: text("udp-server & friends/ü*~"), cidr_ip: text("0.0.0.0/0") },
                        ec2::IpRange { description: None, cidr_ip: text("10.0.0.0/8") },
                    ],
                    ipv6_ranges: vec![ec2::Ipv6Range { description: text("d"), cidr_ipv6: text("::/0") }],
                    prefix_list_ids: vec![ec2::PrefixListId { description: text("p"), prefix_list_id: text("pl-1") }],
                },
                ec2::IpPermission {
                    ip_protocol: text("tcp"),
                    from_port: Some(80),
                    to_port: Some(80),
                    ip_ranges: vec![ec2::IpRange { description: None, cidr_ip: text("1.2.3.4/32") }],
                    ..Default::default()
                },
            ],
            tag_specifications: vec![ec2::TagSpecification {
                resource_type: Some(ec2::ResourceType::SecurityGroupRule),
                tags: vec![tag("a", "b")],
            }],
            dry_run: Some(true),
        },
        "Action=AuthorizeSecurityGroupIngress&Version=2016-11-15&GroupId=sg-1&IpPermissions.1.IpProtocol=udp&IpPermissions.1.FromPort=6315&IpPermissions.1.ToPort=6316&IpPermissions.1.Groups.1.Description=d&IpPermissions.1.Groups.1.UserId=123&IpPermissions.1.Groups.1.GroupId=sg-2&IpPermissions.1.IpRanges.1.Description=udp-server+%26+friends%2F%C3%BC%2A~&IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0%2F0&IpPermissions.1.IpRanges.2.CidrIp=10.0.0.0%2F8&IpPermissions.1.Ipv6Ranges.1.Description=d&IpPermissions.1.Ipv6Ranges.1.CidrIpv6=%3A%3A%2F0&IpPermissions.1.PrefixListIds.1.Description=p&IpPermissions.1.PrefixListIds.1.PrefixListId=pl-1&IpPermissions.2.IpProtocol=tcp&IpPermissions.2.FromPort=80&IpPermissions.2.ToPort=80&IpPermissions.2.IpRanges.1.CidrIp=1.2.3.4%2F32&TagSpecification.1.ResourceType=security-group-rule&TagSpecification.1.Tag.1.Key=a&TagSpecification.1.Tag.1.Value=b&DryRun=true",
    );
}

#[test]
fn create_security_group_is_sent_as_botocore_sends_it() {
    assert_form(
        &ec2::CreateSecurityGroup {
            description: "Rules of i-1".into(),
            group_name: "external-ips/c/i-1".into(),
            vpc_id: text("vpc-1"),
            tag_specifications: vec![ec2::TagSpecification {
                resource_type: Some(ec2::ResourceType::SecurityGroup),
                tags: vec![tag("external-ips/c", "owned"), tag("Name", "x y")],
            }],
            dry_run: Some(false),
        },
        "Action=CreateSecurityGroup&Version=2016-11-15&GroupDescription=Rules+of+i-1&GroupName=external-ips%2Fc%2Fi-1&VpcId=vpc-1&TagSpecification.1.ResourceType=security-group&TagSpecification.1.Tag.1.Key=external-ips%2Fc&TagSpecification.1.Tag.1.Value=owned&TagSpecification.1.Tag.2.Key=Name&TagSpecification.1.Tag.2.Value=x+y&DryRun=false",
    );
}

#[test]
fn create_tags_is_sent_as_botocore_sends_it() {
    assert_form(
        &ec2::CreateTags { resources: texts(&["sg-1", "i-1"]), tags: vec![tag("k", "")], ..Default::default() },
        "Action=CreateTags&Version=2016-11-15&ResourceId.1=sg-1&ResourceId.2=i-1&Tag.1.Key=k&Tag.1.Value=",
    );
}

#[test]
fn delete_security_group_is_sent_as_botocore_sends_it() {
    assert_form(
        &ec2::DeleteSecurityGroup { group_id: text("sg-1"), dry_run: Some(true), ..Default::default() },
        "Action=DeleteSecurityGroup&Version=2016-11-15&GroupId=sg-1&DryRun=true",
    );
}

#[test]
fn describe_instance_attribute_is_sent_as_botocore_sends_it() {
    assert_form(
        &ec2::DescribeInstanceAttribute {
            instance_id: "i-1".into(),
            attribute: ec2::InstanceAttributeName::GroupSet,
            ..Default::default()
        },
        "Action=DescribeInstanceAttribute&Version=2016-11-15&InstanceId=i-1&Attribute=groupSet",
    );
}

#[test]
fn describe_instances_is_sent_as_botocore_sends_it() {
    assert_form(
        &ec2::DescribeInstances {
            instance_ids: texts(&["i-1", "i-2"]),
            filters: vec![filter("vpc-id", &["v1", "v2"]), filter("tag:a", &["b"])],
            next_token: text("a+b/c=="),
            max_results: Some(1000),
            dry_run: None,
        },
        "Action=DescribeInstances&Version=2016-11-15&InstanceId.1=i-1&InstanceId.2=i-2&Filter.1.Name=vpc-id&Filter.1.Value.1=v1&Filter.1.Value.2=v2&Filter.2.Name=tag%3Aa&Filter.2.Value.1=b&NextToken=a%2Bb%2Fc%3D%3D&MaxResults=1000",
    );
    assert_form(&ec2::DescribeInstances::default(), "Action=DescribeInstances&Version=2016-11-15");
}

#[test]
fn describe_security_groups_is_sent_as_botocore_sends_it() {
    assert_form(
        &ec2::DescribeSecurityGroups {
            group_ids: texts(&["sg-1"]),
            group_names: texts(&["n"]),
            next_token: text("t"),
            max_results: Some(5),
            filters: vec![filter("tag-key", &["external-ips/c"])],
            ..Default::default()
        },
        "Action=DescribeSecurityGroups&Version=2016-11-15&GroupId.1=sg-1&GroupName.1=n&NextToken=t&MaxResults=5&Filter.1.Name=tag-key&Filter.1.Value.1=external-ips%2Fc",
    );
}

#[test]
fn modify_instance_attribute_is_sent_as_botocore_sends_it() {
    assert_form(
        &ec2::ModifyInstanceAttribute {
            instance_id: "i-1".into(),
            groups: texts(&["sg-1", "sg-2"]),
            ..Default::default()
        },
        "Action=ModifyInstanceAttribute&Version=2016-11-15&InstanceId=i-1&GroupId.1=sg-1&GroupId.2=sg-2",
    );
}

#[test]
fn modify_network_interface_attribute_is_sent_as_botocore_sends_it() {
    assert_form(
        &ec2::ModifyNetworkInterfaceAttribute {
            network_interface_id: "eni-1".into(),
            groups: texts(&["sg-1", "sg-2"]),
            ..Default::default()
        },
        "Action=ModifyNetworkInterfaceAttribute&Version=2016-11-15&NetworkInterfaceId=eni-1&SecurityGroupId.1=sg-1&SecurityGroupId.2=sg-2",
    );
}

#[test]
fn revoke_security_group_ingress_is_sent_as_botocore_sends_it() {
    assert_form(
        &ec2::RevokeSecurityGroupIngress {
            group_id: text("sg-1"),
            ip_permissions: vec![ec2::IpPermission {
                ip_protocol: text("-1"),
                ip_ranges: vec![ec2::IpRange { description: None, cidr_ip: text("0.0.0.0/0") }],
                ..Default::default()
            }],
            security_group_rule_ids: texts(&["sgr-1", "sgr-2"]),
            dry_run: None,
        },
        "Action=RevokeSecurityGroupIngress&Version=2016-11-15&GroupId=sg-1&IpPermissions.1.IpProtocol=-1&IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0%2F0&SecurityGroupRuleId.1=sgr-1&SecurityGroupRuleId.2=sgr-2",
    );
}

fn change(action: route53::ChangeAction, set: route53::ResourceRecordSet) -> route53::Change {
    route53::Change { action, resource_record_set: set }
}

fn records(values: &[&str]) -> Vec<route53::ResourceRecord> {
    values.iter().map(|value| route53::ResourceRecord { value: (*value).to_owned() }).collect()
}

#[test]
fn change_resource_record_sets_is_sent_as_botocore_sends_it() {
    let a_record = |set: route53::ResourceRecordSet| route53::ResourceRecordSet {
        name: "a.example.com.".into(),
        r#type: route53::RRType::A,
        ..set
    };
    let request = route53::ChangeResourceRecordSets {
        hosted_zone_id: "/hostedzone/Z1".into(),
        change_batch: route53::ChangeBatch {
            comment: text("c <&> \"q\""),
            changes: vec![
                change(
                    route53::ChangeAction::Delete,
                    a_record(route53::ResourceRecordSet {
                        ttl: Some(60),
                        resource_records: records(&["1.2.3.4", "5.6.7.8"]),
                        ..Default::default()
                    }),
                ),
                change(
                    route53::ChangeAction::Create,
                    route53::ResourceRecordSet {
                        name: "a-a.example.com.".into(),
                        r#type: route53::RRType::Txt,
                        ttl: Some(300),
                        resource_records: records(&["\"heritage=external-dns\""]),
                        ..Default::default()
                    },
                ),
                change(
                    route53::ChangeAction::Upsert,
                    a_record(route53::ResourceRecordSet {
                        set_identifier: text("s"),
                        weight: Some(0),
                        alias_target: Some(route53::AliasTarget {
                            hosted_zone_id: "Z2".into(),
                            dns_name: "lb.".into(),
                            evaluate_target_health: false,
                        }),
                        ..Default::default()
                    }),
                ),
            ],
        },
    };
    let encoded = request.encode();
    assert_eq!(encoded.method, http::Method::POST);
    assert_eq!((encoded.path.as_str(), encoded.query.as_str()), ("/2013-04-01/hostedzone/Z1/rrset/", ""));
    assert_eq!(encoded.content_type, Some("application/xml"));
    assert_eq!(
        body(&encoded),
        r#"<ChangeResourceRecordSetsRequest xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ChangeBatch><Comment>c &lt;&amp;&gt; "q"</Comment><Changes><Change><Action>DELETE</Action><ResourceRecordSet><Name>a.example.com.</Name><Type>A</Type><TTL>60</TTL><ResourceRecords><ResourceRecord><Value>1.2.3.4</Value></ResourceRecord><ResourceRecord><Value>5.6.7.8</Value></ResourceRecord></ResourceRecords></ResourceRecordSet></Change><Change><Action>CREATE</Action><ResourceRecordSet><Name>a-a.example.com.</Name><Type>TXT</Type><TTL>300</TTL><ResourceRecords><ResourceRecord><Value>"heritage=external-dns"</Value></ResourceRecord></ResourceRecords></ResourceRecordSet></Change><Change><Action>UPSERT</Action><ResourceRecordSet><Name>a.example.com.</Name><Type>A</Type><SetIdentifier>s</SetIdentifier><Weight>0</Weight><AliasTarget><HostedZoneId>Z2</HostedZoneId><DNSName>lb.</DNSName><EvaluateTargetHealth>false</EvaluateTargetHealth></AliasTarget></ResourceRecordSet></Change></Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"#
    );
}

#[test]
fn a_required_list_is_sent_even_when_it_is_empty_and_another_one_is_not() {
    let set = route53::ResourceRecordSet { name: "a.".into(), r#type: route53::RRType::A, ..Default::default() };
    let changes = vec![change(route53::ChangeAction::Upsert, set)];
    for (changes, expected) in [(vec![], "<Changes></Changes>"), (changes, "<Type>A</Type></ResourceRecordSet>")] {
        let change_batch = route53::ChangeBatch { comment: None, changes };
        let request = route53::ChangeResourceRecordSets { hosted_zone_id: "Z1".into(), change_batch }.encode();
        assert!(body(&request).contains(expected), "{}", body(&request));
    }
}

#[test]
fn get_change_is_sent_as_botocore_sends_it() {
    assert_get(&route53::GetChange { id: "/change/C1".into() }, "/2013-04-01/change/C1", "");
}

#[test]
fn list_hosted_zones_is_sent_as_botocore_sends_it() {
    assert_get(&route53::ListHostedZones::default(), "/2013-04-01/hostedzone", "");
    assert_get(
        &route53::ListHostedZones {
            marker: text("m/1"),
            max_items: text("100"),
            delegation_set_id: text("/delegationset/N1"),
            hosted_zone_type: Some(route53::HostedZoneType::PrivateHostedZone),
        },
        "/2013-04-01/hostedzone",
        "marker=m%2F1&maxitems=100&delegationsetid=N1&hostedzonetype=PrivateHostedZone",
    );
}

#[test]
fn list_resource_record_sets_is_sent_as_botocore_sends_it() {
    assert_get(
        &route53::ListResourceRecordSets {
            hosted_zone_id: "Z1".into(),
            start_record_name: text("\\052.a b.com."),
            start_record_type: Some(route53::RRType::A),
            start_record_identifier: text("x&y"),
            max_items: text("300"),
        },
        "/2013-04-01/hostedzone/Z1/rrset",
        "name=%5C052.a%20b.com.&type=A&identifier=x%26y&maxitems=300",
    );
}

#[test]
fn a_zone_id_cannot_leave_its_place_in_the_path() {
    let request = route53::ListResourceRecordSets { hosted_zone_id: "Z1?x#y%2F z".into(), ..Default::default() };
    assert_get(&request, "/2013-04-01/hostedzone/Z1%3Fx%23y%252F%20z/rrset", "");
}

#[test]
fn assume_role_is_sent_as_botocore_sends_it() {
    let policy = |name: &str| sts::PolicyDescriptorType { arn: Some(format!("arn:aws:iam::aws:policy/{name}")) };
    assert_form(
        &sts::AssumeRole {
            role_arn: "arn:aws:iam::1:role/r234567890".into(),
            role_session_name: "s=1".into(),
            policy_arns: vec![policy("A"), policy("B")],
            policy: text("{\"a\": 1}"),
            duration_seconds: Some(900),
            tags: vec![sts::Tag { key: "k".into(), value: "v".into() }],
            transitive_tag_keys: texts(&["k"]),
            external_id: text("ext"),
            source_identity: text("me"),
        },
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr234567890&RoleSessionName=s%3D1&PolicyArns.member.1.arn=arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FA&PolicyArns.member.2.arn=arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FB&Policy=%7B%22a%22%3A+1%7D&DurationSeconds=900&Tags.member.1.Key=k&Tags.member.1.Value=v&TransitiveTagKeys.member.1=k&ExternalId=ext&SourceIdentity=me",
    );
}

#[test]
fn assume_role_with_web_identity_is_sent_as_botocore_sends_it_and_unsigned() {
    assert_form(
        &sts::AssumeRoleWithWebIdentity {
            role_arn: "arn:aws:iam::1:role/r234567890".into(),
            role_session_name: "sn".into(),
            web_identity_token: "to.k-en_".into(),
            provider_id: text("prov"),
            duration_seconds: Some(3600),
            ..Default::default()
        },
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr234567890&RoleSessionName=sn&WebIdentityToken=to.k-en_&ProviderId=prov&DurationSeconds=3600",
    );
    let unsigned = [
        sts::AssumeRoleWithWebIdentity::UNSIGNED,
        sts::AssumeRole::UNSIGNED,
        sts::GetCallerIdentity::UNSIGNED,
        ec2::DescribeInstances::UNSIGNED,
        route53::GetChange::UNSIGNED,
    ];
    assert_eq!(unsigned, [true, false, false, false, false]);
}

#[test]
fn get_caller_identity_is_sent_as_botocore_sends_it() {
    assert_form(&sts::GetCallerIdentity, "Action=GetCallerIdentity&Version=2011-06-15");
}

#[test]
fn what_changes_things_says_so() {
    let mutates = [
        ec2::AuthorizeSecurityGroupIngress::MUTATES,
        ec2::CreateSecurityGroup::MUTATES,
        ec2::CreateTags::MUTATES,
        ec2::DeleteSecurityGroup::MUTATES,
        ec2::ModifyInstanceAttribute::MUTATES,
        ec2::ModifyNetworkInterfaceAttribute::MUTATES,
        ec2::RevokeSecurityGroupIngress::MUTATES,
        route53::ChangeResourceRecordSets::MUTATES,
    ];
    assert_eq!(mutates, [true; 8]);
    let reads = [
        ec2::DescribeInstanceAttribute::MUTATES,
        ec2::DescribeInstances::MUTATES,
        ec2::DescribeSecurityGroups::MUTATES,
        route53::GetChange::MUTATES,
        route53::ListHostedZones::MUTATES,
        route53::ListResourceRecordSets::MUTATES,
        sts::AssumeRole::MUTATES,
        sts::AssumeRoleWithWebIdentity::MUTATES,
        sts::GetCallerIdentity::MUTATES,
    ];
    assert_eq!(reads, [false; 9]);
}
