//! Services: defaults, allocation, validation, types.

use super::kit::{MERGE, Server};
use integration::Result;
use serde_json::{Value, json};

pub async fn services_are_created_with_their_defaults(server: &Server) -> Result<()> {
    let path = server.path("services?fieldManager=maker");
    let make = |name: &str, spec: Value| json!({"metadata": {"name": name}, "spec": spec});
    let port = json!([{"port": 80}]);
    server.post(&path, make("plain", json!({"ports": port, "selector": {"a": "b"}}))).await?;
    server.post(&path, make("balanced", json!({"type": "LoadBalancer", "ports": port}))).await?;
    let local = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": port});
    server.post(&path, make("local", local)).await?;
    server.post(&path, make("node-port", json!({"type": "NodePort", "ports": port}))).await?;
    server.post(&path, make("headless", json!({"clusterIP": "None", "ports": port}))).await?;
    server.post(&path, make("elsewhere", json!({"type": "ExternalName", "externalName": "a.example.org"}))).await?;
    server.post(&path, make("external", json!({"externalIPs": ["10.1.2.3"], "ports": port}))).await?;
    let no_node_ports = json!({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false, "ports": port});
    server.post(&path, make("no-node-ports", no_node_ports)).await?;
    let sticky = json!({"sessionAffinity": "ClientIP", "ports": port});
    server.post(&path, make("sticky", sticky)).await?;
    let two = json!([
        {"name": "tcp", "port": 53, "protocol": "TCP", "targetPort": "dns"},
        {"name": "udp", "port": 53, "protocol": "UDP"},
    ]);
    let mut object = make("two", json!({"ports": two}));
    object["metadata"]["annotations"] = json!({"a.example.org/b": "c"});
    object["metadata"]["labels"] = json!({"app": "two"});
    object["status"] = json!({"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}});
    object["unknown"] = json!(1);
    object["spec"]["unknown"] = json!(2);
    server.post(&path, object).await?;
    server.get(&server.path("services/two")).await?;
    server.get(&server.path("services/nothing")).await?;
    server.post(&server.path("services?fieldManager=maker&dryRun=All"), make("dry", json!({"ports": port}))).await?;
    server.get(&server.path("services/dry")).await?;
    Ok(())
}

pub async fn bad_services_are_refused(server: &Server) -> Result<()> {
    let path = server.path("services");
    let bad = async |spec: Value| server.post(&path, json!({"metadata": {"name": "bad"}, "spec": spec})).await;
    let port = json!([{"port": 80}]);
    bad(json!({})).await?;
    bad(json!({"ports": [{"port": 0}]})).await?;
    bad(json!({"ports": [{"port": 80}, {"port": 81}]})).await?;
    bad(json!({"ports": [{"name": "a", "port": 80}, {"name": "a", "port": 81}]})).await?;
    bad(json!({"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 80}]})).await?;
    bad(json!({"ports": [{"name": "A_", "port": 80}]})).await?;
    bad(json!({"ports": [{"port": 80, "protocol": "ICMP"}]})).await?;
    bad(json!({"ports": [{"port": 80, "targetPort": 70000}]})).await?;
    bad(json!({"ports": [{"port": 80, "nodePort": 80}]})).await?;
    bad(json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]})).await?;
    for address in ["nonsense", "127.0.0.1", "0.0.0.0", "169.254.1.1", "224.0.0.1", "1.2.3.4/5", "::1", ""] {
        bad(json!({"ports": port, "externalIPs": [address]})).await?;
    }
    bad(json!({"ports": port, "externalIPs": ["10.0.0.1", "a", "127.0.0.1"]})).await?;
    bad(json!({"ports": port, "type": "Sideways"})).await?;
    bad(json!({"ports": port, "type": "LoadBalancer", "clusterIP": "None"})).await?;
    bad(json!({"ports": port, "loadBalancerSourceRanges": ["10.0.0.0/8"]})).await?;
    bad(json!({"ports": port, "type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0"]})).await?;
    bad(json!({"ports": port, "loadBalancerClass": "a.example.org/b"})).await?;
    bad(json!({"ports": port, "externalTrafficPolicy": "Local"})).await?;
    bad(json!({"ports": port, "type": "ExternalName"})).await?;
    for name in ["UPPER", "a.b", "-a", &"x".repeat(64)] {
        server.post(&path, json!({"metadata": {"name": name}, "spec": {"ports": port}})).await?;
    }
    let labelled = json!({"metadata": {"name": "bad", "labels": {"a": "b c"}}, "spec": {"ports": port}});
    server.post(&path, labelled).await?;
    server.post(&path, json!({"metadata": {"name": "a", "namespace": "other"}, "spec": {"ports": port}})).await?;
    server
        .post("/api/v1/namespaces/nowhere/services", json!({"metadata": {"name": "a"}, "spec": {"ports": port}}))
        .await?;
    server.post(&path, json!({"metadata": {"name": "a", "resourceVersion": "7"}, "spec": {"ports": port}})).await?;
    server.make("twice").await?;
    server.make("twice").await?;
    Ok(())
}

pub async fn services_are_replaced(server: &Server) -> Result<()> {
    let made = server.make("web").await?;
    let path = server.path("services/web?fieldManager=other");
    // Without a version, and without what was allocated.
    let mut new = server.service("web");
    new["spec"]["ports"][0]["port"] = json!(54);
    new["metadata"]["annotations"] = json!({"a": "b"});
    let changed = server.put(&path, new.clone()).await?;
    server.put(&path, new.clone()).await?;
    server.put(&path, made.clone()).await?;
    let mut current = changed.clone();
    current["spec"]["externalIPs"] = json!(["10.9.8.7"]);
    let current = server.put(&path, current).await?;
    let mut other = current.clone();
    other["metadata"]["uid"] = json!("00000000-0000-4000-8000-000000000000");
    server.put(&path, other).await?;
    let mut moved = current.clone();
    moved["spec"]["clusterIP"] = json!("10.96.200.200");
    moved["spec"]["clusterIPs"] = json!(["10.96.200.200"]);
    server.put(&path, moved).await?;
    let mut renamed = current.clone();
    renamed["metadata"]["name"] = json!("other");
    server.put(&path, renamed).await?;
    let mut bare = current.clone();
    bare["metadata"]["annotations"] = Value::Null;
    bare["spec"]["externalIPs"] = json!([]);
    server.put(&path, bare).await?;
    server.put(&server.path("services/new?fieldManager=other"), server.service("new")).await?;
    let mut status = server.get(&server.path("services/new")).await?;
    status["status"]["conditions"] = json!([{
        "type": "a.example.org/Ready", "status": "True", "reason": "Fine", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]);
    status["spec"]["ports"][0]["port"] = json!(99);
    status["metadata"]["annotations"] = json!({"by": "status"});
    server.put(&server.path("services/new/status?fieldManager=other"), status).await?;
    Ok(())
}

pub async fn services_change_their_type(server: &Server) -> Result<()> {
    server.make("web").await?;
    let path = server.path("services/web?fieldManager=other");
    let change = async |spec: Value| server.patch(MERGE, &path, json!({"spec": spec})).await;
    change(json!({"type": "LoadBalancer"})).await?;
    change(json!({"loadBalancerClass": "a.example.org/b"})).await?;
    change(json!({"externalTrafficPolicy": "Local"})).await?;
    change(json!({"type": "NodePort"})).await?;
    change(json!({"type": "ClusterIP"})).await?;
    change(json!({"externalIPs": ["10.0.0.1", "10.0.0.1"]})).await?;
    change(json!({"externalIPs": null})).await?;
    change(json!({"type": "ExternalName", "externalName": "a.example.org"})).await?;
    server.make("classy").await?;
    let path = server.path("services/classy?fieldManager=other");
    let change = async |spec: Value| server.patch(MERGE, &path, json!({"spec": spec})).await;
    change(json!({"type": "LoadBalancer", "loadBalancerClass": "c.example.org/d"})).await?;
    change(json!({"loadBalancerClass": "e.example.org/f"})).await?;
    Ok(())
}

pub async fn load_balancer_status_is_for_load_balancers(server: &Server) -> Result<()> {
    server.make("web").await?;
    let path = server.path("services/web/status?fieldManager=cloud");
    let status = |ingress: Value| json!({"status": {"loadBalancer": {"ingress": ingress}}});
    server.patch(MERGE, &path, status(json!([{"ip": "10.0.0.1"}]))).await?;
    server
        .patch(MERGE, &server.path("services/web?fieldManager=other"), json!({"spec": {"type": "LoadBalancer"}}))
        .await?;
    let both = json!([{"ip": "10.0.0.1"}, {"ip": "203.0.113.1", "ipMode": "Proxy"}]);
    server.patch(MERGE, &path, status(both)).await?;
    server.patch(MERGE, &path, status(json!([{"ip": "nonsense"}]))).await?;
    server.patch(MERGE, &path, status(json!([{"ip": "10.0.0.1", "ipMode": "Other"}]))).await?;
    server.patch(MERGE, &path, status(json!([{"hostname": "a.example.org", "ipMode": "VIP"}]))).await?;
    server
        .patch(MERGE, &server.path("services/web?fieldManager=other"), json!({"spec": {"type": "ClusterIP"}}))
        .await?;
    Ok(())
}
