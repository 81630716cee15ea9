//! What an owner changes takes effect in the safe order, and nothing else is touched.

use std::time::Duration;

use integration::Result;
use integration::eventually::eventually;
use integration::intercept::When;
use integration::world::{NODE_LABEL, NewNode, Node, World, annotation, external_ips};
use tokio::time::Instant;

const DOMAIN: &str = "external-ips-test.my-org.com.";
const NAME: &str = "udp-server.external-ips-test.my-org.com.";

/// The node with private address 10.0.0.N and public address 203.0.113.N.
async fn node(world: &World, number: u8) -> Result<Node> {
    let new = NewNode::default().private(&format!("10.0.0.{number}")).public(&format!("203.0.113.{number}"));
    world.node(&format!("n{number}"), new.label("role", &format!("r{number}"))).await
}

/// The writes since a mark, each begun after the one before was answered.
fn one_after_the_other(world: &World, mark: usize) -> Vec<String> {
    let writes = world.proxy.writes_since(mark);
    for pair in writes.windows(2) {
        let (answered, status, _) = pair[0].answered.unwrap();
        assert!(status == 200 && answered <= pair[1].came, "{} came too early", pair[1].summary());
    }
    world.proxy.summaries_since(mark)
}

async fn published(world: &World) -> Result<Vec<String>> {
    Ok(external_ips(&world.service("udp-server").await?))
}

/// How many rules the group of a node has, and whether it is attached; `None` without a group.
async fn firewall(world: &World, node: &Node) -> Result<Option<(usize, bool)>> {
    let Some(group) = world.group_of(node).await? else { return Ok(None) };
    Ok(Some((group.rules.len(), world.groups_on(node).await?.contains(&group.id))))
}

#[tokio::test]
async fn a_change_of_ports_opens_the_new_one_before_it_closes_the_old() -> Result<()> {
    let world = World::new().await?;
    node(&world, 11).await?;
    let _daemon = world.start("one").await?;
    world.apply(world.example()?).await?;
    world.synced("udp-server").await?;
    let mark = world.proxy.mark();
    world.apply(world.example()?.port("UDP", 7000)).await?;
    let expected =
        ["AuthorizeSecurityGroupIngress udp/7000 from 0.0.0.0/0", "RevokeSecurityGroupIngress udp/6315 from 0.0.0.0/0"];
    let writes = || async { Ok(one_after_the_other(&world, mark)) };
    eventually("both rules are written", writes, |writes| writes.len() >= 2).await?;
    // One more port beside it is one more rule.
    let told = world.apply(world.example()?.ports(&[("UDP", 7000), ("TCP", 7000)])).await?;
    assert_eq!(external_ips(&told), ["10.0.0.11"]);
    let writes = eventually("the second port is open", writes, |writes| writes.len() >= 3).await?;
    assert_eq!(writes[..2], expected);
    assert_eq!(writes[2..], ["AuthorizeSecurityGroupIngress tcp/7000 from 0.0.0.0/0"]);
    Ok(())
}

#[tokio::test]
async fn a_change_of_source_ranges_lets_the_new_ones_in_before_it_shuts_the_old_ones_out() -> Result<()> {
    let world = World::new().await?;
    node(&world, 11).await?;
    let _daemon = world.start("one").await?;
    world.apply(world.example()?).await?;
    world.synced("udp-server").await?;
    let mark = world.proxy.mark();
    world.annotate("udp-server", "source-ranges", Some("198.51.100.0/24, 2001:db8::/32")).await?;
    let writes = || async { Ok(one_after_the_other(&world, mark)) };
    let writes = eventually("the rules are changed", writes, |writes| writes.len() >= 2).await?;
    let expected = [
        "AuthorizeSecurityGroupIngress udp/6315 from 198.51.100.0/24, udp/6315 from 2001:db8::/32",
        "RevokeSecurityGroupIngress udp/6315 from 0.0.0.0/0",
    ];
    assert_eq!(writes, expected);
    Ok(())
}

