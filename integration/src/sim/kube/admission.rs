//! Admission control: what scenarios put between a valid request and the store.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use super::kinds::Resource;
use super::status::Status;

/// A request under review.
#[derive(Debug)]
pub struct Review<'a> {
    /// What kind of object.
    pub resource: Resource,
    /// `status` or empty.
    pub subresource: &'a str,
    /// Who asks.
    pub user: &'a str,
    /// The object as it is; `None`: it is to be created.
    pub old: Option<&'a Value>,
    /// Nothing will come of it.
    pub dry_run: bool,
}

/// May change the object, or refuse it with the words of a 403.
pub type Hook = Arc<dyn Fn(&Review<'_>, &mut Value) -> Result<(), String> + Send + Sync>;

/// Hooks by name, run in the order of their names.
#[derive(Clone, Default)]
pub(super) struct Hooks(BTreeMap<String, Hook>);

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Hooks {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn set(&mut self, name: &str, hook: Hook) {
        self.0.insert(name.to_owned(), hook);
    }

    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    pub fn run(&self, review: &Review<'_>, value: &mut Value) -> Result<(), Status> {
        for hook in self.0.values() {
            if let Err(why) = hook(review, value) {
                let name = value["metadata"]["name"].as_str().unwrap_or_default();
                return Err(Status::forbidden(review.resource, name, &why));
            }
        }
        Ok(())
    }
}

/// The admission plugin DenyServiceExternalIPs: no Service gets an address that it hasn't.
pub fn deny_external_ips() -> Hook {
    Arc::new(|review, value| {
        if review.resource != Resource::Services || !review.subresource.is_empty() {
            return Ok(());
        }
        let addresses = |value: &Value| value["spec"]["externalIPs"].as_array().cloned().unwrap_or_default();
        let known = review.old.map(addresses).unwrap_or_default();
        if addresses(value).iter().all(|address| known.contains(address)) {
            return Ok(());
        }
        Err("Use of external IPs is denied by admission control".to_owned())
    })
}

/// A webhook as other controllers have it: each new Service of type LoadBalancer without a class gets this one.
pub fn stamp_load_balancer_class(class: &str) -> Hook {
    let class = class.to_owned();
    Arc::new(move |review, value| {
        let balanced = value["spec"]["type"] == "LoadBalancer" && value["spec"]["loadBalancerClass"].is_null();
        if review.resource == Resource::Services && review.old.is_none() && balanced {
            value["spec"]["loadBalancerClass"] = json!(class);
        }
        Ok(())
    })
}
