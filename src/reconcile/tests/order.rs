//! The order of what is done, at all places together.

use super::world::World;
use crate::cluster::tests::world::{asking, instance, secs};
use serde_json::json;

const HOSTNAME: &str = "external-ips.alpha.openfresh.github.io/hostname";

/// Where a line stands in the journal, the first time.
fn at(journal: &[String], part: &str) -> usize {
    journal.iter().position(|line| line.starts_with(part)).unwrap_or_else(|| panic!("no {part} in {journal:#?}"))
}

fn last(journal: &[String], part: &str) -> usize {
    journal.iter().rposition(|line| line.starts_with(part)).unwrap_or_else(|| panic!("no {part} in {journal:#?}"))
}

fn in_order(journal: &[String], parts: &[&str]) {
    for pair in parts.windows(2) {
        assert!(last(journal, pair[0]) < at(journal, pair[1]), "{pair:?} in {journal:#?}");
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_exposure_goes_all_the_way_in_the_safe_order() {
    let world = World::new(2, &[asking("quake")]);
    let _process = world.process("a").run();
    world.until("it is told", || world.api.events("quake").contains(&"Synced".to_owned())).await;
    let journal = world.journal();
    in_order(
        &journal,
        &[
            "ListResourceRecordSets",
            "DryRun games/quake 200",
            "CreateSecurityGroup",
            "AuthorizeSecurityGroupIngress",
            "ModifyInstanceAttribute",
            "ChangeResourceRecordSets",
            "Apply games/quake 200",
            "Status games/quake 200",
            "Event Synced",
        ],
    );
    let count = |part: &str| journal.iter().filter(|line| line.starts_with(part)).count();
    assert_eq!((count("CreateSecurityGroup"), count("ChangeResourceRecordSets"), count("Apply")), (2, 1, 1));
    assert_eq!(world.ips("quake"), json!(["10.0.0.1", "10.0.0.2"]));
    assert_eq!(world.aws.values("Z1", "quake.example.com.", "A").unwrap(), ["203.0.113.1", "203.0.113.2"]);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_service_that_asks_no_more_leaves_dns_and_its_addresses_before_its_ports_are_closed() {
    let world = World::new(1, &[asking("quake")]);
    let _process = world.converged(&["quake"]).await;
    world.api.edit(|objects| {
        objects.change("services", "games", "quake", |service| {
            service["metadata"]["annotations"].as_object_mut().unwrap().remove(HOSTNAME);
        });
    });
    world.until("the group is gone", || world.aws.state().ec2.groups.len() == 1).await;
    let journal = world.journal();
    for before in ["ChangeResourceRecordSets", "Apply games/quake"] {
        for after in ["RevokeSecurityGroupIngress", "ModifyInstanceAttribute", "DeleteSecurityGroup"] {
            if journal.iter().any(|line| line == after) {
                in_order(&journal, &[before, after]);
            }
        }
    }
    assert!(world.ips("quake").is_null() && world.condition("quake").is_null());
    assert_eq!(world.aws.values("Z1", "quake.example.com.", "A"), None);
    assert_eq!(world.aws.vm(&instance(1), |vm| vm.groups.clone()), ["sg-nodes"]);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn nothing_is_closed_before_the_lease_tells_of_it() {
    for reachable in [true, false] {
        let world = World::new(1, &[asking("quake")]);
        let _process = world.converged(&["quake"]).await;
        world.api.edit(|objects| {
            objects.change("services", "games", "quake", |service| {
                service["metadata"]["annotations"].as_object_mut().unwrap().remove(HOSTNAME);
            });
        });
        let note =
            || world.leases.lease()["metadata"]["annotations"]["external-ips.alpha.openfresh.github.io/closes"].clone();
        world.until("it isn't published", || world.ips("quake").is_null()).await;
        assert!(note().is_null());
        if reachable {
            world.until("it is closed", || world.sent("RevokeSecurityGroupIngress") == 1).await;
            assert!(note().as_str().is_some_and(|groups| groups.starts_with("sg-")), "{}", note());
        } else {
            world.leases.cut("a");
            world.pass(secs(120)).await;
            assert_eq!(world.sent("RevokeSecurityGroupIngress"), 0);
        }
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_that_leaves_a_service_is_drained_before_it_is_closed() {
    let world = World::new(2, &[asking("quake")]);
    let _process = world.converged(&["quake"]).await;
    world.api.edit(|objects| {
        objects.change("services", "games", "quake", |service| {
            service["metadata"]["annotations"]["external-ips.alpha.openfresh.github.io/maxips"] = json!("1");
        });
    });
    world.until("the record is changed", || world.sent("ChangeResourceRecordSets") == 2).await;
    // 60 s TTL and 60 s until the last of Route 53's servers has it.
    world.pass(secs(115)).await;
    assert_eq!(world.ips("quake").as_array().unwrap().len(), 2);
    assert_eq!(world.sent("RevokeSecurityGroupIngress"), 0);
    world.until("the group is gone", || world.aws.state().ec2.groups.len() == 2).await;
    let journal = world.journal();
    in_order(&journal, &["ChangeResourceRecordSets", "Apply games/quake"]);
    let closed = ["RevokeSecurityGroupIngress", "ModifyInstanceAttribute", "DeleteSecurityGroup"];
    for after in closed.iter().filter(|line| journal.iter().any(|l| l == *line)) {
        in_order(&journal, &["Apply games/quake", after]);
    }
    assert_eq!(world.ips("quake").as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn nothing_is_opened_for_addresses_that_admission_refuses() {
    use crate::cluster::tests::api::{Fault, Verb, status};
    let world = World::new(1, &[asking("quake")]);
    let denied = status(403, "Forbidden", "Use of external IPs is denied by admission control");
    world.api.fault(Verb::DryRun, "quake", usize::MAX, Fault::Answer(403, denied));
    let _process = world.process("a").run();
    world.until("it is told", || world.condition("quake")["reason"] == "ExternalIPsForbidden").await;
    world.pass(secs(3600)).await;
    let changes = world.changes();
    assert!(changes.iter().all(|line| line.starts_with("Status")), "{changes:?}");
    assert!(world.condition("quake")["message"].as_str().unwrap().contains("denied by admission control"));
}
