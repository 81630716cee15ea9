//! What is there, for people: one block a Service, or one line.

use super::facts::{Facts, ServiceFacts};
use super::screen::say;

/// Shows these Services as they are, in full.
pub(super) fn show(facts: &Facts, namespace: &str, names: &[&str]) {
    for service in names.iter().filter_map(|name| facts.service(namespace, name)) {
        say(&format!("\n  Service {}/{}", service.namespace, service.name));
        line("hostname", &service.hostnames().join(" "));
        for node in facts.published(service) {
            let name = facts.node_name(&node.id);
            let public = node.public.as_deref().unwrap_or("none");
            let private = node.private.as_deref().unwrap_or("none");
            line("node", &format!("{name}  {}  {}  public {public}  private {private}", node.id, node.zone));
            for (group, rule) in facts.rules_on(node, &service.description()) {
                let (from, to) = rule.ports;
                let ports = if from == to { from.to_string() } else { format!("{from}-{to}") };
                let protocol = rule.protocol.to_uppercase();
                line("  rule", &format!("{ports}/{protocol} from {}  in {} ({})", rule.source, group.id, group.name));
            }
        }
        let names = service.hostnames();
        let records = facts.records.iter();
        for record in records.filter(|record| names.iter().any(|name| is_of(&record.name, name))) {
            line("record", &format!("{} {} {} {}", record.name, record.ttl, record.kind, record.values.join(" ")));
        }
        line("externalIPs", &service.external_ips.join(" "));
        if let Some((status, reason, message)) = &service.condition {
            line("Ready", &format!("{status} ({reason}): {message}"));
        }
    }
}

/// Whether a record is a name's, or its twin's.
fn is_of(record: &str, name: &str) -> bool {
    record == name || record.strip_prefix("a-") == Some(name)
}

fn line(what: &str, value: &str) {
    say(&format!("    {what:<12} {value}"));
}

/// All Services that ask or have something of ours, one line each, under a heading.
pub(super) fn brief(facts: &Facts) -> Vec<String> {
    let heading = ["SERVICE", "PORTS", "LISTED", "PUBLISHED ON", "OPEN", "READY"].map(str::to_owned);
    let mut rows = vec![heading];
    rows.extend(facts.services.iter().map(|service| row(facts, service)));
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    let padded = |row: &[String; 6]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("  {}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_owned()
    };
    rows.iter().map(padded).collect()
}

fn row(facts: &Facts, service: &ServiceFacts) -> [String; 6] {
    let ports: Vec<String> =
        service.ports.iter().map(|(protocol, port)| format!("{port}/{}", protocol.to_uppercase())).collect();
    let listed: Vec<String> = facts.listed(service).into_iter().collect();
    let published: Vec<_> = facts.published(service).collect();
    let nodes: Vec<&str> = published.iter().map(|node| facts.node_name(&node.id)).collect();
    let open = published.iter().filter(|node| facts.is_open(node, service)).count();
    let ready = match &service.condition {
        Some((status, reason, _)) => format!("{status} ({reason})"),
        None => "-".to_owned(),
    };
    let or_none = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    [
        format!("{}/{}", service.namespace, service.name),
        ports.join(","),
        or_none(listed.join(" ")),
        or_none(nodes.join(" ")),
        format!("{open}/{}", published.len()),
        ready,
    ]
}
