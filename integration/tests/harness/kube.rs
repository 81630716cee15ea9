//! The control plane, and the recording proxy before it.

use futures::StreamExt;
use integration::Result;
use integration::intercept::{Canned, When};
use integration::kube_gate::KubeGate;
use integration::shared;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Service};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::WatchEvent;
use kube::{Client, Config};
use serde_json::json;

/// A client made from a kubeconfig file, as the daemon makes its own.
async fn client_of(path: &std::path::Path) -> Result<Client> {
    let mut config =
        Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &KubeConfigOptions::default()).await?;
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

fn code<T: std::fmt::Debug>(result: Result<T, kube::Error>) -> u16 {
    match result {
        Err(kube::Error::Api(status)) => status.code,
        other => panic!("no status: {other:?}"),
    }
}

fn config_map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}})).unwrap()
}

#[tokio::test]
async fn the_real_api_server_takes_a_service() -> Result<()> {
    let control_plane = shared::control_plane().await?;
    let services: Api<Service> = Api::namespaced(control_plane.admin().await?, "default");
    let service = serde_json::from_value(json!({
        "metadata": {"name": "takes-a-service"},
        "spec": {"ports": [{"port": 53, "protocol": "UDP"}]}
    }))?;
    let created = services.create(&PostParams::default(), &service).await?;
    assert!(created.spec.unwrap().cluster_ip.unwrap().starts_with("10.96."));
    Ok(())
}

#[tokio::test]
async fn kubectl_says_the_version_of_the_servers() -> Result<()> {
    let control_plane = shared::control_plane().await?;
    let versions = control_plane.kubectl(&["version", "--output=json"]).await?;
    assert_eq!(versions.matches("\"gitVersion\": \"v1.37.2\"").count(), 2, "{versions}");
    let error = control_plane.kubectl(&["get", "nonsense"]).await.unwrap_err();
    assert!(error.message().contains("the server doesn't have a resource type"), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn the_daemons_service_account_may_do_what_deploy_grants_and_no_more() -> Result<()> {
    let control_plane = shared::control_plane().await?;
    let token = control_plane.service_account_token("external-ips", "external-ips").await?;
    let client = control_plane.client(&token).await?;
    Api::<Node>::all(client.clone()).list(&ListParams::default()).await?;
    Api::<Service>::all(client.clone()).list(&ListParams::default()).await?;
    let services: Api<Service> = Api::namespaced(client.clone(), "default");
    assert_eq!(code(services.delete("kubernetes", &DeleteParams::default()).await), 403);
    assert_eq!(code(Api::<Node>::all(client).delete("any", &DeleteParams::default()).await), 403);
    let nobody = control_plane.client("wrong").await?;
    assert_eq!(code(Api::<Node>::all(nobody).list(&ListParams::default()).await), 401);
    Ok(())
}

#[tokio::test]
async fn the_gate_passes_a_token_on_and_records_what_was_written() -> Result<()> {
    let control_plane = shared::control_plane().await?;
    let gate = KubeGate::start(&control_plane).await?;
    let kubeconfig = control_plane.kubeconfig_through(gate.url(), control_plane.admin_token())?;
    let maps: Api<ConfigMap> = Api::namespaced(client_of(&kubeconfig).await?, "default");
    maps.list(&ListParams::default()).await?;
    maps.create(&PostParams::default(), &config_map("gate-records")).await?;
    let dry = PatchParams { dry_run: true, ..PatchParams::default() };
    maps.patch("gate-records", &dry, &Patch::Merge(json!({"data": {"a": "b"}}))).await?;

    let calls: Vec<(String, String)> = gate.calls().into_iter().map(|call| (call.method, call.path)).collect();
    let all = "/api/v1/namespaces/default/configmaps".to_owned();
    let one = format!("{all}/gate-records");
    let of = |method: &str, path: &String| (method.to_owned(), path.clone());
    assert_eq!(calls, [of("GET", &all), of("POST", &all), of("PATCH", &one)]);
    let writes = gate.writes_since(0);
    assert_eq!(writes.len(), 1, "a dry run writes nothing: {writes:?}");
    assert!(matches!(writes[0].answered, Some((_, 201))));
    assert!(String::from_utf8_lossy(&writes[0].body).contains("gate-records"));

    let kubeconfig = control_plane.kubeconfig_through(gate.url(), "wrong")?;
    let maps: Api<ConfigMap> = Api::namespaced(client_of(&kubeconfig).await?, "default");
    assert_eq!(code(maps.list(&ListParams::default()).await), 401);
    Ok(())
}

#[tokio::test]
async fn a_watch_goes_through_the_gate_as_it_happens() -> Result<()> {
    let control_plane = shared::control_plane().await?;
    let gate = KubeGate::start(&control_plane).await?;
    let kubeconfig = control_plane.kubeconfig_through(gate.url(), control_plane.admin_token())?;
    let watched: Api<ConfigMap> = Api::namespaced(client_of(&kubeconfig).await?, "default");
    let version = watched.list(&ListParams::default()).await?.metadata.resource_version.unwrap();
    let parameters = WatchParams::default().fields("metadata.name=gate-watch");
    let mut events = watched.watch(&parameters, &version).await?.boxed();
    let maps: Api<ConfigMap> = Api::namespaced(control_plane.admin().await?, "default");
    maps.create(&PostParams::default(), &config_map("gate-watch")).await?;
    let event = tokio::time::timeout(integration::eventually::PATIENCE, events.next()).await?.unwrap()?;
    assert!(matches!(event, WatchEvent::Added(_)), "{event:?}");
    assert!(gate.calls().iter().any(|call| call.is_watch()));
    Ok(())
}

#[tokio::test]
async fn the_gate_stalls_a_write_and_gives_canned_answers() -> Result<()> {
    let control_plane = shared::control_plane().await?;
    let gate = KubeGate::start(&control_plane).await?;
    let kubeconfig = control_plane.kubeconfig_through(gate.url(), control_plane.admin_token())?;
    let gated: Api<ConfigMap> = Api::namespaced(client_of(&kubeconfig).await?, "default");
    let direct: Api<ConfigMap> = Api::namespaced(control_plane.admin().await?, "default");
    direct.create(&PostParams::default(), &config_map("gate-stalls")).await?;

    let mut held = gate.hold(1, When::Before, |call| call.method == "PATCH");
    let parameters = PatchParams::default();
    let patch = Patch::Merge(json!({"data": {"a": "b"}}));
    let stalled = gated.patch("gate-stalls", &parameters, &patch);
    let test = async {
        held.holds_one().await?;
        assert_eq!(direct.get("gate-stalls").await?.data, None);
        held.release();
        Ok::<_, integration::Error>(())
    };
    let (patched, tested) = tokio::join!(stalled, test);
    tested?;
    assert_eq!(patched?.data.unwrap()["a"], "b");

    gate.answer(1, When::Before, Canned::Throttled, |call| call.method == "GET");
    assert_eq!(code(gated.get("gate-stalls").await), 429);
    gate.answer(1, When::Before, Canned::Error(410, "Expired", "too old"), |call| call.method == "GET");
    assert_eq!(code(gated.get("gate-stalls").await), 410);
    gate.answer(1, When::After, Canned::Reset, |call| call.method == "DELETE");
    assert!(gated.delete("gate-stalls", &DeleteParams::default()).await.is_err());
    assert_eq!(code(direct.get("gate-stalls").await), 404, "it took effect");
    assert_eq!(code(gated.get("gate-stalls").await), 404);
    Ok(())
}
