//! Nodes: an EC2 instance and a Node object that belongs to it.

use std::collections::BTreeMap;

use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::aws::{Instance, NewInstance, PublicAddress, REGION};
use crate::error::{Context, Result};
use crate::world::{NODE_LABEL, World};

/// A node to make.
#[derive(Debug, Clone, Default)]
pub struct NewNode {
    /// Its instance.
    pub instance: NewInstance,
    /// More labels, or others than those that every node has.
    pub labels: BTreeMap<String, String>,
    /// Its taints, as the API has them.
    pub taints: Vec<Value>,
    /// Whether it starts not Ready.
    pub not_ready: bool,
}

impl NewNode {
    /// In a zone: `a`, `b` or `c`.
    pub fn zone(mut self, letter: &str) -> Self {
        self.instance.zone = format!("{REGION}{letter}");
        self
    }

    /// With a private address of the test's choice.
    pub fn private(mut self, address: &str) -> Self {
        self.instance.private = Some(address.to_owned());
        self
    }

    /// With an elastic public address of the test's choice.
    pub fn public(mut self, address: &str) -> Self {
        self.instance.public = PublicAddress::Elastic(address.to_owned());
        self
    }

    /// Without a public address.
    pub fn without_public_address(mut self) -> Self {
        self.instance.public = PublicAddress::None;
        self
    }

    /// With several interfaces, as an EKS node.
    pub fn interfaces(mut self, count: usize) -> Self {
        self.instance.interfaces = count;
        self
    }

    /// With a label.
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With a taint without a value, `NoSchedule`.
    pub fn taint(mut self, key: &str) -> Self {
        self.taints.push(json!({"key": key, "effect": "NoSchedule"}));
        self
    }
}

/// A node of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The Node object's name.
    pub name: String,
    /// The instance as it was when the node was made.
    pub instance: Instance,
}

impl Node {
    /// Its private address.
    pub fn private(&self) -> Result<&str> {
        self.instance.private.as_deref().context(format!("{} has no private address", self.name))
    }

    /// Its public address when it was made.
    pub fn public(&self) -> Result<&str> {
        self.instance.public.as_deref().context(format!("{} has no public address", self.name))
    }

    /// Its provider id, `aws:///zone/instance`.
    pub fn provider_id(&self) -> String {
        format!("aws:///{}/{}", self.instance.zone, self.instance.id)
    }
}

impl World {
    /// Runs an instance and makes its Node, Ready unless told otherwise. `name` is made unique.
    pub async fn node(&self, name: &str, new: NewNode) -> Result<Node> {
        let instance = self.aws.run_instance(&self.network, &new.instance).await?;
        let node = Node { name: format!("{}-{name}", self.namespace), instance };
        self.create_node_object(&node, &new).await?;
        Ok(node)
    }

    async fn create_node_object(&self, node: &Node, new: &NewNode) -> Result<()> {
        let mut labels = BTreeMap::from([
            (NODE_LABEL.to_owned(), self.node_group.clone()),
            ("kubernetes.io/hostname".to_owned(), node.name.clone()),
            ("topology.kubernetes.io/zone".to_owned(), node.instance.zone.clone()),
            ("topology.kubernetes.io/region".to_owned(), REGION.to_owned()),
        ]);
        labels.extend(new.labels.clone());
        let object = serde_json::from_value(json!({
            "metadata": {"name": node.name, "labels": labels}, "spec": {"providerID": node.provider_id()}
        }))?;
        self.nodes().create(&PostParams::default(), &object).await.context(format!("create node {}", node.name))?;
        self.set_addresses(node, node.instance.public.as_deref()).await?;
        self.set_ready(node, !new.not_ready).await?;
        // An admission plugin taints each new node as not ready; the controller that takes it back isn't here.
        self.patch_node(node, json!({"spec": {"taints": new.taints}})).await
    }

    /// Sets the condition Ready of a node.
    pub async fn set_ready(&self, node: &Node, ready: bool) -> Result<()> {
        let (status, reason) = if ready { ("True", "KubeletReady") } else { ("Unknown", "NodeStatusUnknown") };
        let condition = json!({"type": "Ready", "status": status, "reason": reason, "message": reason});
        self.patch_status(node, json!({"status": {"conditions": [condition]}})).await
    }

    /// Sets the addresses of a node, as the cloud's node controller does: its private one, and this public one.
    pub async fn set_addresses(&self, node: &Node, public: Option<&str>) -> Result<()> {
        let mut addresses = vec![json!({"type": "Hostname", "address": node.name})];
        if let Some(private) = &node.instance.private {
            addresses.push(json!({"type": "InternalIP", "address": private}));
        }
        if let Some(public) = public {
            addresses.push(json!({"type": "ExternalIP", "address": public}));
        }
        // The list is merged by its key "type" otherwise: an address would never go.
        addresses.insert(0, json!({"$patch": "replace"}));
        self.patch_status(node, json!({"status": {"addresses": addresses}})).await
    }

    /// Sets labels of a node; `None` removes one.
    pub async fn label_node(&self, node: &Node, labels: &[(&str, Option<&str>)]) -> Result<()> {
        let labels: BTreeMap<_, _> = labels.iter().copied().collect();
        self.patch_node(node, json!({"metadata": {"labels": labels}})).await
    }

    /// Sets the taints of a node to these keys, each `NoSchedule`.
    pub async fn taint_node(&self, node: &Node, keys: &[&str]) -> Result<()> {
        let taints: Vec<Value> = keys.iter().map(|key| json!({"key": key, "effect": "NoSchedule"})).collect();
        self.patch_node(node, json!({"spec": {"taints": taints}})).await
    }

    /// Cordons a node, or takes that back.
    pub async fn cordon(&self, node: &Node, cordoned: bool) -> Result<()> {
        self.patch_node(node, json!({"spec": {"unschedulable": cordoned}})).await
    }

    /// Deletes the Node object; the instance stays.
    pub async fn delete_node(&self, node: &Node) -> Result<()> {
        self.nodes().delete(&node.name, &DeleteParams::default()).await.map(drop).context("delete a node")
    }

    async fn patch_node(&self, node: &Node, patch: Value) -> Result<()> {
        self.nodes().patch(&node.name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    async fn patch_status(&self, node: &Node, patch: Value) -> Result<()> {
        self.nodes().patch_status(&node.name, &PatchParams::default(), &Patch::Strategic(patch)).await?;
        Ok(())
    }
}
