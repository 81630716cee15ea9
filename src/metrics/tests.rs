#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use aws_api::{Class, CredentialsError, Error, Observer as _, Service};

use super::*;
use crate::expose::brake::Held;
use crate::expose::firewall::ForeignRules;
use crate::expose::nodes::Alive;
use crate::expose::plan::{Desired, Publication, RecordChange, Target, desire};
use crate::expose::{
    Group, GroupId, Instance, InstanceId, Memory, Moment, Node, Observed, Plan, PrivateIp, PublicIp, Reason, Record,
    RecordKey, RecordType, Rejection, Rule, ServiceKey, Settings, Snapshot, Step, ZoneId,
};

fn plain_text(metrics: &Metrics) -> String {
    metrics.render(None).1
}

/// The sample with that name and those labels, as it is served.
fn sample(metrics: &Metrics, series: &str) -> Option<f64> {
    let text = plain_text(metrics);
    let mut values = text.lines().filter_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok());
    let value = values.next();
    assert!(values.next().is_none(), "{series} is served twice");
    value
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn failed(code: &str, status: Option<u16>) -> Error {
    Error {
        service: Service::Ec2,
        operation: "DescribeInstances",
        class: Class::Throttled,
        code: Some(code.into()),
        message: String::new(),
        request_id: None,
        status,
        retry_after: None,
        refused: false,
    }
}

fn instance(id: &str) -> Instance {
    Instance {
        id: InstanceId(id.into()),
        running: true,
        zone: "eu-west-1a".into(),
        vpc: "vpc-1".into(),
        interface: "eni-1".into(),
        interfaces: 1,
        private_ip: None,
        public_ip: None,
        groups: Vec::new(),
    }
}

fn rule(source: &str) -> (Rule, String) {
    let rule = Rule { protocol: crate::expose::Protocol::Udp, from: 53, to: 53, source: source.parse().unwrap() };
    (rule, String::new())
}

fn key(name: &str, kind: RecordType) -> RecordKey {
    RecordKey { name: name.into(), kind, set: String::new() }
}

fn publication() -> Publication {
    Publication {
        service: ServiceKey::new("ns", "web"),
        uid: "u".into(),
        private_ips: Vec::new(),
        public_ips: Vec::new(),
        take_over: false,
    }
}

fn step(action: Action) -> Step {
    Step { action, reason: String::new(), services: Vec::new() }
}

