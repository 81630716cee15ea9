//! What answers mean for what may be done next (K10 to K12).

use super::api::{Fault, Verb, status};
use super::publishing::publication;
use super::world::{LIST_EVERY, World, asking, secs};
use crate::cluster::{Class, Error};

async fn answered(fault: Fault) -> Error {
    let world = World::ready(&[asking("quake")]).await;
    world.api.fault(Verb::Apply, "", 1, fault);
    world.cluster.publish(&publication(&world, "quake", 1)).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn a_refusal_by_admission_is_told_from_a_missing_permission() {
    let admission = "admission webhook \"DenyServiceExternalIPs\" denied the request: Use of external IPs is denied by admission control";
    let error = answered(Fault::Answer(403, status(403, "Forbidden", admission))).await;
    assert_eq!(error.class, Class::Refused);
    assert!(error.message.contains(admission), "{error}");
    let rbac = "services \"quake\" is forbidden: User \"system:serviceaccount:kube-system:external-ips\" cannot patch resource \"services\" in API group \"\" in the namespace \"games\"";
    let error = answered(Fault::Answer(403, status(403, "Forbidden", rbac))).await;
    assert_eq!(error.class, Class::Denied);
    assert!(error.message.contains("permission") && error.message.contains("games/quake"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_request_for_patience_tells_for_how_long() {
    for code in [429, 503] {
        let error = answered(Fault::Later(code, 7)).await;
        assert_eq!(error.class, Class::Throttled { retry_after: secs(7) });
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_error_leaves_the_outcome_of_a_write_open_and_of_a_trial_not() {
    for code in [500, 502, 503, 504] {
        let error = answered(Fault::Answer(code, status(code, "InternalError", "no"))).await;
        assert_eq!(error.class, Class::UnknownOutcome, "{code}");
    }
    let world = World::ready(&[asking("quake")]).await;
    world.api.fault(Verb::DryRun, "", 1, Fault::Answer(504, status(504, "Timeout", "no")));
    let error = world.cluster.try_publication(&publication(&world, "quake", 1)).await.unwrap_err();
    assert_eq!(error.class, Class::Transient);
}

#[tokio::test(start_paused = true)]
async fn content_that_is_invalid_is_refused() {
    let error = answered(Fault::Answer(422, status(422, "Invalid", "spec.externalIPs[0]: must not be loopback"))).await;
    assert_eq!(error.class, Class::Refused);
    assert!(error.message.contains("must not be loopback"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_verdict_of_the_api_server_refuses_nothing() {
    let page = || serde_json::Value::from("<html>blocked by the proxy</html>");
    for (code, body) in [(403, page()), (400, page()), (410, status(410, "Expired", "no")), (408, status(408, "", ""))]
    {
        let world = World::ready(&[asking("quake")]).await;
        world.api.fault(Verb::DryRun, "", 1, Fault::Answer(code, body.clone()));
        let error = world.cluster.try_publication(&publication(&world, "quake", 1)).await.unwrap_err();
        assert_eq!(error.class, Class::Transient, "{error}");
        assert_eq!(answered(Fault::Answer(code, body)).await.class, Class::UnknownOutcome);
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_behind_the_fence_says_that_nobody_leads() {
    let api = super::api::Api::new();
    api.edit(|objects| objects.put("services", asking("quake")));
    let world = World::on(api.clone()).settled().await;
    let clock = crate::leader::tests::world::TestClock::new(secs(1), 0, 1000);
    let settings = crate::leader::LeaseSettings::new("kube-system", "external-ips", "a");
    let random = crate::leader::tests::world::TestRandom::new(1);
    let log = slog::Logger::root(slog::Discard, slog::o!());
    let leases = crate::leader::tests::api::Api::new().client("a");
    let fence =
        crate::leader::Elector::new(leases, settings, clock.clone(), random.clone(), log.clone()).unwrap().fence();
    let transport = tower::Layer::layer(&crate::leader::FenceLayer::new(fence, secs(10)), api.clone());
    let client = kube::Client::new(transport, "default");
    let fenced = crate::cluster::Cluster::new(client, None, "a", LIST_EVERY, clock, random, log);
    let error = fenced.publish(&publication(&world, "quake", 1)).await.unwrap_err();
    assert_eq!(error.class, Class::NotLeader);
    assert!(api.writes().is_empty());
}
