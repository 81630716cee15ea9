use crate::operation::Operation;
use crate::{ec2, route53, sts};

const EC2: &str = "xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"";
const R53: &str = "xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"";
const STS: &str = "xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"";
const XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

fn ec2<O: Operation>(content: &str) -> O::Output {
    let name = O::NAME;
    let body = format!("{XML}<{name}Response {EC2}>\n  <requestId>r-1</requestId>\n  {content}\n</{name}Response>\n");
    O::decode(body.as_bytes()).unwrap()
}

fn route53<O: Operation>(content: &str) -> O::Output {
    let name = O::NAME;
    O::decode(format!("{XML}<{name}Response {R53}>{content}</{name}Response>").as_bytes()).unwrap()
}

fn sts<O: Operation>(content: &str) -> O::Output {
    let name = O::NAME;
    let body = format!(
        "<{name}Response {STS}>\n  <{name}Result>{content}</{name}Result>\n  <ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata>\n</{name}Response>"
    );
    O::decode(body.as_bytes()).unwrap()
}

#[test]
fn authorize_security_group_ingress_tells_the_rules() {
    let answer = ec2::<ec2::AuthorizeSecurityGroupIngress>(
        "<return>true</return><securityGroupRuleSet><item><securityGroupRuleId>sgr-1</securityGroupRuleId><groupId>sg-1</groupId><isEgress>false</isEgress><ipProtocol>udp</ipProtocol><fromPort>-1</fromPort><toPort>6315</toPort><cidrIpv4>0.0.0.0/0</cidrIpv4><tagSet/></item></securityGroupRuleSet>",
    );
    assert_eq!(answer.r#return, Some(true));
    assert_eq!(
        answer.security_group_rules,
        [ec2::SecurityGroupRule {
            security_group_rule_id: text("sgr-1"),
            group_id: text("sg-1"),
            is_egress: Some(false),
            ip_protocol: text("udp"),
            from_port: Some(-1),
            to_port: Some(6315),
            cidr_ipv4: text("0.0.0.0/0"),
            ..Default::default()
        }]
    );
}

#[test]
fn create_security_group_tells_the_id() {
    let answer = ec2::<ec2::CreateSecurityGroup>(
        "<groupId>sg-1</groupId><tagSet><item><key>Name</key><value/></item></tagSet><return>true</return>",
    );
    assert_eq!(answer.group_id, text("sg-1"));
    assert_eq!(answer.tags, [ec2::Tag { key: text("Name"), value: text("") }]);
}

#[test]
fn answers_that_hold_nothing_are_still_looked_at() {
    ec2::<ec2::CreateTags>("<return>true</return>");
    ec2::<ec2::ModifyInstanceAttribute>("<return>true</return>");
    ec2::<ec2::ModifyNetworkInterfaceAttribute>("<return>true</return>");
    let error = ec2::CreateTags::decode(b"<DeleteTagsResponse/>").unwrap_err();
    assert_eq!(error.0, "found <DeleteTagsResponse> where <CreateTagsResponse> is expected");
}

#[test]
fn an_answer_that_does_not_say_that_it_was_done_is_none() {
    let answer = |content: &str| {
        let body = format!("<CreateTagsResponse>{content}</CreateTagsResponse>");
        ec2::CreateTags::decode(body.as_bytes()).map_err(|error| error.0)
    };
    assert_eq!(answer("<requestId>r-1</requestId>"), Ok(()));
    for hollow in ["", "\n", "<other/>"] {
        assert_eq!(answer(hollow), Err("CreateTagsResponse lacks requestId".into()));
    }
    let refused = answer("<requestId>r-1</requestId><return>false</return>");
    assert_eq!(refused, Err("CreateTagsResponse says that it wasn't done".into()));
}

#[test]
fn delete_security_group_tells_what_was_deleted() {
    let answer = ec2::<ec2::DeleteSecurityGroup>("<return>true</return><groupId>sg-1</groupId>");
    assert_eq!((answer.r#return, answer.group_id), (Some(true), text("sg-1")));
}

#[test]
fn describe_instance_attribute_tells_the_groups() {
    let answer = ec2::<ec2::DescribeInstanceAttribute>(
        "<instanceId>i-1</instanceId><groupSet><item><groupId>sg-1</groupId><groupName>a</groupName></item><item><groupId>sg-2</groupId></item></groupSet>",
    );
    assert_eq!(answer.instance_id, text("i-1"));
    let ids: Vec<_> = answer.groups.iter().map(|group| group.group_id.as_deref().unwrap()).collect();
    assert_eq!(ids, ["sg-1", "sg-2"]);
}

const INSTANCE: &str = r#"<reservationSet><item><reservationId>r-1</reservationId><ownerId>123</ownerId><groupSet/><instancesSet><item>
<instanceId>i-1</instanceId><imageId>ami-1</imageId><instanceState><code>16</code><name>running</name></instanceState>
<reason/><instanceType>u7inh-32tb.480xlarge</instanceType><productCodes><item><productCode>x</productCode><type>marketplace</type></item></productCodes>
<launchTime>2026-01-02T03:04:05.000Z</launchTime><placement><availabilityZone>eu-west-1a</availabilityZone><tenancy>default</tenancy></placement>
<subnetId>subnet-1</subnetId><vpcId>vpc-1</vpcId><privateIpAddress>10.0.0.1</privateIpAddress><ipAddress>203.0.113.1</ipAddress>
<groupSet><item><groupId>sg-1</groupId><groupName>nodes</groupName></item></groupSet>
<tagSet><item><key>a &amp; b</key><value><![CDATA[<c>]]>&#x20;d&quot;</value></item></tagSet>
<networkInterfaceSet><item><networkInterfaceId>eni-1</networkInterfaceId><subnetId>subnet-1</subnetId><vpcId>vpc-1</vpcId><status>in-use</status>
<privateIpAddress>10.0.0.1</privateIpAddress><groupSet><item><groupId>sg-1</groupId></item></groupSet>
<attachment><attachmentId>a-1</attachmentId><deviceIndex>0</deviceIndex><status>attached</status><networkCardIndex>0</networkCardIndex></attachment>
<association><publicIp>203.0.113.1</publicIp><ipOwnerId>amazon</ipOwnerId></association>
<privateIpAddressesSet><item><privateIpAddress>10.0.0.1</privateIpAddress><primary>true</primary><association><publicIp>203.0.113.1</publicIp></association></item><item><privateIpAddress>10.0.0.2</privateIpAddress><primary>false</primary></item></privateIpAddressesSet>
<ipv6AddressesSet><item><ipv6Address>2001:db8::1</ipv6Address></item></ipv6AddressesSet></item></networkInterfaceSet>
</item></instancesSet></item></reservationSet>"#;

#[test]
fn describe_instances_reads_what_is_wanted_of_an_instance_and_skips_the_rest() {
    let answer = ec2::<ec2::DescribeInstances>(INSTANCE);
    let reservation = &answer.reservations[0];
    assert_eq!((reservation.owner_id.as_deref(), reservation.instances.len()), (Some("123"), 1));
    let group = |id: &str, name| ec2::GroupIdentifier { group_id: text(id), group_name: name };
    let association = Some(ec2::InstanceNetworkInterfaceAssociation { public_ip: text("203.0.113.1") });
    assert_eq!(
        reservation.instances[0],
        ec2::Instance {
            instance_id: text("i-1"),
            instance_type: text("u7inh-32tb.480xlarge"),
            launch_time: Some("2026-01-02T03:04:05Z".parse().unwrap()),
            state: Some(ec2::InstanceState { name: Some(ec2::InstanceStateName::Running) }),
            placement: Some(ec2::Placement { availability_zone: text("eu-west-1a") }),
            vpc_id: text("vpc-1"),
            subnet_id: text("subnet-1"),
            private_ip_address: text("10.0.0.1"),
            public_ip_address: text("203.0.113.1"),
            ipv6_address: None,
            network_interfaces: vec![ec2::InstanceNetworkInterface {
                network_interface_id: text("eni-1"),
                attachment: Some(ec2::InstanceNetworkInterfaceAttachment {
                    attachment_id: text("a-1"),
                    device_index: Some(0),
                    network_card_index: Some(0),
                    status: Some(ec2::AttachmentStatus::Attached),
                }),
                private_ip_address: text("10.0.0.1"),
                private_ip_addresses: vec![
                    ec2::InstancePrivateIpAddress {
                        association: association.clone(),
                        primary: Some(true),
                        private_ip_address: text("10.0.0.1"),
                    },
                    ec2::InstancePrivateIpAddress {
                        association: None,
                        primary: Some(false),
                        private_ip_address: text("10.0.0.2"),
                    },
                ],
                association,
                ipv6_addresses: vec![ec2::InstanceIpv6Address { ipv6_address: text("2001:db8::1") }],
                groups: vec![group("sg-1", None)],
                subnet_id: text("subnet-1"),
                vpc_id: text("vpc-1"),
            }],
            security_groups: vec![group("sg-1", text("nodes"))],
            tags: vec![ec2::Tag { key: text("a & b"), value: text("<c> d\"") }],
        }
    );
}

#[test]
fn a_list_that_is_empty_is_not_a_list_that_is_missing() {
    assert_eq!(ec2::<ec2::DescribeInstances>("<reservationSet/>").reservations, []);
    assert_eq!(ec2::<ec2::DescribeSecurityGroups>("<securityGroupInfo></securityGroupInfo>").security_groups, []);
    let error = ec2::DescribeInstances::decode(b"<DescribeInstancesResponse/>").unwrap_err();
    assert_eq!(error.0, "DescribeInstancesResponse lacks reservationSet");
    let error = route53::ListHostedZones::decode(
        b"<ListHostedZonesResponse><IsTruncated>false</IsTruncated></ListHostedZonesResponse>",
    )
    .unwrap_err();
    assert_eq!(error.0, "ListHostedZonesResponse lacks HostedZones");
}

#[test]
fn describe_security_groups_reads_rules_of_all_kinds() {
    let answer = ec2::<ec2::DescribeSecurityGroups>(
        r#"<securityGroupInfo><item><ownerId>123</ownerId><groupId>sg-1</groupId><groupName>g</groupName><groupDescription>d</groupDescription><vpcId>vpc-1</vpcId>
        <ipPermissions><item><ipProtocol>tcp</ipProtocol><fromPort>1</fromPort><toPort>2</toPort>
        <groups><item><userId>123</userId><groupId>sg-2</groupId></item></groups>
        <ipRanges><item><cidrIp>10.0.0.0/8</cidrIp><description>x</description></item><item><cidrIp>11.0.0.0/8</cidrIp></item></ipRanges>
        <ipv6Ranges><item><cidrIpv6>::/0</cidrIpv6></item></ipv6Ranges><prefixListIds><item><prefixListId>pl-1</prefixListId></item></prefixListIds></item></ipPermissions>
        <ipPermissionsEgress><item><ipProtocol>-1</ipProtocol><groups/><ipRanges/><ipv6Ranges/><prefixListIds/></item></ipPermissionsEgress>
        <tagSet><item><key>k</key><value>v</value></item></tagSet></item></securityGroupInfo>"#,
    );
    let group = &answer.security_groups[0];
    assert_eq!(group.ip_permissions.len(), 1);
    assert_eq!(
        group.ip_permissions[0],
        ec2::IpPermission {
            ip_protocol: text("tcp"),
            from_port: Some(1),
            to_port: Some(2),
            user_id_group_pairs: vec![ec2::UserIdGroupPair {
                user_id: text("123"),
                group_id: text("sg-2"),
                ..Default::default()
            }],
            ip_ranges: vec![
                ec2::IpRange { description: text("x"), cidr_ip: text("10.0.0.0/8") },
                ec2::IpRange { description: None, cidr_ip: text("11.0.0.0/8") },
            ],
            ipv6_ranges: vec![ec2::Ipv6Range { description: None, cidr_ipv6: text("::/0") }],
            prefix_list_ids: vec![ec2::PrefixListId { description: None, prefix_list_id: text("pl-1") }],
        }
    );
    assert_eq!(group.ip_permissions_egress, [ec2::IpPermission { ip_protocol: text("-1"), ..Default::default() }]);
    assert_eq!((group.description.as_deref(), group.tags.len()), (Some("d"), 1));
}

#[test]
fn revoke_security_group_ingress_tells_what_it_did_not_find() {
    let answer = ec2::<ec2::RevokeSecurityGroupIngress>(
        "<return>true</return><unknownIpPermissionSet><item><ipProtocol>udp</ipProtocol></item></unknownIpPermissionSet>",
    );
    assert_eq!(answer.unknown_ip_permissions, [ec2::IpPermission { ip_protocol: text("udp"), ..Default::default() }]);
}

const CHANGE: &str = "<ChangeInfo><Id>/change/C1</Id><Status>PENDING</Status><SubmittedAt>2026-01-02T03:04:05.678Z</SubmittedAt></ChangeInfo>";

#[test]
fn changes_of_records_tell_their_state() {
    for info in [
        route53::<route53::ChangeResourceRecordSets>(CHANGE).change_info,
        route53::<route53::GetChange>(CHANGE).change_info,
    ] {
        assert_eq!((info.id.as_str(), info.status), ("/change/C1", route53::ChangeStatus::Pending));
        assert_eq!(info.submitted_at, "2026-01-02T03:04:05.678Z".parse().unwrap());
    }
}

#[test]
fn a_missing_element_that_is_always_there_is_named() {
    let error = route53::GetChange::decode(
        b"<GetChangeResponse><ChangeInfo><Id>C1</Id><Status>INSYNC</Status></ChangeInfo></GetChangeResponse>",
    )
    .unwrap_err();
    assert_eq!(error.0, "ChangeInfo lacks SubmittedAt");
}

#[test]
fn list_hosted_zones_tells_which_are_private() {
    let answer = route53::<route53::ListHostedZones>(
        "<HostedZones><HostedZone><Id>/hostedzone/Z1</Id><Name>example.com.</Name><CallerReference>x</CallerReference><Config><Comment/><PrivateZone>false</PrivateZone></Config><ResourceRecordSetCount>17</ResourceRecordSetCount></HostedZone><HostedZone><Id>/hostedzone/Z2</Id><Name>example.org.</Name><CallerReference>y</CallerReference><Config><PrivateZone>true</PrivateZone></Config></HostedZone></HostedZones><IsTruncated>false</IsTruncated><MaxItems>100</MaxItems>",
    );
    let zones: Vec<_> = answer
        .hosted_zones
        .iter()
        .map(|zone| (zone.id.as_str(), zone.name.as_str(), zone.config.as_ref().unwrap().private_zone))
        .collect();
    assert_eq!(
        zones,
        [("/hostedzone/Z1", "example.com.", Some(false)), ("/hostedzone/Z2", "example.org.", Some(true))]
    );
    assert_eq!(answer.hosted_zones[0].resource_record_set_count, Some(17));
}

#[test]
fn list_resource_record_sets_reads_plain_routed_and_alias_records() {
    let answer = route53::<route53::ListResourceRecordSets>(
        r#"<ResourceRecordSets><ResourceRecordSet><Name>\052.example.com.</Name><Type>A</Type><TTL>60</TTL><ResourceRecords><ResourceRecord><Value>203.0.113.1</Value></ResourceRecord><ResourceRecord><Value>203.0.113.2</Value></ResourceRecord></ResourceRecords></ResourceRecordSet>
        <ResourceRecordSet><Name>w.example.com.</Name><Type>ANAME</Type><SetIdentifier>s</SetIdentifier><Weight>10</Weight><AliasTarget><HostedZoneId>Z2</HostedZoneId><DNSName>lb.</DNSName><EvaluateTargetHealth>true</EvaluateTargetHealth></AliasTarget></ResourceRecordSet>
        <ResourceRecordSet><Name>t.example.com.</Name><Type>TXT</Type><TTL>300</TTL><ResourceRecords><ResourceRecord><Value>"heritage=external-dns" " x &lt; y"</Value></ResourceRecord></ResourceRecords></ResourceRecordSet></ResourceRecordSets><IsTruncated>false</IsTruncated><MaxItems>300</MaxItems>"#,
    );
    let value = |value: &str| route53::ResourceRecord { value: value.into() };
    assert_eq!(
        answer.resource_record_sets,
        [
            route53::ResourceRecordSet {
                name: "\\052.example.com.".into(),
                r#type: route53::RRType::A,
                ttl: Some(60),
                resource_records: vec![value("203.0.113.1"), value("203.0.113.2")],
                ..Default::default()
            },
            route53::ResourceRecordSet {
                name: "w.example.com.".into(),
                r#type: route53::RRType::Other("ANAME".into()),
                set_identifier: text("s"),
                weight: Some(10),
                alias_target: Some(route53::AliasTarget {
                    hosted_zone_id: "Z2".into(),
                    dns_name: "lb.".into(),
                    evaluate_target_health: true,
                }),
                ..Default::default()
            },
            route53::ResourceRecordSet {
                name: "t.example.com.".into(),
                r#type: route53::RRType::Txt,
                ttl: Some(300),
                resource_records: vec![value("\"heritage=external-dns\" \" x < y\"")],
                ..Default::default()
            },
        ]
    );
}

#[test]
fn a_record_that_was_read_can_be_sent_back_as_it_was() {
    let record = r#"<ResourceRecordSet><Name>a.</Name><Type>XYZ</Type><SetIdentifier>s</SetIdentifier><Region>xx-new-1</Region><GeoLocation><CountryCode>*</CountryCode></GeoLocation><Failover>PRIMARY</Failover><MultiValueAnswer>true</MultiValueAnswer><TTL>60</TTL><ResourceRecords><ResourceRecord><Value>"a &amp; b"</Value></ResourceRecord></ResourceRecords><HealthCheckId>h</HealthCheckId><CidrRoutingConfig><CollectionId>c</CollectionId><LocationName>*</LocationName></CidrRoutingConfig></ResourceRecordSet>"#;
    let answer = route53::<route53::ListResourceRecordSets>(&format!(
        "<ResourceRecordSets>{record}</ResourceRecordSets><IsTruncated>false</IsTruncated>"
    ));
    let request = route53::ChangeResourceRecordSets {
        change_batch: route53::ChangeBatch {
            changes: vec![route53::Change {
                action: route53::ChangeAction::Delete,
                resource_record_set: answer.resource_record_sets[0].clone(),
            }],
            ..Default::default()
        },
        ..Default::default()
    };
    let sent = request.encode().body;
    assert!(std::str::from_utf8(&sent).unwrap().contains(record));
}

const CREDENTIALS: &str = "<Credentials><AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s/+=</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2026-01-02T03:04:05Z</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>AROA:me</AssumedRoleId><Arn>arn:aws:sts::1:assumed-role/r/me</Arn></AssumedRoleUser>";

#[test]
fn roles_come_with_credentials() {
    for credentials in [
        sts::<sts::AssumeRole>(CREDENTIALS).credentials.unwrap(),
        sts::<sts::AssumeRoleWithWebIdentity>(CREDENTIALS).credentials.unwrap(),
    ] {
        assert_eq!(
            credentials,
            sts::Credentials {
                access_key_id: "ASIA".into(),
                secret_access_key: "s/+=".into(),
                session_token: "t".into(),
                expiration: "2026-01-02T03:04:05Z".parse().unwrap(),
            }
        );
    }
}

#[test]
fn get_caller_identity_tells_who() {
    let answer = sts::<sts::GetCallerIdentity>("<Arn>arn:a</Arn><UserId>U</UserId><Account>123</Account>");
    assert_eq!((answer.arn, answer.user_id, answer.account), (text("arn:a"), text("U"), text("123")));
    let error = sts::GetCallerIdentity::decode(b"<GetCallerIdentityResponse/>").unwrap_err();
    assert_eq!(error.0, "GetCallerIdentityResponse lacks GetCallerIdentityResult");
}

#[test]
fn prefixes_comments_blanks_and_unknown_elements_do_not_matter() {
    let answer = ec2::DescribeInstances::decode(
        b"\xef\xbb\xbf\n<?xml version='1.0'?><!-- a --><?pi x?><e:DescribeInstancesResponse xmlns:e='http://ec2.amazonaws.com/doc/2016-11-15/'>\
          text <e:new><e:reservationSet>x</e:reservationSet><a/></e:new>\r\n<e:nextToken>t<!-- b -->u</e:nextToken>\
          <e:reservationSet a='1'><!-- c --><other/><e:item><e:ownerId> 1&#13;&#10;2 </e:ownerId></e:item></e:reservationSet></e:DescribeInstancesResponse>\n<!-- d -->\n",
    )
    .unwrap();
    assert_eq!(answer.next_token, text("tu"));
    assert_eq!(answer.reservations.len(), 1);
    assert_eq!(answer.reservations[0].owner_id, text(" 1\r\n2 "));
}
