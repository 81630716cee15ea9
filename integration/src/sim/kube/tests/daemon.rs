//! The daemon's own modules against this server.

use std::sync::Arc;
use std::time::Duration;

use external_ips::clock::{SharedClock, SharedRandom};
use external_ips::cluster::{Class, Cluster, EventKind};
use external_ips::expose::plan::Publication;
use external_ips::expose::{Condition, FieldOwner, PrivateIp, PublicIp, ServiceKey};
use external_ips::leader::{Elector, LeaseSettings};
use serde_json::json;

use super::kit::{kube, make, uid};
use crate::sim::event::{Actor, Creator};
use crate::sim::kube::{Kube, Resource, User, deny_external_ips};
use crate::sim::{Random, Stage};

fn log() -> slog::Logger {
    slog::Logger::root(slog::Discard, slog::o!())
}

fn cluster(stage: &Stage, kube: &Kube) -> Arc<Cluster> {
    let clock: SharedClock = Arc::new(stage.clock.off_by(0));
    let random: SharedRandom = Arc::new(Random::new(7));
    let every = std::time::Duration::from_secs(600);
    let cluster = Cluster::new(kube.client(User::daemon(1)), None, "one", every, clock, random, log());
    tokio::spawn(cluster.clone().run());
    cluster
}

fn key(name: &str) -> ServiceKey {
    ServiceKey::new("default", name)
}

fn publication(service: &serde_json::Value, address: &str) -> Publication {
    Publication {
        service: key(service["metadata"]["name"].as_str().unwrap()),
        uid: uid(service).to_owned(),
        private_ips: vec![PrivateIp(address.parse().unwrap())],
        public_ips: vec![PublicIp("203.0.113.7".parse().unwrap())],
        take_over: false,
    }
}

async fn settle() {
    tokio::time::sleep(Duration::from_secs(2)).await;
}

#[tokio::test(start_paused = true)]
async fn the_daemon_sees_services_nodes_and_endpoints() {
    let (stage, kube) = kube();
    let cluster = cluster(&stage, &kube);
    make(&kube, "web");
    let person = kube.by(Actor::Person);
    let node = json!({"metadata": {"name": "n1"}, "spec": {"providerID": "aws:///a/i-1"}});
    person.create(Resource::Nodes, node).unwrap();
    person.set_ready("n1", true).unwrap();
    person.set_addresses("n1", &[("InternalIP", "10.0.0.1")]).unwrap();
    settle().await;
    let snapshot = cluster.snapshot().unwrap();
    assert!(snapshot.services.contains_key(&key("web")));
    let node = &snapshot.nodes["n1"];
    assert!(node.ready);
    assert!(node.addresses.contains("10.0.0.1"));
    kube.by(Actor::Person).delete(Resource::Services, "default", "web").unwrap();
    settle().await;
    assert!(!cluster.snapshot().unwrap().services.contains_key(&key("web")));
    assert_eq!(cluster.counters().read(), []);
}

#[tokio::test(start_paused = true)]
async fn the_daemon_publishes_and_takes_back() {
    let (stage, kube) = kube();
    let cluster = cluster(&stage, &kube);
    let made = make(&kube, "web");
    settle().await;
    let publication = publication(&made, "10.0.0.1");
    cluster.try_publication(&publication).await.unwrap();
    let addresses = |kube: &Kube| kube.look(|look| look.service("default", "web").unwrap().external_ips.clone());
    assert_eq!(addresses(&kube), []);
    cluster.publish(&publication).await.unwrap();
    assert_eq!(addresses(&kube), [("10.0.0.1".to_owned(), Creator::Us)]);
    assert_eq!(cluster.snapshot().unwrap().services[&key("web")].external_ips_owner, FieldOwner::Us);
    let condition = Condition { ready: true, reason: "Synced".into(), message: "all is well".into() };
    cluster.set_condition(&key("web"), uid(&made), Some(&condition)).await.unwrap();
    cluster.event(&key("web"), uid(&made), EventKind::Normal, "Synced", "Sync", "all is well").await.unwrap();
    kube.look(|look| {
        let service = look.service("default", "web").unwrap();
        assert_eq!(service.conditions.len(), 1);
        assert_eq!(service.conditions[0].reason, "Synced");
        assert_eq!(service.annotations["external-ips.alpha.openfresh.github.io/assigned"], "10.0.0.1");
        assert_eq!(look.events("default", "web"), [("Synced".to_owned(), "all is well".to_owned())]);
    });
    cluster.set_condition(&key("web"), uid(&made), None).await.unwrap();
    cluster.release(&key("web"), uid(&made)).await.unwrap();
    kube.look(|look| {
        let service = look.service("default", "web").unwrap();
        assert!(service.conditions.is_empty());
        assert!(service.annotations.is_empty());
        assert!(service.external_ips.is_empty());
    });
    let read = kube.by(Actor::Person).read(Resource::Services, "default", "web").unwrap();
    let managers = read["metadata"]["managedFields"].as_array().unwrap();
    assert!(managers.iter().all(|entry| entry["manager"] == "kubectl"), "{managers:#?}");
}

