//! kubectl, as people use it on Services and Nodes.

use super::kit::{MERGE, STRATEGIC, Server};
use integration::Result;
use serde_json::json;

const WEB: &str = "
apiVersion: v1
kind: Service
metadata:
  name: web
  annotations: {example.org/note: before}
  labels: {app: web}
spec:
  ports:
  - {name: dns, port: 53, protocol: UDP, targetPort: 53}
  selector: {app: web}
";

pub async fn kubectl_shows_services(server: &Server) -> Result<()> {
    server.kubectl("get services").await?;
    server.kubectl("create service clusterip plain --tcp=80:8080").await?;
    server.kubectl("create service loadbalancer balanced --tcp=80:8080 --tcp=443").await?;
    server.kubectl("create service nodeport nodeport --tcp=80").await?;
    server.kubectl("create service externalname elsewhere --external-name=a.example.org").await?;
    server.kubectl("create service clusterip headless --clusterip=None").await?;
    server
        .patch(MERGE, &server.path("services/plain"), json!({"spec": {"externalIPs": ["10.0.0.1", "10.0.0.2"]}}))
        .await?;
    let ingress = json!([{"ip": "10.0.0.9"}, {"ip": "203.0.113.9", "ipMode": "Proxy"}, {"hostname": "a.example.org"}]);
    server
        .patch(
            MERGE,
            &server.path("services/balanced/status"),
            json!({"status": {"loadBalancer": {"ingress": ingress}}}),
        )
        .await?;
    for arguments in [
        "get services",
        "get svc -o wide",
        "get svc plain balanced",
        "get svc -o name",
        "get svc plain -o yaml",
        "get svc plain -o json",
        "get svc -o json",
        "get svc --show-labels -l app=plain",
        "get svc --no-headers --sort-by=.metadata.name",
        "get svc --field-selector metadata.name=plain",
        "get svc -o jsonpath={.items[*].metadata.name}",
        "get svc plain -o jsonpath={.spec.externalIPs[0]}",
        "get svc -o custom-columns=NAME:.metadata.name,IPS:.spec.externalIPs",
        "get svc --all-namespaces --field-selector metadata.name=kubernetes --no-headers",
        "get svc,configmaps",
        "get svc --chunk-size=2",
        "describe svc plain --show-events=false",
        "describe service balanced --show-events=false",
        "get svc/plain svc/nothing",
    ] {
        server.kubectl(arguments).await?;
    }
    Ok(())
}

pub async fn kubectl_applies(server: &Server) -> Result<()> {
    server.kubectl_with(WEB, "apply -f -").await?;
    server.kubectl_with(WEB, "apply -f -").await?;
    let changed = WEB.replace("port: 53, protocol: UDP", "port: 54, protocol: UDP").replace("before", "changed");
    server.kubectl_with(&changed, "diff -f -").await?;
    server.kubectl_with(&changed, "apply -f - --dry-run=server").await?;
    server.kubectl_with(&changed, "apply -f -").await?;
    let two = format!("{changed}\n  externalTrafficPolicy: Cluster\n")
        .replace("  selector:", "  - {name: more, port: 80, targetPort: 80}\n  selector:");
    server.kubectl_with(&two.replace("\n  externalTrafficPolicy: Cluster\n", ""), "apply -f -").await?;
    server.kubectl_with(WEB, "apply -f -").await?;
    server.get(&server.path("services/web")).await?;
    server.kubectl_with(WEB, "apply --server-side -f -").await?;
    server.get(&server.path("services/web")).await?;
    let own = "{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {\"name\": \"web\"}, \"spec\": {\"externalIPs\": [\"10.0.0.1\"]}}";
    server.kubectl_with(own, "apply --server-side --field-manager=external-ips -f -").await?;
    let other = own.replace("10.0.0.1", "10.0.0.2");
    server.kubectl_with(&other, "apply --server-side --field-manager=other -f -").await?;
    server.kubectl_with(&other, "apply --server-side --field-manager=other --force-conflicts -f -").await?;
    server.kubectl_with(WEB, "apply -f -").await?;
    server.get(&server.path("services/web")).await?;
    server.kubectl_with(&WEB.replace("name: web", "name: new"), "apply --server-side -f -").await?;
    server.kubectl_with(&WEB.replace("spec:", "spec:\n  unknown: 1"), "apply -f -").await?;
    server.kubectl_with(&WEB.replace("port: 53", "port: 0"), "apply -f -").await?;
    server.kubectl("apply view-last-applied svc/web").await?;
    Ok(())
}

