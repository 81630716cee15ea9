//! Groups, what they are attached to, and instances.

use aws_api::ec2;

use super::ground::{Ground, filter};

const MISSING_GROUP: &str = "sg-0123456789abcdef0";
const MISSING_INSTANCE: &str = "i-0123456789abcdef0";

fn delete(id: &str) -> ec2::DeleteSecurityGroup {
    ec2::DeleteSecurityGroup { group_id: Some(id.into()), ..Default::default() }
}

pub const GROUPS: &str = "\
create: done
create again: 400 InvalidGroup.Duplicate
the group: g1 in the VPC, external-ips/c1=owned, 0 rules in, 1 out
by tag: 1
by name and VPC: 1
by another name: 0
by a wildcard: 1
by a filter that there isn't: 400 InvalidParameterValue
by an id that isn't there: 400 InvalidGroup.NotFound
by a bad id: 400 InvalidGroupId.Malformed
tag: done
its tags: external-ips/c1=owned, k=v
delete: done
delete again: 400 InvalidGroup.NotFound
delete the default group: 400 CannotDelete
create a name of other letters: 400 InvalidParameterValue
create with a description of other letters: 400 InvalidParameterValue
create in a VPC that isn't there: 400 InvalidVpcID.NotFound
create as default: 400 InvalidGroup.Reserved
";

pub async fn groups(ground: &mut Ground) {
    let create = ground.create("g1");
    let id = ground.step("create", &create).await.unwrap().group_id.unwrap();
    ground.step("create again", &create).await;
    let by = |filters| ec2::DescribeSecurityGroups { filters, ..Default::default() };
    let ids = |id: &str| ec2::DescribeSecurityGroups { group_ids: vec![id.into()], ..Default::default() };
    let group = ground.get(&ids(&id)).await.security_groups.remove(0);
    let place = if group.vpc_id.as_ref() == Some(&ground.vpc) { "the VPC" } else { "another VPC" };
    let what = format!(
        "{} in {place}, {}, {} rules in, {} out",
        group.group_name.unwrap(),
        tags(&group.tags),
        group.ip_permissions.len(),
        group.ip_permissions_egress.len()
    );
    ground.say("the group", what);
    let count = async |filters| ground.get(&by(filters)).await.security_groups.len();
    let vpc = ground.vpc.clone();
    let counts = [
        ("by tag", count(vec![filter("tag-key", &["external-ips/c1"])]).await),
        ("by name and VPC", count(vec![filter("group-name", &["g1"]), filter("vpc-id", &[&vpc])]).await),
        ("by another name", count(vec![filter("group-name", &["g3"])]).await),
        ("by a wildcard", count(vec![filter("group-name", &["g?"])]).await),
    ];
    counts.iter().for_each(|(label, count)| ground.say(label, count));
    ground.step("by a filter that there isn't", &by(vec![filter("colour", &["red"])])).await;
    ground.step("by an id that isn't there", &ids(MISSING_GROUP)).await;
    ground.step("by a bad id", &ids("group-1")).await;

    let tag = ec2::CreateTags {
        resources: vec![id.clone()],
        tags: vec![ec2::Tag { key: Some("k".into()), value: Some("v".into()) }],
        dry_run: None,
    };
    ground.step("tag", &tag).await;
    let tagged = tags(&ground.get(&ids(&id)).await.security_groups[0].tags);
    ground.say("its tags", tagged);
    ground.step("delete", &delete(&id)).await;
    ground.step("delete again", &delete(&id)).await;
    ground.step("delete the default group", &delete(&ground.default_group.clone())).await;
    ground.step("create a name of other letters", &ground.create("größe")).await;
    let other = ec2::CreateSecurityGroup { description: "größe".into(), ..ground.create("g2") };
    ground.step("create with a description of other letters", &other).await;
    let other = ec2::CreateSecurityGroup { vpc_id: Some("vpc-0123456789abcdef0".into()), ..ground.create("g2") };
    ground.step("create in a VPC that isn't there", &other).await;
    ground.step("create as default", &ground.create("default")).await;
}

fn tags(tags: &[ec2::Tag]) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let mut all: Vec<String> = tags.iter().map(|tag| format!("{}={}", text(&tag.key), text(&tag.value))).collect();
    all.sort();
    all.join(", ")
}