#[tokio::test(start_paused = true)]
async fn the_daemon_is_told_what_stands_in_its_way() {
    let (stage, kube) = kube();
    let cluster = cluster(&stage, &kube);
    let made = make(&kube, "web");
    settle().await;
    let publication = publication(&made, "10.0.0.1");
    kube.by(Actor::Person).as_manager("kubectl-edit").set_external_ips("default", "web", &["10.0.0.9"]).unwrap();
    let error = cluster.publish(&publication).await.unwrap_err();
    assert_eq!(error.class, Class::FieldConflict { managers: vec!["kubectl-edit".into()] });
    kube.by(Actor::Person).set_external_ips("default", "web", &[]).unwrap();
    kube.add_hook("deny", deny_external_ips());
    let error = cluster.try_publication(&publication).await.unwrap_err();
    assert_eq!(error.class, Class::Refused);
    assert!(error.message.contains("Use of external IPs is denied by admission control"), "{error}");
    kube.remove_hook("deny");
    kube.by(Actor::Person).delete(Resource::Services, "default", "web").unwrap();
    assert_eq!(cluster.publish(&publication).await.unwrap_err().class, Class::NotFound);
    make(&kube, "web");
    // Another uid: it isn't refused, it is another Service now.
    assert_eq!(cluster.publish(&publication).await.unwrap_err().class, Class::Changed);
}

#[tokio::test(start_paused = true)]
async fn the_daemon_takes_a_list_of_2018_over_and_gives_it_back() {
    let (stage, kube) = kube();
    let cluster = cluster(&stage, &kube);
    let made = make(&kube, "web");
    let old = kube.by(Actor::Replica(0)).as_manager("external-ips");
    old.set_external_ips("default", "web", &["10.0.0.8"]).unwrap();
    settle().await;
    assert_eq!(cluster.snapshot().unwrap().services[&key("web")].external_ips_owner, FieldOwner::Legacy);
    let mut publication = publication(&made, "10.0.0.1");
    publication.take_over = true;
    cluster.publish(&publication).await.unwrap();
    cluster.release(&key("web"), uid(&made)).await.unwrap();
    assert!(kube.look(|look| look.service("default", "web").unwrap().external_ips.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn two_replicas_hand_the_lease_over() {
    let (stage, kube) = kube();
    let mut fences = Vec::new();
    let mut stops = Vec::new();
    for replica in [1, 2] {
        let settings = LeaseSettings::new("external-ips", "external-ips", format!("replica-{replica}"));
        let random: SharedRandom = Arc::new(Random::new(replica));
        let clock: SharedClock = Arc::new(stage.clock.off_by(if replica == 1 { 60 } else { -60 }));
        let client = kube.client_in(User::daemon(u32::try_from(replica).unwrap()), "external-ips");
        let elector = Elector::new(client, settings, clock, random, log()).unwrap();
        fences.push(elector.fence());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        stops.push(stop);
        tokio::spawn(elector.run(|| Duration::ZERO, async {
            let _ = stopped.await;
        }));
    }
    tokio::time::sleep(Duration::from_secs(40)).await;
    let leader = usize::from(!fences[0].is_leader());
    assert!(fences[leader].is_leader() && !fences[1 - leader].is_leader());
    let before = stage.clock.now();
    stops.remove(leader).send(()).unwrap();
    fences[1 - leader].writable().await;
    assert!(stage.clock.now() - before < Duration::from_millis(200), "{:?}", stage.clock.now() - before);
    kube.look(|look| {
        let lease = look.lease("external-ips", "external-ips").unwrap();
        assert_eq!(lease.holder, format!("replica-{}", 2 - leader));
        let writes = look.lease_writes();
        assert!(writes.len() > 15);
        assert!(writes.iter().any(|write| write.holder.is_empty()));
        assert!(writes.iter().all(|write| matches!(write.actor, Actor::Replica(_)) && write.sent <= write.accepted));
    });
}