pub async fn kubectl_changes_services(server: &Server) -> Result<()> {
    server.kubectl_with(WEB, "create -f -").await?;
    server.kubectl_with(WEB, "create -f -").await?;
    for arguments in [
        "annotate svc web example.org/a=b",
        "annotate svc web example.org/a=c",
        "annotate svc web example.org/a=c --overwrite",
        "annotate svc web example.org/a-",
        "annotate svc web example.org/a-",
        "label svc web tier=front",
        "label svc web tier-",
        "label svc --all tier=all",
        "patch svc web -p '{\"spec\":{\"externalIPs\":[\"10.0.0.1\"]}}'",
        "patch svc web -p '{\"spec\":{\"externalIPs\":[\"10.0.0.1\"]}}'",
        "patch svc web --type=merge -p '{\"spec\":{\"externalIPs\":[\"127.0.0.1\"]}}'",
        "patch svc web --type=json -p '[{\"op\":\"remove\",\"path\":\"/spec/externalIPs\"}]'",
        "patch svc web --type=json -p '[{\"op\":\"remove\",\"path\":\"/spec/externalIPs\"}]'",
        "patch svc web --subresource=status --type=merge -p '{\"status\":{\"conditions\":[{\"type\":\"a.example.org/Ready\",\"status\":\"True\",\"reason\":\"Fine\",\"message\":\"\",\"lastTransitionTime\":\"2026-01-01T00:00:00Z\"}]}}'",
        "edit svc web",
        "get svc web -o yaml",
        "set selector svc web app=other",
    ] {
        server.kubectl(arguments).await?;
    }
    let got = server.kubectl("get svc web -o json").await?;
    server.kubectl_with(&got.replace("\"port\": 53", "\"port\": 55"), "replace -f -").await?;
    server.kubectl_with(&got, "replace -f -").await?;
    server.kubectl("get svc web -o jsonpath={.spec.ports[0].port}").await?;
    Ok(())
}

pub async fn kubectl_deletes_and_waits(server: &Server) -> Result<()> {
    server.kubectl_with(WEB, "apply -f -").await?;
    server.kubectl("wait svc/web --for=condition=a.example.org/Ready --timeout=1s").await?;
    let condition = json!({"type": "a.example.org/Ready", "status": "True", "reason": "Fine", "message": "m",
        "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let wait = server.kubectl("wait svc/web --for=condition=a.example.org/Ready --timeout=20s");
    // Before or after it looks: the outcome is the same.
    let status_path = server.path("services/web/status");
    let set = server.quietly(STRATEGIC, &status_path, json!({"status": {"conditions": [condition]}}));
    let (waited, set) = tokio::join!(wait, set);
    waited?;
    set?;
    server.kubectl("wait svc/web --for=jsonpath={.spec.type}=ClusterIP --timeout=5s").await?;
    server.kubectl("wait svc/web --for=jsonpath={.spec.type}=NodePort --timeout=1s").await?;
    server.kubectl("wait svc/nothing --for=delete --timeout=5s").await?;
    // It waits for its finalizer.
    server
        .quietly(MERGE, &server.path("services/web"), json!({"metadata": {"finalizers": ["a.example.org/f"]}}))
        .await?;
    server.kubectl("delete svc web --wait=false").await?;
    server.kubectl("wait svc/web --for=delete --timeout=1s").await?;
    server.quietly(MERGE, &server.path("services/web"), json!({"metadata": {"finalizers": null}})).await?;
    server.kubectl("delete svc web").await?;
    server.kubectl("delete svc web --ignore-not-found").await?;
    server.kubectl_with(WEB, "apply -f -").await?;
    server.kubectl("delete svc web --dry-run=server").await?;
    server.kubectl("delete svc web --now").await?;
    server.kubectl_with(WEB, "create -f -").await?;
    server.kubectl_with(WEB, "delete -f -").await?;
    server.kubectl_with(WEB, "create -f -").await?;
    server.kubectl("delete svc -l app=web").await?;
    server.kubectl_with(WEB, "create -f -").await?;
    server.kubectl("delete svc --all").await?;
    server.kubectl("get svc").await?;
    Ok(())
}

pub async fn kubectl_watches(server: &Server) -> Result<()> {
    server.make("web").await?;
    // What they print before anything changes: a header and a row; one event; nothing.
    for (arguments, before) in [
        ("get svc -w", 2),
        ("get svc web -w -o json --output-watch-events", 1),
        ("get svc web --watch-only -o name", 0),
    ] {
        server.kubectl_watching(arguments, before, "web").await?;
    }
    Ok(())
}

pub async fn kubectl_tells_events(server: &Server) -> Result<()> {
    let service = server.make_headless("web").await?;
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": {"name": "web.1", "namespace": server.namespace},
        "eventTime": "2026-01-01T00:00:00.123456Z", "reportingController": "a.example.org/controller",
        "reportingInstance": "one", "action": "Sync", "reason": "Synced", "note": "all is well", "type": "Normal",
        "regarding": {"apiVersion": "v1", "kind": "Service", "namespace": server.namespace, "name": "web",
            "uid": service["metadata"]["uid"]},
    });
    server.post(&server.group_path("events.k8s.io/v1", "events"), event).await?;
    for arguments in [
        "describe svc web",
        "events",
        "events --for=service/web",
        "events --for=service/none",
        "get events",
        "get events -o wide",
        "get events.events.k8s.io -o name",
    ] {
        server.kubectl(arguments).await?;
    }
    Ok(())
}