/// Calls `look` with a world of two nodes in one zone, one of which serves, one skipped node, a Service in a port
/// conflict, our pair of records beside foreign ones, and two groups.
fn with_world(look: impl FnOnce(&Desired<'_>, &Observed, &Settings)) {
    let settings = Settings { owner: "prod".into(), rules_per_group: 42, ..Settings::default() };
    let snapshot = Snapshot::default();
    let mut observed = Observed::default();
    let twin = "\"heritage=external-dns,external-dns/owner=prod,external-dns/resource=service/ns/web\"";
    let record = |value: &str| Record { ttl: Some(60), values: [value.to_owned()].into() };
    let records = BTreeMap::from([
        (key("web.example.com", RecordType::A), record("192.0.2.1")),
        (key("a-web.example.com", RecordType::Txt), record(twin)),
        (key("secret.example.com", RecordType::A), record("192.0.2.9")),
        (key("example.com", RecordType::Other("NS".into())), record("ns1")),
    ]);
    observed.records.insert(ZoneId("Z1".into()), records);
    for (id, rules) in [("sg-1", vec!["10.0.0.0/8"]), ("sg-2", vec!["0.0.0.0/0", "192.0.2.0/24", "::/0"])] {
        let rules = rules.into_iter().map(rule).collect();
        let foreign_rules = ForeignRules { v4: 3, v6: 0 };
        let id = GroupId(id.into());
        let group = Group { id: id.clone(), name: "g".into(), vpc: "vpc-1".into(), rules, foreign_rules };
        observed.groups.insert(id, group);
    }
    let node = Node { name: "a".into(), ready: true, ..Node::default() };
    let (serving, spare) = (instance("i-1"), instance("i-2"));
    let mut desired = desire(&snapshot, &observed, &settings, &Memory::default(), Moment::default());
    for instance in [&serving, &spare] {
        let (private_ip, public_ip) = (PrivateIp([10, 0, 0, 1].into()), PublicIp([192, 0, 2, 1].into()));
        desired.joined.alive.insert(instance.id.clone(), Alive { node: &node, instance, private_ip, public_ip });
    }
    desired.joined.skipped.insert("fargate".into(), "not an EC2 node".into());
    desired.placement.nodes.insert(ServiceKey::new("ns", "web"), vec![serving.id.clone()]);
    let service = ServiceKey::new("ns", "late");
    let rejection =
        Rejection { service: service.clone(), uid: "u".into(), reason: Reason::PortConflict, message: String::new() };
    desired.rejections.insert(service, rejection);
    look(&desired, &observed, &settings);
}

fn observe(metrics: &Metrics, states: &[(&str, u64)]) {
    let states = states.iter().map(|(state, n)| ((*state).to_owned(), *n)).collect();
    with_world(|desired, observed, settings| metrics.observed(&states, desired, observed, settings));
}

/// With every metric that there is.
fn everything() -> Metrics {
    let stats = ProcessStats { cpu_seconds: 1.5, resident_bytes: 4096, open_fds: 9, start_seconds: 1_700_000_000.5 };
    let metrics = Metrics::default().with_process(move || Some(stats));
    metrics.attempt(Service::Ec2, "DescribeInstances", Some(200), None, Duration::from_millis(20));
    metrics.call(Service::Route53, "ListHostedZones", Ok(()), 1, Duration::from_millis(30));
    metrics.limiter_waited(Service::Ec2, Duration::from_millis(7));
    metrics.credentials("the role r", Ok(Some(at(1_700_000_000))));
    metrics.leading(true);
    metrics.reconciled(0, Duration::from_secs(1), at(100));
    metrics.changed(&Action::DeleteGroup { group: GroupId("sg-1".into()) }, true);
    metrics.watch_errors(&[("services", "gone", 1)]);
    metrics.held(None);
    metrics.planned(&Plan { steps: vec![step(Action::Publish(publication()))], ..Plan::default() });
    observe(&metrics, &[("Synced", 1)]);
    metrics
}

/// Name, kind, help and label names of each family in a text of the Prometheus format.
fn families(text: &str) -> BTreeMap<String, (String, String, BTreeSet<Vec<String>>)> {
    let mut families: BTreeMap<String, (String, String, BTreeSet<Vec<String>>)> = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            families.entry(name.into()).or_default().1 = help.trim_end_matches('.').into();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            families.entry(name.into()).or_default().0 = kind.into();
        } else {
            let (series, _) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let labels = labels.trim_end_matches('}').split("\",").filter(|label| !label.is_empty());
            let labels: Vec<String> =
                labels.map(|label| label.split_once('=').unwrap().0.to_owned()).filter(|label| label != "le").collect();
            let stem = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
            let family = stem.filter(|stem| families.contains_key(*stem)).unwrap_or(name);
            families.get_mut(family).unwrap_or_else(|| panic!("{name} has no type")).2.insert(labels);
        }
    }
    families
}

#[test]
fn the_table_and_what_is_served_are_the_same() {
    let served: Vec<(String, String, String, BTreeSet<Vec<String>>)> =
        families(&plain_text(&everything())).into_iter().map(|(n, (k, h, l))| (n, k, h, l)).collect();
    let table: Vec<(String, String, String, BTreeSet<Vec<String>>)> = METRICS
        .iter()
        .map(|row| {
            let labels = row.labels.iter().map(|label| (*label).to_owned()).collect();
            (row.name.into(), row.kind.into(), row.help.into(), BTreeSet::from([labels]))
        })
        .collect();
    assert_eq!(served, table);
}

#[test]
fn no_gauge_is_named_like_a_counter_and_units_are_base_units() {
    for row in METRICS {
        assert_eq!(row.name.ends_with("_total"), row.kind == "counter", "{}", row.name);
        assert!(!row.name.contains("milli") && !row.help.is_empty(), "{}", row.name);
        assert!(row.kind != "histogram" || row.name.ends_with("_seconds") || row.name.ends_with("_retries"));
    }
}

#[test]
fn no_label_ever_holds_a_name_of_the_cluster_or_of_a_zone() {
    let text = plain_text(&everything());
    for name in ["web", "example.com", "late", "fargate", "i-1", "sg-1", "192.0.2", "10.0.0"] {
        assert!(!text.contains(name), "{name} in {text}");
    }
}