pub const ATTACHMENTS: &str = "\
attach to the instance: done
its groups: <g1> <g2>
as an attribute: <g1> <g2>
attach others, the list is replaced: done
its groups after that: <g1>
attach to an instance with two interfaces: 400 InvalidInstanceID
its groups are what they were: true
attach to its primary interface: done
its groups by then: <g1> <g2>
attach a group that isn't there: 400 InvalidGroup.NotFound
the groups are still: <g1> <g2>
attach to an instance that isn't there: 400 InvalidInstanceID.NotFound
attach to an interface that isn't there: 400 InvalidNetworkInterfaceID.NotFound
attach six: 400 SecurityGroupsPerInterfaceLimitExceeded
attach five: done
delete one that is attached: 400 DependencyViolation
";

pub async fn attachments(ground: &mut Ground) {
    let (g1, g2) = (ground.group("g1").await, ground.group("g2").await);
    ground.name(&ground.default_group.clone(), "<default>");
    let (single, double) = (ground.single.clone(), ground.double.clone());
    let instance = |id: &str, groups: &[&String]| ec2::ModifyInstanceAttribute {
        instance_id: id.into(),
        groups: groups.iter().map(|group| (*group).clone()).collect(),
        dry_run: None,
    };
    let interface = |id: &str, groups: &[&String]| ec2::ModifyNetworkInterfaceAttribute {
        network_interface_id: id.into(),
        groups: groups.iter().map(|group| (*group).clone()).collect(),
        dry_run: None,
    };
    ground.step("attach to the instance", &instance(&single, &[&g1, &g2])).await;
    let there = attached(ground, &single).await;
    ground.say("its groups", there);
    let attribute = ec2::DescribeInstanceAttribute {
        instance_id: single.clone(),
        attribute: ec2::InstanceAttributeName::GroupSet,
        dry_run: None,
    };
    let there = sorted(ground, ground.get(&attribute).await.groups);
    ground.say("as an attribute", there);
    ground.step("attach others, the list is replaced", &instance(&single, &[&g1])).await;
    let there = attached(ground, &single).await;
    ground.say("its groups after that", there);
    let before = attached(ground, &double).await;
    ground.step("attach to an instance with two interfaces", &instance(&double, &[&g1])).await;
    let same = attached(ground, &double).await == before;
    ground.say("its groups are what they were", same);
    let eni = ground.interface.clone();
    ground.step("attach to its primary interface", &interface(&eni, &[&g1, &g2])).await;
    let there = attached(ground, &double).await;
    ground.say("its groups by then", there);
    ground.step("attach a group that isn't there", &interface(&eni, &[&g1, &MISSING_GROUP.to_owned()])).await;
    let there = attached(ground, &double).await;
    ground.say("the groups are still", there);
    ground.step("attach to an instance that isn't there", &instance(MISSING_INSTANCE, &[&g1])).await;
    ground.step("attach to an interface that isn't there", &interface("eni-0123456789abcdef0", &[&g1])).await;
    let mut six = vec![g1.clone(), g2];
    for name in ["g3", "g4", "g5", "g6"] {
        six.push(ground.group(name).await);
    }
    let six: Vec<&String> = six.iter().collect();
    ground.step("attach six", &interface(&eni, &six)).await;
    ground.step("attach five", &interface(&eni, &six[..5])).await;
    ground.step("delete one that is attached", &delete(&g1)).await;
}

/// The groups of an instance's primary interface.
async fn attached(ground: &Ground, id: &str) -> String {
    let by_id = ec2::DescribeInstances { filters: vec![filter("instance-id", &[id])], ..Default::default() };
    let instance = ground.get(&by_id).await.reservations.remove(0).instances.remove(0);
    let primary = instance
        .network_interfaces
        .into_iter()
        .find(|interface| interface.attachment.as_ref().and_then(|attachment| attachment.device_index) == Some(0));
    sorted(ground, primary.unwrap().groups)
}

fn sorted(ground: &Ground, groups: Vec<ec2::GroupIdentifier>) -> String {
    let mut names: Vec<String> =
        groups.into_iter().filter_map(|group| group.group_id).map(|id| ground.named(&id)).collect();
    names.sort();
    names.dedup();
    names.join(" ")
}

