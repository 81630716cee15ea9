//! What is there, for people: one block a Service, read back from the API server and from AWS.

use super::expected::Expected;
use super::say;
use super::stage::Stage;
use crate::error::Result;

/// Shows the Services as they are.
pub(super) async fn show(stage: &Stage, services: &[&Expected]) -> Result<()> {
    let names = stage.node_names().await?;
    for service in services {
        let actual = service.read(stage).await?;
        say(&format!("\n  Service {}/{}", stage.world.namespace, service.name));
        line("hostname", &service.hostname());
        for node in &actual.nodes {
            let name = names.get(&node.id).map(String::as_str).unwrap_or("?");
            let public = node.public.as_deref().unwrap_or("none");
            let private = node.private.as_deref().unwrap_or("none");
            line("node", &format!("{name}  {}  {}  public {public}  private {private}", node.id, node.zone));
            let description = service.description(stage);
            for (_, group) in actual.groups.iter().filter(|(instance, _)| *instance == node.id) {
                for rule in group.rules.iter().filter(|rule| rule.description == description) {
                    let (from, to) = rule.ports;
                    let ports = if from == to { from.to_string() } else { format!("{from}-{to}") };
                    let protocol = rule.protocol.to_uppercase();
                    line(
                        "  rule",
                        &format!("{ports}/{protocol} from {}  in {} ({})", rule.source, group.id, group.name),
                    );
                }
            }
        }
        for record in &actual.records {
            line("record", &format!("{} {} {} {}", record.name, record.ttl, record.kind, record.values.join(" ")));
        }
        line("externalIPs", &actual.external_ips.join(" "));
        if let Some((status, reason, message)) = &actual.condition {
            line("Ready", &format!("{status} ({reason}): {message}"));
        }
    }
    Ok(())
}

fn line(what: &str, value: &str) {
    say(&format!("    {what:<12} {value}"));
}
