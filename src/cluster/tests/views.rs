//! What the core gets to see.

use super::api::{Api, Fault, Verb, status};
use super::world::{World, asking, key, millis, node, secs, slice};
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn no_snapshot_before_all_three_lists_are_complete() {
    for resource in ["/services", "/nodes", "/endpointslices"] {
        let world = World::new(&[asking("quake")]);
        world.api.fault(Verb::List, resource, 3, Fault::Answer(500, status(500, "InternalError", "no")));
        let failed = || world.api.calls_of(Verb::List, resource).len() == 3;
        world
            .until("it failed three times", || {
                assert!(!world.cluster.synced() && world.cluster.snapshot().is_none(), "{resource}");
                failed()
            })
            .await;
        world.until("the fourth list is complete", || world.cluster.synced()).await;
        assert_eq!(world.snapshot().services.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_view_of_one_resource_that_is_stale_makes_the_whole_stale() {
    for resource in ["/services", "/nodes", "/endpointslices"] {
        let world = World::new(&[asking("quake")]);
        world.api.fault(Verb::Watch, resource, usize::MAX, Fault::LostBefore);
        world.until("all is known", || world.cluster.synced()).await;
        world.api.fault(Verb::List, resource, usize::MAX, Fault::LostBefore);
        world.pass(secs(125)).await;
        assert!(world.cluster.snapshot().is_none(), "{resource}");
        assert!(!world.cluster.is_current(), "and it could not take over: {resource}");
        assert!(world.cluster.synced(), "what is stale was complete all the same");
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_namespace_that_is_served_is_asked_for() {
    let api = Api::new();
    let mut other = asking("doom");
    other["metadata"]["namespace"] = json!("others");
    api.edit(|objects| {
        objects.put("services", asking("quake"));
        objects.put("services", other);
        objects.put("nodes", node(1));
    });
    let world = World::within(api, Some("games")).settled().await;
    let snapshot = world.snapshot();
    assert_eq!(snapshot.services.keys().collect::<Vec<_>>(), [&key("quake")]);
    assert_eq!(snapshot.nodes.len(), 1, "nodes have no namespace");
    let namespaced = |call: &super::api::Call| call.path.contains("/namespaces/games/");
    assert!(world.api.calls().iter().all(|call| namespaced(call) || call.path == "/api/v1/nodes"));
}

#[tokio::test(start_paused = true)]
async fn local_traffic_sees_the_nodes_with_ready_endpoints_and_other_traffic_none() {
    let mut local = asking("quake");
    local["spec"]["externalTrafficPolicy"] = json!("Local");
    let mut alone = asking("hexen");
    alone["spec"]["externalTrafficPolicy"] = json!("Local");
    let world = World::ready(&[local, asking("doom"), alone]).await;
    world.api.edit(|objects| {
        let mut endpoints = slice("quake", &["node-1", "node-2"]);
        endpoints["endpoints"][1]["conditions"]["ready"] = json!(false);
        objects.put("endpointslices", endpoints);
        objects.put("endpointslices", slice("doom", &["node-2"]));
    });
    world.until("it is seen", || world.service("quake").local_nodes == Some(["node-1".to_owned()].into())).await;
    assert_eq!(world.service("doom").local_nodes, None);
    assert_eq!(world.service("hexen").local_nodes, Some([].into()));
}

#[tokio::test(start_paused = true)]
async fn a_service_is_told_which_of_its_endpoints_can_not_be_read() {
    let local = |name: &str| {
        let mut service = asking(name);
        service["spec"]["externalTrafficPolicy"] = json!("Local");
        service
    };
    let unsure = |world: &World| {
        let services = world.snapshot().services;
        let unsure = services.into_iter().filter(|(_, service)| service.unread_endpoints.is_some());
        unsure.map(|(key, _)| key.name).collect::<Vec<_>>()
    };
    let mut odd = slice("quake", &["node-1"]);
    odd["endpoints"] = json!("none");
    let world = World::ready(&[local("quake"), asking("doom"), local("hexen")]).await;
    world.api.edit(|objects| objects.put("endpointslices", odd.clone()));
    world.until("it is seen", || unsure(&world) == ["quake"]).await;
    let why = world.service("quake").unread_endpoints.unwrap();
    assert!(why.contains("its EndpointSlice quake-1 can't be read"), "{why}");
    // One without the label is of none of them; what doesn't even tell whose it is may be anybody's there.
    for (labels, concerns) in [(json!({}), [].as_slice()), (json!(7), &["hexen", "quake"])] {
        odd["metadata"]["labels"] = labels;
        world.api.edit(|objects| objects.put("endpointslices", odd.clone()));
        world.until("it is seen", || unsure(&world) == concerns).await;
    }
    // Whosever it is then, it is news.
    let mut changes = world.cluster.changes();
    changes.mark_unchanged();
    let mut healed = slice("doom", &["node-1"]);
    healed["metadata"]["name"] = json!("quake-1");
    world.api.edit(|objects| objects.put("endpointslices", healed));
    world.until("it heals", || unsure(&world).is_empty()).await;
    assert!(changes.has_changed().unwrap());
    world.api.edit(|objects| objects.put("endpointslices", slice("quake", &["node-1"])));
    world.until("it is seen", || world.service("quake").local_nodes == Some(["node-1".to_owned()].into())).await;
    assert!(world.cluster.unreadable().is_empty());
    // What could be read before stays as it was.
    world
        .api
        .edit(|objects| objects.change("endpointslices", "games", "quake-1", |slice| slice["endpoints"] = json!(7)));
    world.until("it is seen", || !world.cluster.unreadable().is_empty()).await;
    assert_eq!(world.service("quake").local_nodes, Some(["node-1".to_owned()].into()));
}

#[tokio::test(start_paused = true)]
async fn endpoints_of_local_traffic_are_a_change() {
    let mut local = asking("quake");
    local["spec"]["externalTrafficPolicy"] = json!("Local");
    let world = World::ready(&[local]).await;
    let mut changes = world.cluster.changes();
    changes.mark_unchanged();
    world.api.edit(|objects| objects.put("endpointslices", slice("quake", &["node-1"])));
    world.pass(millis(100)).await;
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    world.api.edit(|objects| objects.delete("endpointslices", "games", "quake-1"));
    world.pass(millis(100)).await;
    assert!(changes.has_changed().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_is_named_and_does_not_end_anything() {
    let world = World::new(&[asking("quake")]);
    let refused = status(403, "Forbidden", "services is forbidden: User \"x\" cannot list resource \"services\"");
    world.api.fault(Verb::List, "/services", 2, Fault::Answer(403, refused));
    let world = world.settled().await;
    assert_eq!(world.counted("services", "denied"), 2);
    assert_eq!(world.lines.count("must be allowed to list and watch services in the whole cluster"), 2);
}