#[tokio::test]
async fn a_change_of_the_ttl_writes_the_record_and_its_twin_and_nothing_else() -> Result<()> {
    let world = World::new().await?;
    node(&world, 11).await?;
    let _daemon = world.start("one").await?;
    world.apply(world.example()?).await?;
    world.synced("udp-server").await?;
    let mark = world.proxy.mark();
    world.annotate("udp-server", "ttl", Some("2m")).await?;
    let new = |records: &Vec<integration::aws::Record>| records.iter().all(|record| record.ttl == 120);
    eventually("the new TTL", || world.records(), new).await?;
    let expected = format!(
        "ChangeResourceRecordSets DELETE A {NAME} 60 [203.0.113.11], DELETE TXT a-{NAME} 60, \
         CREATE A {NAME} 120 [203.0.113.11], CREATE TXT a-{NAME} 120"
    );
    assert_eq!(world.proxy.summaries_since(mark), [expected]);
    Ok(())
}

#[tokio::test]
async fn a_change_of_the_hostname_publishes_the_new_name_before_the_old_one_goes() -> Result<()> {
    let world = World::new().await?;
    node(&world, 11).await?;
    let _daemon = world.start("one").await?;
    world.apply(world.example()?).await?;
    world.synced("udp-server").await?;
    let mark = world.proxy.mark();
    let mut second = world.proxy.hold("ChangeResourceRecordSets", 2, When::Before);
    world.annotate("udp-server", "hostname", Some(&format!("new.{DOMAIN}"))).await?;
    second.holds_one().await?;
    assert_eq!(world.addresses_of(&format!("new.{DOMAIN}")).await?, ["203.0.113.11"]);
    assert_eq!(world.addresses_of(NAME).await?, ["203.0.113.11"]);
    assert_eq!(published(&world).await?, ["10.0.0.11"]);
    second.release();
    eventually("the old name is gone", || world.records(), |records| records.len() == 2).await?;
    let expected = [
        format!("ChangeResourceRecordSets CREATE A new.{DOMAIN} 60 [203.0.113.11], CREATE TXT a-new.{DOMAIN} 60"),
        format!("ChangeResourceRecordSets DELETE A {NAME} 60 [203.0.113.11], DELETE TXT a-{NAME} 60"),
    ];
    assert_eq!(one_after_the_other(&world, mark), expected);
    Ok(())
}

#[tokio::test]
async fn more_maxips_adds_and_leaves_alone_what_serves() -> Result<()> {
    let world = World::new().await?;
    let (one, two) = (node(&world, 11).await?, node(&world, 12).await?);
    let _daemon = world.start("one").await?;
    world.apply(world.example()?.max_ips(1)).await?;
    let service = world.synced("udp-server").await?;
    let (first, second) = if external_ips(&service) == ["10.0.0.11"] { (one, two) } else { (two, one) };
    let mark = world.proxy.mark();
    world.annotate("udp-server", "maxips", Some("2")).await?;
    eventually("both serve", || published(&world), |published| published.len() == 2).await?;
    let id = &second.instance.id;
    let expected = [
        format!("CreateSecurityGroup {id}"),
        "AuthorizeSecurityGroupIngress udp/6315 from 0.0.0.0/0".to_owned(),
        format!("ModifyInstanceAttribute {id}"),
        format!(
            "ChangeResourceRecordSets DELETE A {NAME} 60 [{}], DELETE TXT a-{NAME} 60, \
             CREATE A {NAME} 60 [203.0.113.11, 203.0.113.12], CREATE TXT a-{NAME} 60",
            first.public()?
        ),
    ];
    assert_eq!(one_after_the_other(&world, mark), expected, "the twin says nothing of addresses, so it stays");
    Ok(())
}