pub async fn kubectl_handles_nodes(server: &Server) -> Result<()> {
    let node = json!({
        "metadata": {"name": "kubectl-n1", "labels": {"zone": "a", "node-role.kubernetes.io/worker": ""}},
        "spec": {"providerID": "aws:///a/i-1"},
    });
    server.post("/api/v1/nodes?fieldManager=kubelet", node).await?;
    for arguments in [
        "get nodes -l zone=a",
        "taint node kubectl-n1 node.kubernetes.io/not-ready-",
        "cordon kubectl-n1",
        "get node kubectl-n1 -o wide",
        "uncordon kubectl-n1",
        "label node kubectl-n1 zone=b --overwrite",
        "taint node kubectl-n1 a=b:NoSchedule",
    ] {
        server.kubectl(arguments).await?;
    }
    let ready = json!({"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "m",
        "lastHeartbeatTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let addresses =
        json!([{"type": "InternalIP", "address": "10.0.0.1"}, {"type": "ExternalIP", "address": "203.0.113.1"}]);
    let status = json!({"status": {"conditions": [ready], "addresses": addresses, "nodeInfo": {
        "kubeletVersion": "v1.37.2", "osImage": "Linux", "kernelVersion": "6.1", "containerRuntimeVersion": "containerd://2",
        "architecture": "amd64", "bootID": "b", "kubeProxyVersion": "", "machineID": "m", "operatingSystem": "linux",
        "systemUUID": "u"}}});
    server.patch(STRATEGIC, "/api/v1/nodes/kubectl-n1/status?fieldManager=kubelet", status).await?;
    for arguments in [
        "get node kubectl-n1",
        "get node kubectl-n1 -o wide",
        "describe node kubectl-n1",
        "wait node/kubectl-n1 --for=condition=Ready --timeout=5s",
        "delete node kubectl-n1",
    ] {
        server.kubectl(arguments).await?;
    }
    Ok(())
}

pub async fn kubectl_is_told_what_is_wrong(server: &Server) -> Result<()> {
    for arguments in [
        "get nonsense",
        "get svc nothing",
        "get svc -l 'a in'",
        "get svc --field-selector a=b",
        "describe svc nothing",
        "annotate svc nothing a=b",
        "patch svc nothing -p {}",
        "get svc --namespace=nowhere",
        "auth can-i delete services",
        "auth can-i delete services --as=nobody-at-all -q",
        "version -o json --client",
        "get namespaces kube-system -o name",
        "create configmap m --from-literal=a=b",
        "get configmaps",
        "get cm m -o jsonpath={.data.a}",
        "create namespace kubectl-made --dry-run=server",
        "get leases",
        "get endpointslices",
    ] {
        server.kubectl(arguments).await?;
    }
    Ok(())
}
