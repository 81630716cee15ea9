//! What people, nodes and other controllers do to the cluster without a request: no fault hits it, no permission is
//! asked, no admission reviews it; defaults, validation, versions and watches are the same.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Kube;
use super::admission::Hooks;
use super::kinds::Resource;
use super::rbac::User;
use super::route::{Asked, PatchKind, Verb};
use super::status::Status;
use super::write::{Done, Write};
use crate::sim::event::Actor;

/// Somebody's hand in the cluster.
pub struct Hand<'a> {
    kube: &'a Kube,
    actor: Actor,
    manager: String,
}

impl Kube {
    /// Somebody does something. What is made is theirs; their field manager is `kubectl` unless named.
    pub fn by(&self, actor: Actor) -> Hand<'_> {
        Hand { kube: self, actor, manager: "kubectl".to_owned() }
    }

    pub(super) fn furnish(&self) {
        let nature = self.by(Actor::Nature);
        let all = ["default", "kube-system", "kube-public", "kube-node-lease"];
        let more = self.inner.options.namespaces.iter().map(String::as_str);
        for name in all.into_iter().chain(more) {
            let _ = nature.namespace(name);
        }
        let service = json!({
            "metadata": {"name": "kubernetes", "namespace": "default", "labels": {
                "component": "apiserver", "provider": "kubernetes",
            }},
            "spec": {"clusterIP": "10.96.0.1", "ports": [{"name": "https", "port": 443, "targetPort": 6443}]},
        });
        let _ = nature.create(Resource::Services, service);
    }
}