#[tokio::test]
async fn fewer_maxips_withdraws_in_the_safe_order() -> Result<()> {
    let world = World::new().await?;
    let (one, two) = (node(&world, 11).await?, node(&world, 12).await?);
    let _daemon = world.start("one").await?;
    world.apply(world.example()?.annotation("ttl", "1")).await?;
    world.synced("udp-server").await?;
    let both = ["10.0.0.11", "10.0.0.12"];
    let mark = world.proxy.mark();

    // The record first.
    let mut change = world.proxy.hold("ChangeResourceRecordSets", 1, When::Before);
    let mut revoke = world.proxy.hold("RevokeSecurityGroupIngress", 1, When::Before);
    let mut detach = world.proxy.hold("ModifyInstanceAttribute", 1, When::Before);
    let mut delete = world.proxy.hold("DeleteSecurityGroup", 1, When::Before);
    world.annotate("udp-server", "maxips", Some("1")).await?;
    change.holds_one().await?;
    assert_eq!(published(&world).await?, both);
    let before_the_answer = Instant::now();
    change.release();

    // Then the addresses, when nobody can have the old answer any more: TTL and propagation, 1 s each.
    let left = eventually("an address leaves", || published(&world), |published| published.len() == 1).await?;
    assert!(before_the_answer.elapsed() >= Duration::from_secs(2), "{:?}", before_the_answer.elapsed());
    let (stays, leaves) = if left == ["10.0.0.11"] { (&one, &two) } else { (&two, &one) };
    assert_eq!(world.addresses_of(NAME).await?, [stays.public()?]);

    // Then the rule, then the group.
    revoke.holds_one().await?;
    assert_eq!(firewall(&world, leaves).await?, Some((1, true)));
    revoke.release();
    detach.holds_one().await?;
    assert_eq!(firewall(&world, leaves).await?, Some((0, true)));
    detach.release();
    delete.holds_one().await?;
    assert_eq!(firewall(&world, leaves).await?, Some((0, false)));
    delete.release();
    eventually("its group is gone", || firewall(&world, leaves), Option::is_none).await?;

    assert_eq!(firewall(&world, stays).await?, Some((1, true)));
    let id = &leaves.instance.id;
    let expected = [
        format!(
            "ChangeResourceRecordSets DELETE A {NAME} 1 [203.0.113.11, 203.0.113.12], DELETE TXT a-{NAME} 1, \
             CREATE A {NAME} 1 [{}], CREATE TXT a-{NAME} 1",
            stays.public()?
        ),
        "RevokeSecurityGroupIngress udp/6315 from 0.0.0.0/0".to_owned(),
        format!("ModifyInstanceAttribute {id}"),
        "DeleteSecurityGroup".to_owned(),
    ];
    assert_eq!(one_after_the_other(&world, mark), expected);
    let service = world.synced("udp-server").await?;
    assert_eq!(annotation(&service, "assigned"), Some(stays.private()?));
    assert_eq!(annotation(&service, "addresses"), Some(stays.public()?));
    Ok(())
}

#[tokio::test]
async fn a_change_of_the_selector_serves_on_new_nodes_before_old_ones_leave() -> Result<()> {
    let world = World::new().await?;
    let (old, new) = (node(&world, 11).await?, node(&world, 12).await?);
    let selector = |role: &str| format!("role={role},{NODE_LABEL}={}", world.node_group);
    let _daemon = world.start("one").await?;
    world.apply(world.example()?.annotation("ttl", "1").annotation("selector", &selector("r11"))).await?;
    world.synced("udp-server").await?;
    let mark = world.proxy.mark();
    let mut change = world.proxy.hold("ChangeResourceRecordSets", 1, When::Before);
    let mut revoke = world.proxy.hold("RevokeSecurityGroupIngress", 1, When::Before);
    world.annotate("udp-server", "selector", Some(&selector("r12"))).await?;

    change.holds_one().await?;
    assert_eq!(firewall(&world, &new).await?, Some((1, true)), "open before it is published");
    assert_eq!(published(&world).await?, ["10.0.0.11"]);
    change.release();
    revoke.holds_one().await?;
    assert_eq!(world.addresses_of(NAME).await?, ["203.0.113.12"]);
    assert_eq!(published(&world).await?, ["10.0.0.12"]);
    assert_eq!(firewall(&world, &old).await?, Some((1, true)), "open until nobody comes there any more");
    revoke.release();
    eventually("the old group is gone", || firewall(&world, &old), Option::is_none).await?;

    let (old, new) = (&old.instance.id, &new.instance.id);
    let expected = [
        format!("CreateSecurityGroup {new}"),
        "AuthorizeSecurityGroupIngress udp/6315 from 0.0.0.0/0".to_owned(),
        format!("ModifyInstanceAttribute {new}"),
        format!(
            "ChangeResourceRecordSets DELETE A {NAME} 1 [203.0.113.11], DELETE TXT a-{NAME} 1, \
             CREATE A {NAME} 1 [203.0.113.12], CREATE TXT a-{NAME} 1"
        ),
        "RevokeSecurityGroupIngress udp/6315 from 0.0.0.0/0".to_owned(),
        format!("ModifyInstanceAttribute {old}"),
        "DeleteSecurityGroup".to_owned(),
    ];
    assert_eq!(one_after_the_other(&world, mark), expected);
    Ok(())
}
