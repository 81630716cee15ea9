//! A world without processes, in which what a process could do is done by hand, in its name.

use std::collections::BTreeSet;
use std::time::Duration;

use integration::sim::aws::state::{RuleKey, Source};
use integration::sim::check::wish::PREFIX;
use integration::sim::event::Actor;
use integration::sim::kube::Resource;
use integration::sim::world::{CLUSTER, NAMESPACE};
use integration::sim::{Setting, World, simulate};
use serde_json::json;

pub const US: Actor = Actor::Replica(9);

/// A history by hand.
pub fn history(tell: impl AsyncFnOnce(&mut Town)) {
    let told = simulate(|| async {
        let mut town = Town { world: World::new(&Setting::calm(1))? };
        tell(&mut town).await;
        Ok(())
    });
    told.unwrap();
}

pub struct Town {
    pub world: World,
}

impl Town {
    pub async fn pass(&mut self, seconds: u64) {
        self.world.pass(Duration::from_secs(seconds)).await.unwrap();
    }

    /// A Service on UDP `port` that asks for `NAME.example.com`.
    pub fn asks(&self, name: &str, port: u16, annotations: &[(&str, &str)]) {
        let hostname = format!("{name}.example.com");
        let mut all = vec![("hostname", hostname.as_str())];
        all.extend(annotations);
        self.world.add_service(name, &[("UDP", port)], &all).unwrap();
    }

    /// Lets everybody in at the node, as we do it.
    pub fn open(&self, node: &str, port: u16) {
        let aws = &self.world.aws;
        let instance = self.world.instance(node).unwrap();
        let name = format!("external-ips/{CLUSTER}/{instance}");
        let there =
            aws.look(|state| state.groups.values().find(|group| group.name == name).map(|group| group.id.clone()));
        let group = there.unwrap_or_else(|| {
            let group = aws.create_group(US, &self.world.vpc, &name, &[]).unwrap();
            aws.attach_group(US, &instance, &group).unwrap();
            group
        });
        aws.add_rule(US, &group, rule(port), "").unwrap();
    }

    pub fn close(&self, node: &str, port: u16) {
        let name = format!("external-ips/{CLUSTER}/{}", self.world.instance(node).unwrap());
        let group = self.world.aws.look(|state| state.groups.values().find(|one| one.name == name).unwrap().id.clone());
        self.world.aws.remove_rule(US, &group, &rule(port)).unwrap();
    }

    /// `NAME.example.com` lists the nodes from now on.
    pub fn list(&self, name: &str, nodes: &[&str]) {
        let (aws, zone) = (&self.world.aws, &self.world.zone);
        let twin = format!(
            "\"heritage=external-dns,external-dns/owner={CLUSTER},external-dns/resource=service/{NAMESPACE}/{name}\""
        );
        let addresses: Vec<String> =
            nodes.iter().map(|node| self.world.addresses(node).unwrap().1.to_string()).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let hostname = format!("{name}.example.com");
        aws.put_record(US, zone, &format!("a-{hostname}"), "TXT", 10, &[&twin]).unwrap();
        aws.put_record(US, zone, &hostname, "A", 10, &addresses).unwrap();
    }

    pub fn unlist(&self, name: &str) {
        let hostname = format!("{name}.example.com");
        self.world.aws.delete_record(US, &self.world.zone, &hostname, "A").unwrap();
        self.world.aws.delete_record(US, &self.world.zone, &format!("a-{hostname}"), "TXT").unwrap();
    }

    /// The Service is published on the nodes from now on.
    pub fn publish(&self, name: &str, nodes: &[&str]) {
        let addresses: Vec<String> =
            nodes.iter().map(|node| self.world.addresses(node).unwrap().0.to_string()).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let hand = self.world.kube.by(US).as_manager("external-ips");
        hand.set_external_ips(NAMESPACE, name, &addresses).unwrap();
    }

    /// All that makes the Service reachable on the nodes.
    pub fn serve(&self, name: &str, port: u16, nodes: &[&str]) {
        nodes.iter().for_each(|node| self.open(node, port));
        self.list(name, nodes);
        self.publish(name, nodes);
    }

    /// Its owner is told so.
    pub fn tell(&self, namespace: &str, name: &str, ready: bool, reason: &str) {
        let condition = json!({
            "type": format!("{PREFIX}Ready"), "status": if ready { "True" } else { "False" }, "reason": reason,
            "message": reason, "lastTransitionTime": "2026-01-01T00:00:00Z",
        });
        let hand = self.world.kube.by(US).as_manager("external-ips");
        hand.patch(Resource::Services, namespace, name, &json!({"status": {"conditions": [condition]}})).unwrap();
    }

    /// The rules that were broken so far.
    pub fn broken(&self) -> BTreeSet<&'static str> {
        self.world.checker.violations().into_iter().map(|violation| violation.rule).collect()
    }

    /// Whether the rule was broken.
    pub fn breaks(&self, rule: &str) -> bool {
        self.broken().contains(rule)
    }
}

fn rule(port: u16) -> RuleKey {
    let port = i32::from(port);
    RuleKey { protocol: "udp".to_owned(), from: port, to: port, source: Source::V4("0.0.0.0/0".to_owned()) }
}