impl Hand<'_> {
    /// With another field manager.
    pub fn as_manager(mut self, manager: &str) -> Self {
        self.manager = manager.to_owned();
        self
    }

    fn asked(&self, verb: Verb, resource: Resource, value: &Value, subresource: &str) -> Asked {
        let text = |name: &str| value["metadata"][name].as_str().unwrap_or_default().to_owned();
        Asked {
            verb,
            resource,
            namespace: if resource.namespaced() { text("namespace") } else { String::new() },
            name: text("name"),
            subresource: subresource.to_owned(),
            query: BTreeMap::from([("fieldManager".to_owned(), self.manager.clone())]),
            accept: String::new(),
            user_agent: String::new(),
        }
    }

    fn write(&self, asked: &Asked, body: &Value) -> Result<Value, Status> {
        let kube = self.kube;
        let now = kube.elapsed();
        let user = User::admin(self.actor);
        let hooks = Hooks::default();
        let write = Write {
            asked,
            user: &user,
            call: None,
            sent: now,
            now,
            wall: kube.wall(),
            dry_run: false,
            hooks: &hooks,
            may_create: Ok(()),
        };
        let done: Done = {
            let mut store = kube.store();
            match asked.verb {
                Verb::Create => write.create(&mut store, body.clone()),
                Verb::Update => write.update(&mut store, body.clone()),
                Verb::Patch(kind) => write.patch(&mut store, kind, body),
                _ => write.delete(&mut store, body),
            }?
        };
        kube.tell(asked.resource, self.actor, None, done.changed.as_deref());
        Ok(done.object.whole())
    }

    /// Makes an object; a Service's namespace too, if it isn't there.
    ///
    /// # Errors
    /// What a request would be answered.
    pub fn create(&self, resource: Resource, object: Value) -> Result<Value, Status> {
        let asked = self.asked(Verb::Create, resource, &object, "");
        if resource.namespaced() && self.kube.store().get(Resource::Namespaces, "", &asked.namespace).is_none() {
            self.namespace(&asked.namespace)?;
        }
        self.write(&asked, &object)
    }

    /// Makes a namespace.
    ///
    /// # Errors
    /// It is there, or its name is wrong.
    pub fn namespace(&self, name: &str) -> Result<Value, Status> {
        let object = json!({"metadata": {"name": name}});
        let asked = self.asked(Verb::Create, Resource::Namespaces, &object, "");
        self.write(&asked, &object)
    }

    /// Replaces an object, status included.
    ///
    /// # Errors
    /// What a request would be answered.
    pub fn replace(&self, resource: Resource, object: &Value) -> Result<Value, Status> {
        let result = self.write(&self.asked(Verb::Update, resource, object, ""), object)?;
        if resource.has_status() && !object["status"].is_null() {
            let mut object = object.clone();
            if let Some(metadata) = object["metadata"].as_object_mut() {
                metadata.remove("resourceVersion");
            }
            return self.write(&self.asked(Verb::Update, resource, &object, "status"), &object);
        }
        Ok(result)
    }

    /// Merges a JSON merge patch into an object; a member `status` goes to its status.
    ///
    /// # Errors
    /// What a request would be answered.
    pub fn patch(&self, resource: Resource, namespace: &str, name: &str, change: &Value) -> Result<Value, Status> {
        let place = json!({"metadata": {"namespace": namespace, "name": name}});
        let verb = Verb::Patch(PatchKind::Merge);
        let mut main = change.clone();
        let status = main.as_object_mut().and_then(|main| main.remove("status"));
        let mut result = None;
        if main.as_object().is_some_and(|main| !main.is_empty()) {
            result = Some(self.write(&self.asked(verb, resource, &place, ""), &main)?);
        }
        if let Some(status) = status {
            result = Some(self.write(&self.asked(verb, resource, &place, "status"), &json!({"status": status}))?);
        }
        result.map_or_else(|| self.write(&self.asked(verb, resource, &place, ""), &json!({})), Ok)
    }

    /// Sets `spec.externalIPs` of a Service.
    ///
    /// # Errors
    /// It isn't there, or an address is wrong.
    pub fn set_external_ips(&self, namespace: &str, name: &str, addresses: &[&str]) -> Result<Value, Status> {
        self.patch(Resource::Services, namespace, name, &json!({"spec": {"externalIPs": addresses}}))
    }

    /// Sets annotations of a Service; `None` removes one.
    ///
    /// # Errors
    /// It isn't there.
    pub fn annotate(&self, namespace: &str, name: &str, changes: &[(&str, Option<&str>)]) -> Result<Value, Status> {
        let changes: BTreeMap<_, _> = changes.iter().copied().collect();
        self.patch(Resource::Services, namespace, name, &json!({"metadata": {"annotations": changes}}))
    }

    /// Sets the condition Ready of a Node.
    ///
    /// # Errors
    /// It isn't there.
    pub fn set_ready(&self, node: &str, ready: bool) -> Result<Value, Status> {
        let (status, reason) = if ready { ("True", "KubeletReady") } else { ("Unknown", "NodeStatusUnknown") };
        let condition = json!({
            "type": "Ready", "status": status, "reason": reason, "message": reason,
            "lastHeartbeatTime": self.kube.wall(), "lastTransitionTime": self.kube.wall(),
        });
        self.patch(Resource::Nodes, "", node, &json!({"status": {"conditions": [condition]}}))
    }

    /// Sets the addresses of a Node: type and address.
    ///
    /// # Errors
    /// It isn't there.
    pub fn set_addresses(&self, node: &str, addresses: &[(&str, &str)]) -> Result<Value, Status> {
        let addresses: Vec<Value> =
            addresses.iter().map(|(kind, address)| json!({"type": kind, "address": address})).collect();
        self.patch(Resource::Nodes, "", node, &json!({"status": {"addresses": addresses}}))
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// It isn't there.
    pub fn delete(&self, resource: Resource, namespace: &str, name: &str) -> Result<Value, Status> {
        let place = json!({"metadata": {"namespace": namespace, "name": name}});
        self.write(&self.asked(Verb::Delete, resource, &place, ""), &json!({}))
    }

    /// An object as it is, with its managed fields; `None`: it isn't there.
    pub fn read(&self, resource: Resource, namespace: &str, name: &str) -> Option<Value> {
        self.kube.store().get(resource, namespace, name).map(|stored| stored.whole())
    }

    /// Forgets who owns the fields of an object, as for one that was written before the API server kept books.
    ///
    /// # Errors
    /// It isn't there.
    pub fn forget_owners(&self, resource: Resource, namespace: &str, name: &str) -> Result<Value, Status> {
        self.patch(resource, namespace, name, &json!({"metadata": {"managedFields": [{}]}}))
    }
}