#[test]
fn plain_text_has_nothing_of_open_metrics() {
    let text = plain_text(&everything());
    assert!(!text.contains("# EOF") && !text.contains("# UNIT") && !text.contains(" info\n"), "{text}");
    assert!(text.contains("# TYPE aws_api_calls_total counter\n"), "{text}");
    assert!(text.contains("# TYPE external_ips_build_info gauge\n"), "{text}");
    assert!(text.contains("\nexternal_ips_last_success_timestamp_seconds 100.0\n"), "{text}");
    assert!(text.ends_with('\n') && !text.contains("\n\n"), "{text}");
}

#[test]
fn open_metrics_names_families_without_their_suffix_and_ends_with_eof() {
    let (content_type, text) = everything().render(Some("application/openmetrics-text"));
    assert_eq!(content_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(text.contains("# TYPE aws_api_calls counter\n") && text.contains("\naws_api_calls_total{"), "{text}");
    assert!(text.contains("# TYPE external_ips_build info\n"), "{text}");
    assert!(text.contains("# UNIT process_resident_memory_bytes bytes\n"), "{text}");
    assert!(text.ends_with("\n# EOF\n"), "{text}");
}

#[test]
fn open_metrics_is_for_those_who_ask_for_it() {
    let metrics = Metrics::default();
    let form = |accept| metrics.render(accept).0.split(';').next().unwrap();
    for accept in [
        "application/openmetrics-text",
        "APPLICATION/OpenMetrics-Text; version=1.0.0; charset=utf-8",
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
         text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        "text/plain;q=0.5, application/openmetrics-text;version=\"1.0.0\";q=0.5",
    ] {
        assert_eq!(form(Some(accept)), "application/openmetrics-text", "{accept}");
    }
    for accept in [
        "",
        "*/*",
        "text/plain",
        "application/*",
        "application/openmetrics-text;q=0",
        "application/openmetrics-text;q=nonsense",
        "application/openmetrics-text;version=2.0.0",
        "application/openmetrics-text;q=0.4,text/plain;q=0.5",
    ] {
        assert_eq!(form(Some(accept)), "text/plain", "{accept}");
    }
    assert_eq!(form(None), "text/plain");
}

#[test]
fn calls_and_attempts_are_counted_by_their_answer() {
    let metrics = Metrics::default();
    let took = Duration::from_millis(40);
    metrics.attempt(Service::Ec2, "DescribeInstances", Some(503), Some("RequestLimitExceeded"), took);
    metrics.attempt(Service::Ec2, "DescribeInstances", None, None, took);
    metrics.attempt(Service::Ec2, "DescribeInstances", Some(200), None, took);
    metrics.call(Service::Ec2, "DescribeInstances", Ok(()), 2, took * 3);
    metrics.call(Service::Ec2, "DescribeInstances", Err(&failed("AuthFailure", Some(401))), 0, took);
    let series = |name: &str, status: u16, code: &str| {
        format!(
            "{name}{{service=\"EC2\",operation=\"DescribeInstances\",status_code=\"{status}\",error_code=\"{code}\"}}"
        )
    };
    for (status, code) in [(503, "RequestLimitExceeded"), (0, ""), (200, "")] {
        assert_eq!(sample(&metrics, &series("aws_api_requests_total", status, code)), Some(1.0), "{status} {code}");
    }
    assert_eq!(sample(&metrics, &series("aws_api_calls_total", 200, "")), Some(1.0));
    assert_eq!(sample(&metrics, &series("aws_api_calls_total", 401, "AuthFailure")), Some(1.0));
    let place = "{service=\"EC2\",operation=\"DescribeInstances\"}";
    assert_eq!(sample(&metrics, &format!("aws_api_request_duration_seconds_count{place}")), Some(3.0));
    assert_eq!(sample(&metrics, &format!("aws_api_call_duration_seconds_sum{place}")), Some(0.16));
    assert_eq!(sample(&metrics, &format!("aws_api_call_retries_sum{place}")), Some(2.0));
}

#[test]
fn whatever_answers_in_the_place_of_aws_cannot_make_series_without_end() {
    let metrics = Metrics::default();
    let attempt =
        |code: &str| metrics.attempt(Service::Ec2, "DescribeInstances", Some(400), Some(code), Duration::ZERO);
    (0..1000).for_each(|n| attempt(&format!("Code{n}")));
    ["", "with space", "a\"b", &"x".repeat(81)].into_iter().for_each(attempt);
    attempt("Code7");
    let text = plain_text(&metrics);
    let series: Vec<&str> = text.lines().filter(|line| line.starts_with("aws_api_requests_total{")).collect();
    assert_eq!(series.len(), 101);
    assert!(series.iter().any(|line| line.contains("error_code=\"Code7\"") && line.ends_with(" 2")), "{text}");
    assert!(series.iter().any(|line| line.contains("error_code=\"other\"") && line.ends_with(" 904")), "{text}");
}

#[test]
fn rounds_are_counted_by_result_and_only_success_moves_last_success() {
    let metrics = Metrics::default();
    let success = || sample(&metrics, "external_ips_last_success_timestamp_seconds");
    metrics.reconciled(1, Duration::from_secs(1), at(50));
    assert_eq!(success(), None);
    metrics.reconciled(0, Duration::from_secs(2), at(100));
    metrics.reconciled(1, Duration::from_secs(3), at(200));
    metrics.reconciled(2, Duration::from_secs(4), at(300));
    assert_eq!(success(), Some(100.0));
    assert_eq!(sample(&metrics, "external_ips_last_reconcile_timestamp_seconds"), Some(300.0));
    assert_eq!(sample(&metrics, "external_ips_consecutive_failures"), Some(2.0));
    assert_eq!(sample(&metrics, "external_ips_reconcile_total{result=\"success\"}"), Some(1.0));
    assert_eq!(sample(&metrics, "external_ips_reconcile_total{result=\"failure\"}"), Some(3.0));
    assert_eq!(sample(&metrics, "external_ips_reconcile_duration_seconds_sum"), Some(10.0));
}

#[test]
fn a_standby_tells_that_it_does_not_lead_and_nothing_of_the_world() {
    let metrics = Metrics::new("my-lease");
    let master = "leader_election_master_status{name=\"my-lease\"}";
    assert_eq!(sample(&metrics, master), Some(0.0));
    metrics.leading(true);
    assert_eq!(sample(&metrics, master), Some(1.0));
    metrics.reconciled(0, Duration::from_secs(1), at(100));
    observe(&metrics, &[("Synced", 1)]);
    metrics.planned(&Plan { steps: vec![step(Action::Publish(publication()))], ..Plan::default() });
    metrics.leading(false);
    // A round that goes on for a while after the loss.
    metrics.planned(&Plan { steps: vec![step(Action::Publish(publication()))], ..Plan::default() });
    observe(&metrics, &[("Synced", 1)]);
    metrics.reconciled(0, Duration::from_secs(1), at(101));
    assert_eq!(sample(&metrics, master), Some(0.0));
    let text = plain_text(&metrics);
    for row in METRICS.iter().filter(|row| row.help.ends_with("leader only")) {
        assert!(!text.contains(row.name), "{} in {text}", row.name);
    }
    metrics.leading(true);
    metrics.reconciled(0, Duration::from_secs(1), at(200));
    assert_eq!(sample(&metrics, "external_ips_last_success_timestamp_seconds"), Some(200.0));
}

#[test]
fn a_state_that_no_service_is_in_any_more_is_zero() {
    let metrics = Metrics::default();
    observe(&metrics, &[("Synced", 3), ("PortConflict", 1)]);
    observe(&metrics, &[("Synced", 4)]);
    assert_eq!(sample(&metrics, "external_ips_services{state=\"Synced\"}"), Some(4.0));
    assert_eq!(sample(&metrics, "external_ips_services{state=\"PortConflict\"}"), Some(0.0));
}

#[test]
fn the_world_is_counted_as_it_was_seen() {
    let metrics = Metrics::default();
    observe(&metrics, &[]);
    let expected = [
        ("external_ips_nodes{zone=\"eu-west-1a\",state=\"serving\"}", 1.0),
        ("external_ips_nodes{zone=\"eu-west-1a\",state=\"eligible\"}", 1.0),
        ("external_ips_nodes{zone=\"unknown\",state=\"skipped\"}", 1.0),
        ("external_ips_dns_records{type=\"A\",ownership=\"ours\"}", 1.0),
        ("external_ips_dns_records{type=\"A\",ownership=\"foreign\"}", 1.0),
        ("external_ips_dns_records{type=\"TXT\",ownership=\"ours\"}", 1.0),
        ("external_ips_dns_records{type=\"TXT\",ownership=\"foreign\"}", 0.0),
        ("external_ips_dns_records{type=\"NS\",ownership=\"foreign\"}", 1.0),
        ("external_ips_security_group_rules{family=\"ipv4\"}", 5.0),
        ("external_ips_security_group_rules{family=\"ipv6\"}", 1.0),
        ("external_ips_security_group_rules_limit", 42.0),
        ("external_ips_port_conflicts", 1.0),
    ];
    for (series, value) in expected {
        assert_eq!(sample(&metrics, series), Some(value), "{series}");
    }
}

#[test]
fn withdrawals_that_are_held_are_counted_until_they_go_on() {
    let metrics = Metrics::default();
    let leaving = ["a", "b"].map(|name| ServiceKey::new("games", name)).into();
    metrics.held(Some(&Held { leaving, exposed: 3 }));
    assert_eq!(sample(&metrics, "external_ips_withdrawals_held"), Some(2.0));
    metrics.held(None);
    assert_eq!(sample(&metrics, "external_ips_withdrawals_held"), Some(0.0));
}

#[test]
fn steps_are_counted_by_what_they_change_and_a_dry_run_changes_nothing() {
    let metrics = Metrics::default();
    let change = |delete: bool, create: bool| {
        let record = || (key("web.example.com", RecordType::A), Record { ttl: Some(60), values: BTreeSet::new() });
        let some = |yes: bool| yes.then(record).into_iter().collect();
        let (zone, name) = (ZoneId("Z1".into()), "web.example.com".into());
        Action::ChangeRecords(RecordChange { zone, name, delete: some(delete), create: some(create) })
    };
    metrics.changed(&change(false, true), true);
    metrics.changed(&change(true, true), false);
    metrics.changed(&change(true, false), true);
    metrics.changed(&Action::TryPublication(publication()), true);
    for (action, result) in [("create", "success"), ("update", "failure"), ("delete", "success")] {
        let series =
            format!("external_ips_changes_total{{resource=\"dns_record\",action=\"{action}\",result=\"{result}\"}}");
        assert_eq!(sample(&metrics, &series), Some(1.0), "{series}");
    }
    assert_eq!(plain_text(&metrics).matches("\nexternal_ips_changes_total{").count(), 3);
    assert!(matches!(change(true, true).target(), Target::Name(..)));
}

#[test]
fn the_plan_shows_the_steps_that_are_due() {
    let metrics = Metrics::default();
    let release = Action::Release { service: ServiceKey::new("ns", "web"), uid: "u".into() };
    metrics.planned(&Plan { steps: vec![step(release.clone()), step(release)], ..Plan::default() });
    let series = "external_ips_plan_changes{resource=\"service\",action=\"release\"}";
    assert_eq!(sample(&metrics, series), Some(2.0));
    metrics.planned(&Plan::default());
    assert_eq!(sample(&metrics, series), Some(0.0));
}

#[test]
fn the_expiry_of_credentials_stays_while_renewing_them_fails() {
    let metrics = Metrics::default();
    let series = "external_ips_aws_credentials_expiry_timestamp_seconds{provider=\"the role r\"}";
    let failure = CredentialsError { source: "the role r".into(), message: "denied".into(), temporary: false };
    metrics.credentials("the role r", Err(&failure));
    assert_eq!(sample(&metrics, series), None);
    metrics.credentials("the role r", Ok(Some(at(1_700_000_000))));
    metrics.credentials("the role r", Err(&failure));
    assert_eq!(sample(&metrics, series), Some(1_700_000_000.0));
    metrics.credentials("the role r", Ok(None));
    assert_eq!(sample(&metrics, series), Some(f64::INFINITY));
}

#[test]
fn counts_that_are_told_as_totals_never_go_back() {
    let metrics = Metrics::default();
    let series = "external_ips_watch_errors_total{resource=\"nodes\",error=\"gone\"}";
    for (told, served) in [(3, 3.0), (3, 3.0), (5, 5.0), (4, 5.0)] {
        metrics.watch_errors(&[("nodes", "gone", told)]);
        assert_eq!(sample(&metrics, series), Some(served));
    }
}

#[test]
fn the_readme_tells_of_every_metric_and_of_no_other() {
    let readme = include_str!("../../README.md");
    let section = readme.split("## Probes and metrics").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let told: BTreeSet<&str> = rows.map(|(name, _)| name).collect();
    assert_eq!(told, METRICS.iter().map(|row| row.name).collect());
}
