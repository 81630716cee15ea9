//! What is done on a scene: replicas come and go, Services change.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use super::expected::Expected;
use super::facts::Facts;
use super::scene::{Progress, Scene, example};
use super::screen::{self, say};
use super::table;
use crate::daemon::Daemon;
use crate::error::{Context, Result};
use crate::eventually::within;
use crate::world::{ANNOTATION_PREFIX, DOMAIN};

/// A scene with the replicas on it.
pub(super) struct Stage<S> {
    pub(super) scene: S,
    binary: PathBuf,
    replicas: BTreeMap<String, Arc<Daemon>>,
    /// The groups of each interface before we came.
    interfaces: BTreeMap<String, Vec<String>>,
}

impl<S: Scene> Stage<S> {
    /// Builds what isn't built yet and starts everything but the replicas.
    pub(super) async fn set() -> Result<Self> {
        say(S::TITLE);
        let progress = Progress::begin();
        let binary = tokio::task::spawn_blocking(crate::daemon::binary_like_us).await??;
        progress.say("the daemon is built");
        let scene = S::set(&progress).await?;
        let mut interfaces = BTreeMap::new();
        for instance in scene.facts().await?.instances {
            let interface = instance.primary_interface()?;
            interfaces.insert(interface.id.clone(), interface.groups.clone());
        }
        Ok(Self { scene, binary, replicas: BTreeMap::new(), interfaces })
    }

    /// Starts a replica as a process of its own.
    pub(super) async fn start_replica(&mut self, name: &str) -> Result<Arc<Daemon>> {
        let daemon = Arc::new(self.scene.replica(name).await?.start_binary(&self.binary)?);
        self.replicas.insert(name.to_owned(), Arc::clone(&daemon));
        Ok(daemon)
    }

    /// The replica that the Lease names.
    pub(super) async fn leader(&self) -> Result<Option<String>> {
        let holder = self.scene.holder().await?;
        Ok(self.replicas.keys().find(|name| holder.starts_with(&format!("{name}_"))).cloned())
    }

    /// Waits until a replica says that it is ready to take over.
    pub(super) async fn ready(&self, name: &str) -> Result<()> {
        let replica = self.replicas.get(name).context("no such replica")?;
        let look = || async { Ok(replica.get("/readyz").await?.0) };
        within(super::PATIENCE, format!("{name} is ready"), look, |status| *status == 200).await.map(drop)
    }

    /// Kills a replica.
    pub(super) fn kill(&self, name: &str) -> Result<()> {
        self.replicas.get(name).context("no such replica")?.kill();
        self.scene.killed(name);
        Ok(())
    }

    /// Applies a Service of type ClusterIP.
    pub(super) async fn apply_turn(&self) -> Result<()> {
        let turn = example()?.name("turn").kind("ClusterIP").hostname(&format!("turn.{DOMAIN}")).max_ips(3);
        self.scene.apply(turn.ports(&[("TCP", 3478), ("UDP", 3478)])).await
    }

    /// Changes the example's port and how many nodes it wants.
    pub(super) async fn change_example(&self, port: u16, nodes: usize) -> Result<()> {
        let patch = json!({
            "metadata": {"annotations": {format!("{ANNOTATION_PREFIX}maxips"): nodes.to_string()}},
            "spec": {"ports": [{"port": port, "protocol": "UDP", "targetPort": port}]}
        });
        self.scene.services().patch("udp-server", &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    /// Removes what asks for exposure from both Services.
    pub(super) async fn withdraw_annotations(&self) -> Result<()> {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {format!("{ANNOTATION_PREFIX}hostname"): null}}}));
        for name in ["udp-server", "turn"] {
            self.scene
                .services()
                .patch(name, &PatchParams::default(), &patch)
                .await
                .context(format!("patch {name}"))?;
        }
        Ok(())
    }

    /// Deletes both Services.
    pub(super) async fn delete_services(&self) -> Result<()> {
        for name in ["udp-server", "turn"] {
            self.scene.services().delete(name, &DeleteParams::default()).await.context(format!("delete {name}"))?;
        }
        Ok(())
    }

    /// How what is there differs from what ought to be.
    pub(super) async fn differences(&self, expected: &[&Expected]) -> Result<Vec<String>> {
        let facts = self.scene.facts().await?;
        Ok(expected.iter().flat_map(|one| one.differences(&facts, self.scene.namespace())).collect())
    }

    /// Shows Services as they are.
    pub(super) async fn show(&self, services: &[&Expected]) -> Result<()> {
        let names: Vec<&str> = services.iter().map(|one| one.name.as_str()).collect();
        table::show(&self.scene.facts().await?, self.scene.namespace(), &names);
        Ok(())
    }

    /// What is left of ours, and what isn't as it was.
    pub(super) async fn left_over(&self) -> Result<Vec<String>> {
        let facts = self.scene.facts().await?;
        let mut left: Vec<String> = facts.groups.iter().map(|group| format!("security group {}", group.name)).collect();
        left.extend(facts.records.iter().map(|record| format!("record {} {}", record.name, record.kind)));
        for instance in &facts.instances {
            let interface = instance.primary_interface()?;
            if self.interfaces.get(&interface.id) != Some(&interface.groups) {
                left.push(format!("groups {:?} on {}", interface.groups, instance.id));
            }
        }
        for service in &facts.services {
            let name = &service.name;
            left.extend(service.external_ips.iter().map(|ip| format!("{name}: externalIP {ip}")));
            for ours in ["assigned", "addresses"] {
                left.extend(service.annotation(ours).map(|value| format!("{name}: annotation {ours}={value}")));
            }
            left.extend(service.condition.as_ref().map(|(_, reason, _)| format!("{name}: condition {reason}")));
        }
        Ok(left)
    }

    /// Shows all Services, one line each, whenever something about them has changed. Doesn't end.
    pub(super) async fn keep_showing(&self) -> Result<()> {
        let mut shown = Vec::new();
        let mut before = Facts::default();
        loop {
            let facts = self.scene.facts().await?;
            let mut lines = vec![String::new()];
            lines.extend(table::brief(&facts));
            lines.extend(self.scene.verdict().map(|(line, _)| format!("  {line}")));
            screen::footer(lines);
            // Where nothing can be drawn anew: what has come to rest, once.
            let lines = table::brief(&facts);
            if !screen::is_live() && facts == before && lines != shown {
                say(&format!("\n{}", lines.join("\n")));
                shown = lines;
            }
            before = facts;
            tokio::time::sleep(S::LOOK_EVERY).await;
        }
    }
}
