//! What several of these tests do and look at.

use std::collections::BTreeMap;

use integration::aws::Rule;
use integration::daemon::{Daemon, LogLine, NewDaemon};
use integration::eventually::eventually;
use integration::recording_proxy::AwsCall;
use integration::world::{Node, World, annotation, condition, external_ips};
use integration::{Context, Result};
use k8s_openapi::api::core::v1::Service;

/// The example's name and hostname.
pub(super) const EXAMPLE: &str = "udp-server";
pub(super) const EXAMPLE_HOST: &str = "udp-server.external-ips-test.my-org.com.";

/// Who holds the Lease; empty: nobody.
pub(super) async fn holder(world: &World) -> Result<String> {
    let lease = world.leases().get_opt("external-ips").await?;
    Ok(lease.and_then(|lease| lease.spec?.holder_identity).unwrap_or_default())
}

/// The shortest Lease, for tests that wait for its end.
pub(super) fn short_lease(daemon: NewDaemon) -> NewDaemon {
    daemon.flag("lease-duration", "5s")
}

/// A daemon of the world that leads at once.
pub(super) async fn leader(world: &World) -> Result<Daemon> {
    world.released_lease().await?;
    let daemon = world.daemon("one").await?.start().await?;
    leads(&daemon).await?;
    Ok(daemon)
}

/// Waits until a daemon has taken the Lease.
pub(super) async fn leads(daemon: &Daemon) -> Result<LogLine> {
    daemon.wait_for_log("that it leads", |line| line.message() == "leads now").await
}

/// Whether a daemon says in its metrics that it leads.
pub(super) async fn says_it_leads(daemon: &Daemon) -> Result<bool> {
    let (_, metrics) = daemon.get("/metrics").await?;
    let line = metrics.lines().find(|line| line.starts_with("leader_election_master_status{"));
    Ok(line.context("no metric leader_election_master_status")?.ends_with(" 1"))
}

/// Waits until `/readyz` says yes.
pub(super) async fn is_ready(daemon: &Daemon) -> Result<()> {
    let name = daemon.name();
    eventually(format!("{name} is ready"), || daemon.get("/readyz"), |(status, _)| *status == 200).await.map(drop)
}

/// Whether the replica `name` made a call.
pub(super) fn by(call: &AwsCall, name: &str) -> bool {
    call.access_key.as_deref() == Some(&*format!("AKIA-{name}"))
}

/// Waits for a condition of a Service with a status and a reason.
pub(super) async fn told(world: &World, service: &str, status: &str, reason: &str) -> Result<Service> {
    eventually(
        format!("{service} has Ready={status} with {reason}"),
        || world.service(service),
        |service| condition(service).is_some_and(|found| found.status == status && found.reason == reason),
    )
    .await
}

/// Waits until a Service is all as asked for.
pub(super) async fn synced(world: &World, service: &str) -> Result<Service> {
    told(world, service, "True", "Synced").await
}

/// The message of a Service's condition.
pub(super) fn message(service: &Service) -> &str {
    condition(service).map(|condition| &*condition.message).unwrap_or_default()
}

/// Waits until the example, and nothing else of ours, is exposed on exactly these nodes: groups, rules,
/// attachments, records and addresses.
pub(super) async fn example_alone_on(world: &World, nodes: &[&Node], port: u16) -> Result<()> {
    let mut privates = Vec::new();
    let mut publics = Vec::new();
    let mut groups = BTreeMap::new();
    for node in nodes {
        privates.push(node.private()?.to_owned());
        publics.push(node.public()?.to_owned());
        let name = format!("external-ips/{}/{}", world.cluster_name, node.instance.id);
        groups.insert(name, vec![Rule::new("udp", port, "0.0.0.0/0")]);
    }
    privates.sort();
    publics.sort();
    let twin = format!("a-{EXAMPLE_HOST}");
    let records = vec![(twin, "TXT".to_owned()), (EXAMPLE_HOST.to_owned(), "A".to_owned())];
    let wanted = (privates, publics, groups, records);
    let look = || async {
        let addresses = external_ips(&world.service(EXAMPLE).await?);
        let listed = world.addresses_of(EXAMPLE_HOST).await?;
        let mut groups = BTreeMap::new();
        for group in world.owned_groups().await? {
            let mut rules = group.rules;
            rules.iter_mut().for_each(|rule| rule.description.clear());
            groups.insert(group.name, rules);
        }
        let records = world.records().await?;
        let records: Vec<_> = records.into_iter().map(|record| (record.name, record.kind)).collect();
        Ok((addresses, listed, groups, records))
    };
    eventually(format!("the example is exposed as it should be: {wanted:#?}"), look, |seen| *seen == wanted).await?;
    let owned = world.owned_groups().await?;
    for node in nodes {
        let name = format!("external-ips/{}/{}", world.cluster_name, node.instance.id);
        let ours = owned.iter().find(|group| group.name == name).context("its group")?;
        let mut expected = vec![world.network.default_group.clone(), ours.id.clone()];
        expected.sort();
        let interface = node.instance.primary_interface()?;
        assert_eq!(world.aws.interface_groups(&interface.id).await?, expected);
    }
    Ok(())
}

/// Waits until nothing of ours is left: no group, no attachment, no record, no address, no annotation, no condition.
pub(super) async fn nothing_is_left(world: &World, nodes: &[&Node]) -> Result<()> {
    let look = || async {
        let mut left = Vec::new();
        left.extend(world.owned_groups().await?.into_iter().map(|group| format!("group {}", group.name)));
        left.extend(world.records().await?.into_iter().map(|record| format!("record {} {}", record.name, record.kind)));
        for node in nodes {
            let groups = world.aws.interface_groups(&node.instance.primary_interface()?.id).await?;
            if groups != [world.network.default_group.clone()] {
                left.push(format!("groups of {}: {groups:?}", node.name));
            }
        }
        for service in world.services().list(&Default::default()).await? {
            let name = service.metadata.name.clone().unwrap_or_default();
            left.extend(external_ips(&service).into_iter().map(|address| format!("{address} on {name}")));
            left.extend(annotation(&service, "assigned").map(|value| format!("assigned {value} on {name}")));
            left.extend(annotation(&service, "addresses").map(|value| format!("addresses {value} on {name}")));
            left.extend(condition(&service).map(|condition| format!("condition {condition:?} on {name}")));
        }
        Ok(left)
    };
    eventually("nothing of ours is left", look, Vec::is_empty).await.map(drop)
}

/// It runs, and wrote nothing but its log: a panic would show here.
pub(super) fn is_well(daemon: &Daemon) -> Result<()> {
    assert_eq!(daemon.ended()?, None, "{} has ended:\n{}", daemon.name(), daemon.output()?);
    assert_eq!(daemon.other_output()?, Vec::<String>::new());
    Ok(())
}
