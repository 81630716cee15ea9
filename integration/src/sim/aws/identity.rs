//! Who there is: access keys with their secrets, roles and who may take them on.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::sim::event::Actor;

use super::policy::Policy;

/// Whoever has an access key.
#[derive(Clone)]
pub(super) struct Principal {
    pub secret: String,
    pub token: Option<String>,
    pub policy: Arc<Policy>,
    pub actor: Actor,
    pub arn: String,
    /// Temporary keys end.
    pub expires: Option<SystemTime>,
}

/// A role.
#[derive(Clone)]
pub(super) struct Role {
    pub policy: Arc<Policy>,
    /// Tokens of web identities that may take it on, and who they are.
    pub web_identities: BTreeMap<String, Actor>,
    /// Whether whoever has `sts:AssumeRole` may take it on.
    pub trusts_account: bool,
}

/// All of them.
#[derive(Default)]
pub(super) struct Identities {
    pub principals: BTreeMap<String, Principal>,
    pub roles: BTreeMap<String, Role>,
    /// The role that IMDS gives keys of, by its name.
    pub instance_role: Option<String>,
    /// IMDS's tokens and when each ends.
    pub imds_tokens: BTreeMap<String, SystemTime>,
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal").field("actor", &self.actor).field("arn", &self.arn).finish_non_exhaustive()
    }
}
