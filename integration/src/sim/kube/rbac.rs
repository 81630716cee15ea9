//! Who asks, and whether they may: bearer tokens, and the roles and bindings of manifests.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::kinds::Resource;
use super::route::Asked;
use super::status::Status;
use crate::error::{Context, Result};
use crate::sim::event::Actor;

/// Somebody with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// `system:serviceaccount:NAMESPACE:NAME`, or what people are called.
    pub name: String,
    /// Groups; `system:masters` may do everything.
    pub groups: Vec<String>,
    /// For the journal, and for what is made.
    pub actor: Actor,
}

impl User {
    /// Somebody who may do everything.
    pub fn admin(actor: Actor) -> User {
        User { name: "admin".to_owned(), groups: vec!["system:masters".to_owned()], actor }
    }

    /// The ServiceAccount of `deploy/`, used by a replica.
    pub fn daemon(replica: u32) -> User {
        let name = "system:serviceaccount:external-ips:external-ips".to_owned();
        let groups = vec!["system:serviceaccounts".to_owned(), "system:authenticated".to_owned()];
        User { name, groups, actor: Actor::Replica(replica) }
    }
}

#[derive(Clone, Debug, Default)]
struct Rule {
    groups: Vec<String>,
    resources: Vec<String>,
    names: Vec<String>,
    verbs: Vec<String>,
}

/// Rules of one role for those whom a binding names.
#[derive(Clone, Debug)]
struct Grant {
    /// Empty: everywhere.
    namespace: String,
    /// User and group names.
    subjects: Vec<String>,
    rules: Vec<Rule>,
}

/// What is permitted.
#[derive(Clone, Debug, Default)]
pub struct Rights {
    grants: Vec<Grant>,
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    pub verb: &'a str,
    pub group: &'a str,
    /// With the subresource.
    pub resource: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
}

fn texts(value: &Value, name: &str) -> Vec<String> {
    let list = value.get(name).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|one| one == wanted || one == "*")
}

impl Rule {
    fn permits(&self, wish: Wish<'_>) -> bool {
        has(&self.verbs, wish.verb)
            && has(&self.groups, wish.group)
            && has(&self.resources, wish.resource)
            && (self.names.is_empty() || self.names.iter().any(|name| name == wish.name))
    }
}

impl Rights {
    /// Reads the roles and bindings of a manifest (YAML, several documents).
    ///
    /// # Errors
    /// The file can't be read.
    pub fn from_manifest(path: &Path) -> Result<Rights> {
        let text = std::fs::read_to_string(path).context(format!("read {}", path.display()))?;
        Rights::from_yaml(&text)
    }

    /// Reads roles and bindings.
    ///
    /// # Errors
    /// It isn't YAML.
    pub fn from_yaml(text: &str) -> Result<Rights> {
        let documents = serde_saphyr::from_multiple::<Value>(text)?;
        let name = |value: &Value, pointer: &str| {
            value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let mut roles: BTreeMap<(String, String, String), Vec<Rule>> = BTreeMap::new();
        for role in documents.iter().filter(|d| ["Role", "ClusterRole"].contains(&&*name(d, "/kind"))) {
            let rules = role.get("rules").and_then(Value::as_array).into_iter().flatten();
            let rules = rules.map(|rule| Rule {
                groups: texts(rule, "apiGroups"),
                resources: texts(rule, "resources"),
                names: texts(rule, "resourceNames"),
                verbs: texts(rule, "verbs"),
            });
            let key = (name(role, "/kind"), name(role, "/metadata/namespace"), name(role, "/metadata/name"));
            roles.insert(key, rules.collect());
        }
        let bindings = documents.iter().filter(|d| ["RoleBinding", "ClusterRoleBinding"].contains(&&*name(d, "/kind")));
        let grants = bindings.map(|binding| {
            let kind = name(binding, "/roleRef/kind");
            let namespace = name(binding, "/metadata/namespace");
            let of = if kind == "Role" { namespace.clone() } else { String::new() };
            let subjects = binding.get("subjects").and_then(Value::as_array).into_iter().flatten();
            let subjects = subjects.map(|subject| match &*name(subject, "/kind") {
                "ServiceAccount" => {
                    format!("system:serviceaccount:{}:{}", name(subject, "/namespace"), name(subject, "/name"))
                }
                _ => name(subject, "/name"),
            });
            Grant {
                namespace,
                subjects: subjects.collect(),
                rules: roles.get(&(kind, of, name(binding, "/roleRef/name"))).cloned().unwrap_or_default(),
            }
        });
        Ok(Rights { grants: grants.collect() })
    }

    /// Takes a verb on a resource (`services`, `services/status`) away from everybody.
    pub fn without(mut self, verb: &str, resource: &str) -> Rights {
        for rule in self.grants.iter_mut().flat_map(|grant| &mut grant.rules) {
            if rule.resources.iter().any(|one| one == resource) {
                rule.verbs.retain(|one| one != verb);
            }
        }
        self
    }

    /// The same rights on the Lease in another namespace.
    pub fn with_lease_in(mut self, namespace: &str) -> Rights {
        let more: Vec<Grant> = self
            .grants
            .iter()
            .filter(|grant| !grant.namespace.is_empty())
            .map(|grant| Grant { namespace: namespace.to_owned(), ..grant.clone() })
            .collect();
        self.grants.extend(more);
        self
    }

    pub(super) fn permits(&self, user: &User, wish: Wish<'_>) -> bool {
        if user.groups.iter().any(|group| group == "system:masters") {
            return true;
        }
        self.grants.iter().any(|grant| {
            (grant.namespace.is_empty() || grant.namespace == wish.namespace)
                && grant.subjects.iter().any(|one| *one == user.name || user.groups.contains(one))
                && grant.rules.iter().any(|rule| rule.permits(wish))
        })
    }
}

/// Refuses what a user may not do.
pub(super) fn authorize(rights: &Rights, user: &User, asked: &Asked, name: &str, verb: &str) -> Result<(), Status> {
    if asked.resource == Resource::AccessReviews {
        return Ok(());
    }
    let resource = asked.resource_path();
    // A namespace itself is in itself.
    let namespace = match asked.resource {
        Resource::Namespaces => &asked.name,
        _ => &asked.namespace,
    };
    let wish = Wish { verb, group: asked.resource.group(), resource: &resource, namespace, name };
    if rights.permits(user, wish) {
        return Ok(());
    }
    let scope = if namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace \"{namespace}\"")
    };
    let why = format!(
        "User \"{}\" cannot {verb} resource \"{resource}\" in API group \"{}\" {scope}",
        user.name,
        asked.resource.group()
    );
    Err(Status::forbidden(asked.resource, name, &why))
}