pub const INSTANCES: &str = "\
by a filter with one that isn't there: 1
by ids with one that isn't there: 400 InvalidInstanceID.NotFound
by a bad id: 400 InvalidInstanceID.Malformed
by ids in pages: 400 InvalidParameterCombination
by a filter that there isn't: 400 InvalidParameterValue
by a filter of 201 values: 400 FilterLimitExceeded
pages of five: 5 1
pages of four: 400 InvalidParameterValue
a token that isn't one: 400 InvalidNextToken
with two interfaces: running, 2 interfaces, a public address: true, translated to the primary private one: true
";

pub async fn instances(ground: &mut Ground) {
    let (single, double) = (ground.single.clone(), ground.double.clone());
    let by = |filters| ec2::DescribeInstances { filters, ..Default::default() };
    let found = ground.get(&by(vec![filter("instance-id", &[&single, MISSING_INSTANCE])])).await.reservations.len();
    ground.say("by a filter with one that isn't there", found);
    let ids = |ids: &[&str]| ec2::DescribeInstances {
        instance_ids: ids.iter().map(|id| (*id).into()).collect(),
        ..Default::default()
    };
    ground.step("by ids with one that isn't there", &ids(&[&single, MISSING_INSTANCE])).await;
    ground.step("by a bad id", &ids(&["node-1"])).await;
    ground.step("by ids in pages", &ec2::DescribeInstances { max_results: Some(5), ..ids(&[&single]) }).await;
    ground.step("by a filter that there isn't", &by(vec![filter("colour", &["red"])])).await;
    let many: Vec<String> = (0..201).map(|number| format!("i-{number:017x}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    ground.step("by a filter of 201 values", &by(vec![filter("instance-id", &many)])).await;
    let page = |size| ec2::DescribeInstances { max_results: Some(size), ..Default::default() };
    let sizes: Vec<String> =
        ground.pages(page(5)).await.iter().map(|page| page.reservations.len().to_string()).collect();
    ground.say("pages of five", sizes.join(" "));
    assert_eq!(ground.others.len(), 4);
    ground.step("pages of four", &page(4)).await;
    ground.step("a token that isn't one", &ec2::DescribeInstances { next_token: Some("x".into()), ..page(5) }).await;
    let instance =
        ground.get(&by(vec![filter("instance-id", &[&double])])).await.reservations.remove(0).instances.remove(0);
    let primary = instance
        .network_interfaces
        .iter()
        .find(|interface| interface.private_ip_address == instance.private_ip_address);
    let public = primary.and_then(|primary| primary.association.as_ref()?.public_ip.clone());
    let what = format!(
        "{}, {} interfaces, a public address: {}, translated to the primary private one: {}",
        instance.state.unwrap().name.unwrap(),
        instance.network_interfaces.len(),
        instance.public_ip_address.is_some(),
        public == instance.public_ip_address
    );
    ground.say("with two interfaces", what);
}

pub const ASKING_FIRST: &str = "\
dry create: 412 DryRunOperation
nothing was made: 0
dry attach: 412 DryRunOperation
dry describe: 412 DryRunOperation
a wrong secret: AuthFailure
sixty unfiltered reads at once: throttled
";

pub async fn asking_first(ground: &mut Ground) {
    let dry = ec2::CreateSecurityGroup { dry_run: Some(true), ..ground.create("g1") };
    ground.step("dry create", &dry).await;
    let by_name = ec2::DescribeSecurityGroups { filters: vec![filter("group-name", &["g1"])], ..Default::default() };
    let found = ground.get(&by_name).await.security_groups.len();
    ground.say("nothing was made", found);
    let attach = ec2::ModifyInstanceAttribute {
        instance_id: ground.single.clone(),
        groups: vec![ground.default_group.clone()],
        dry_run: Some(true),
    };
    ground.step("dry attach", &attach).await;
    ground.step("dry describe", &ec2::DescribeInstances { dry_run: Some(true), ..Default::default() }).await;
    let stranger = ground.stranger.send(&by_name).await.map_or_else(|error| error.code.unwrap(), |_| "done".into());
    ground.say("a wrong secret", stranger);
    let mut throttled = false;
    for _ in 0..60 {
        let read = ground.client.send(&ec2::DescribeSecurityGroups::default()).await;
        throttled |= read.is_err_and(|error| error.is("RequestLimitExceeded"));
    }
    ground.say("sixty unfiltered reads at once", if throttled { "throttled" } else { "done" });
}
