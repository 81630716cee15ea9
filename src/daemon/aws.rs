//! AWS for the daemon: where it is, what requests are signed with, and who is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_api::credentials::CredentialsParts;
use aws_api::{
    AssumedRole, Client, ClientParts, Config, Credentials, CredentialsError, Error, Observer, Random, Service,
    Settings, TimeSource, Transport,
};
use slog::{Logger, debug, info, warn};

use crate::args::DnsRole;
use crate::leader::{Fence, fence_aws};

/// How the sessions of a role are called in CloudTrail.
const SESSION: &str = "external-ips";

/// What the clients are made of.
pub(super) struct Parts<'a> {
    pub settings: &'a Settings,
    /// The region that was asked for.
    pub region: Option<&'a str>,
    /// The role that Route 53 is asked with.
    pub dns_role: Option<&'a DnsRole>,
    pub write_timeout: Duration,
    pub transport: Transport,
    pub fence: &'a Fence,
    pub time: Arc<dyn TimeSource>,
    pub random: Arc<dyn Random>,
    /// Is told of the calls.
    pub calls: Arc<dyn Observer>,
    /// Is told of the calls for credentials, and of these.
    pub credentials: Arc<dyn Observer>,
    pub log: &'a Logger,
}

/// The clients, with what each signs with.
pub(super) struct Aws {
    pub ec2: Client,
    pub dns: Client,
    credentials: Vec<Arc<Credentials>>,
}

impl Aws {
    /// Finds out where AWS is and where keys come from. IMDS may be asked for the region, nobody else for anything.
    pub(super) async fn connect(parts: Parts<'_>) -> Result<Aws, String> {
        let mut config = Config::resolve(parts.settings, parts.region, parts.transport.clone(), parts.time.clone())
            .await
            .map_err(|e| e.to_string())?;
        config.write_timeout = parts.write_timeout;
        config.user_agent = concat!("external-ips/", env!("CARGO_PKG_VERSION")).into();
        // Credentials are fetched by candidates too, past the fence: that changes nothing.
        let credentials_parts = CredentialsParts {
            transport: parts.transport.clone(),
            config: config.clone(),
            time: parts.time.clone(),
            random: parts.random.clone(),
            observer: parts.credentials,
        };
        let own = Credentials::from_settings(parts.settings, &credentials_parts).map_err(|e| e.to_string())?;
        let own = Arc::new(own);
        let client = |credentials: &Arc<Credentials>| {
            Client::new(ClientParts {
                transport: fence_aws(parts.transport.clone(), parts.fence.clone()),
                config: config.clone(),
                credentials: credentials.clone(),
                time: parts.time.clone(),
                random: parts.random.clone(),
                observer: parts.calls.clone(),
            })
        };
        let ec2 = client(&own);
        info!(parts.log, "AWS"; "region" => &config.region, "credentials" => own.source());
        let Some(role) = parts.dns_role else { return Ok(Aws { dns: ec2.clone(), ec2, credentials: vec![own] }) };
        let role = AssumedRole {
            arn: role.arn.clone(),
            external_id: role.external_id.clone(),
            session_name: Some(SESSION.into()),
            duration: None,
        };
        let its = Credentials::assume_role(own.clone(), role, &credentials_parts)
            .map_err(|e| format!("--dns-role-arn: {e}"))?;
        let its = Arc::new(its);
        info!(parts.log, "Route 53"; "credentials" => its.source());
        // The limits of Route 53 are each account's own, and so are the client's.
        Ok(Aws { dns: client(&its), ec2, credentials: vec![own, its] })
    }

    /// Renews all keys before they expire. Never ends.
    pub(super) async fn keep_fresh(credentials: Vec<Arc<Credentials>>) {
        futures::future::join_all(credentials.iter().map(|credentials| credentials.keep_fresh())).await;
    }

    /// The credentials that the clients sign with.
    pub(super) fn credentials(&self) -> Vec<Arc<Credentials>> {
        self.credentials.clone()
    }
}

/// Passes on what it sees of credentials, and logs what changes. Renewing them in the background is no progress of
/// the loop.
pub(super) struct CredentialsAreTold {
    pub next: Arc<dyn Observer>,
    pub log: Logger,
    /// The last failure of each source, until it gives keys again.
    pub failing: Mutex<BTreeMap<String, String>>,
}

impl Observer for CredentialsAreTold {
    fn attempt(
        &self,
        service: Service,
        operation: &'static str,
        status: Option<u16>,
        code: Option<&str>,
        took: Duration,
    ) {
        self.next.attempt(service, operation, status, code, took);
    }

    fn call(
        &self,
        service: Service,
        operation: &'static str,
        outcome: Result<(), &Error>,
        retries: u32,
        took: Duration,
    ) {
        // What failed of it is told below, with what it was for.
        self.next.call(service, operation, outcome, retries, took);
    }

    fn limiter_waited(&self, service: Service, waited: Duration) {
        self.next.limiter_waited(service, waited);
    }

    fn credentials(&self, source: &str, outcome: Result<Option<SystemTime>, &CredentialsError>) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(_) if failing.remove(source).is_some() => {
                info!(self.log, "there are AWS credentials from {} again", source)
            }
            Ok(_) => debug!(self.log, "new AWS credentials"; "from" => source),
            Err(error) => {
                let told = error.summary();
                if failing.get(source) != Some(&told) {
                    warn!(self.log, "{}; any that are still good stay in use", error);
                    failing.insert(source.to_owned(), told);
                }
            }
        }
        self.next.credentials(source, outcome);
    }
}
