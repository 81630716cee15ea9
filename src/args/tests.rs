#![allow(clippy::unwrap_used, clippy::panic)]

use clap::CommandFactory;
use slog::Level;

use super::*;
use crate::cloud::ZoneType;
use crate::expose::{DEFAULT_RESERVED_PORTS, Hostname, Policy, Settings};

fn parse(flags: &[&str]) -> Result<Config, String> {
    let args = ["external-ips", "run"].iter().chain(flags);
    let cli = Cli::try_parse_from(args).map_err(|e| e.to_string())?;
    match cli.command {
        Command::Run(run) => run.config(|_| None),
        Command::Version => Err("not a run".into()),
    }
}

fn with(flags: &[&str]) -> Config {
    parse(&[&["--cluster-name", "prod"], flags].concat()).unwrap()
}

fn refusal(flags: &[&str]) -> String {
    parse(&[&["--cluster-name", "prod"], flags].concat()).unwrap_err()
}

#[test]
fn a_cluster_name_is_enough() {
    let expected = Config {
        settings: Settings { cluster: "prod".into(), owner: "prod".into(), ..Settings::default() },
        filters: Filters::default(),
        region: None,
        kubeconfig: None,
        lease: Lease { name: "external-ips".into(), namespace: None, duration: Duration::from_secs(15) },
        dry_run: false,
        once: false,
        log_format: Format::Text,
        log_level: Level::Info,
        listen: Some("0.0.0.0:8080".parse().unwrap()),
        full_sync: Duration::from_secs(600),
        pod_name: None,
    };
    assert_eq!(with(&[]), expected);
}

#[test]
fn the_cluster_name_is_required() {
    assert!(parse(&[]).unwrap_err().contains("--cluster-name <NAME>"));
}

#[test]
fn every_flag_reaches_the_configuration() {
    let config = with(&[
        "--namespace=games",
        "--kubeconfig=/tmp/config",
        "--region=eu-west-1",
        "--zone-id-filter=Z1,/hostedzone/Z2",
        "--zone-id-filter=Z3",
        "--zone-type=private",
        "--owner-id=us",
        "--default-ttl=2m",
        "--dns-propagation=90s",
        "--default-max-ips=3",
        "--reserved-ports=8080,9000-9100",
        "--policy=upsert-only",
        "--allow-mass-delete",
        "--dry-run",
        "--once",
        "--full-sync-interval=1m30s",
        "--lease-name=my.lease",
        "--lease-namespace=kube-system",
        "--lease-duration=30s",
        "--pod-name=pod-1",
        "--listen=[::1]:9090",
        "--log-format=json",
        "--log-level=debug",
    ]);
    let mut reserved_ports = DEFAULT_RESERVED_PORTS.to_vec();
    reserved_ports.extend([(8080, 8080), (9000, 9100)]);
    let expected = Config {
        settings: Settings {
            cluster: "prod".into(),
            owner: "us".into(),
            namespace: Some("games".into()),
            default_max_nodes: Some(3),
            default_ttl: 120,
            reserved_ports,
            propagation: Duration::from_secs(90),
            policy: Policy::UpsertOnly,
            allow_mass_delete: true,
            ..Settings::default()
        },
        filters: Filters {
            domains: Vec::new(),
            zone_ids: vec!["Z1".into(), "Z2".into(), "Z3".into()],
            zone_type: ZoneType::Private,
        },
        region: Some("eu-west-1".into()),
        kubeconfig: Some("/tmp/config".into()),
        lease: Lease {
            name: "my.lease".into(),
            namespace: Some("kube-system".into()),
            duration: Duration::from_secs(30),
        },
        dry_run: true,
        once: true,
        log_format: Format::Json,
        log_level: Level::Debug,
        listen: Some("[::1]:9090".parse().unwrap()),
        full_sync: Duration::from_secs(90),
        pod_name: Some("pod-1".into()),
    };
    assert_eq!(config, expected);
}

#[test]
fn domains_limit_both_the_names_and_the_zones() {
    let config = with(&["--domain-filter=Example.com.,b.example.org", "--domain-filter=c.example.net"]);
    let names: Vec<&str> = config.filters.domains.iter().map(Hostname::as_str).collect();
    assert_eq!(names, ["example.com", "b.example.org", "c.example.net"]);
    assert_eq!(config.settings.domains, config.filters.domains);
}

#[test]
fn a_domain_that_is_none_is_refused_with_the_flag_that_holds_it() {
    let message = refusal(&["--domain-filter=exa mple"]);
    assert!(message.contains("--domain-filter") && message.contains("exa mple"), "{message}");
}

#[test]
fn a_domain_written_as_a_pattern_is_answered_with_the_domain() {
    for pattern in ["*.example.com", ".example.com"] {
        assert!(refusal(&["--domain-filter", pattern]).contains("write `example.com` instead"));
    }
}

#[test]
fn every_flag_is_also_an_environment_variable() {
    let cli = Cli::command();
    let run = cli.get_subcommands().find(|command| command.get_name() == "run").unwrap();
    let mut flags = 0;
    for arg in run.get_arguments().filter(|arg| arg.get_id() != "help") {
        let name = arg.get_long().unwrap().to_uppercase().replace('-', "_");
        assert_eq!(arg.get_env().unwrap(), format!("EXTERNAL_IPS_{name}").as_str());
        flags += 1;
    }
    assert_eq!(flags, 24);
}

#[test]
fn an_empty_value_is_no_value() {
    let config = with(&[
        "--namespace=",
        "--kubeconfig=",
        "--region=",
        "--domain-filter=",
        "--zone-id-filter=",
        "--owner-id=",
        "--default-max-ips=",
        "--reserved-ports=",
        "--lease-namespace=",
        "--pod-name=",
    ]);
    assert_eq!(config, with(&[]));
}

#[test]
fn the_owner_id_default_is_refused_however_it_came_about() {
    for flags in [&["--cluster-name=default"][..], &["--cluster-name=prod", "--owner-id=default"]] {
        let message = parse(flags).unwrap_err();
        assert!(message.contains("choose another with --owner-id"), "{message}");
    }
    assert_eq!(parse(&["--cluster-name=default", "--owner-id=us"]).unwrap().settings.owner, "us");
}

#[test]
fn names_that_end_up_in_tags_and_records_hold_nothing_odd() {
    let long = "a".repeat(101);
    for bad in ["", "a b", "a/b", "a,b", "a=b", "a\"b", "é", long.as_str()] {
        assert!(parse(&["--cluster-name", bad]).is_err(), "{bad}");
        if !bad.is_empty() {
            refusal(&["--owner-id", bad]);
        }
    }
    assert!(parse(&["--cluster-name", &long[1..]]).is_ok());
    assert!(parse(&["--cluster-name", "A.b_c-1"]).is_ok());
}

#[test]
fn names_of_kubernetes_and_aws_are_checked_before_they_reach_them() {
    for bad in ["Games", "a_b", "-a", "a-", "a.b", "../x"] {
        refusal(&["--namespace", bad]);
        refusal(&["--lease-namespace", bad]);
        refusal(&["--region", bad]);
    }
    for bad in ["", "A", "a..b", ".a", "a/b"] {
        refusal(&["--lease-name", bad]);
    }
    for bad in ["z1", "Z 1", "/hostedzone/", "Z1/Z2"] {
        let message = refusal(&["--zone-id-filter", bad]);
        assert!(message.contains("--zone-id-filter"), "{message}");
    }
}

#[test]
fn ports_are_numbers_and_ranges_in_order() {
    for bad in ["0", "65536", "a", "10-", "-10", "20-10", "1-2-3", "1;2"] {
        refusal(&[&format!("--reserved-ports={bad}")]);
    }
    let ports = with(&["--reserved-ports= 1 , 2-2,65535"]).settings.reserved_ports;
    assert_eq!(ports.get(DEFAULT_RESERVED_PORTS.len()..).unwrap(), [(1, 1), (2, 2), (65535, 65535)]);
}

#[test]
fn durations_are_written_as_in_go() {
    let cases: [(&str, Duration); 11] = [
        ("0", Duration::ZERO),
        ("0s", Duration::ZERO),
        ("15s", Duration::from_secs(15)),
        ("300ms", Duration::from_millis(300)),
        ("1.5h", Duration::from_secs(5400)),
        (".5s", Duration::from_millis(500)),
        ("1.s", Duration::from_secs(1)),
        ("1h2m3.25s", Duration::from_millis(3_723_250)),
        ("7us", Duration::from_micros(7)),
        ("7µs", Duration::from_micros(7)),
        ("0.1ns", Duration::ZERO),
    ];
    for (text, expected) in cases {
        assert_eq!(values::duration(text), Ok(expected), "{text}");
    }
    for bad in ["", "s", "60", "1d", "-1s", "+1s", "1 s", "1.2.3s", ".s", "1s2", "1h-2m", "99999999999999999h", "1e3s"]
    {
        assert!(values::duration(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_number_without_a_unit_is_answered_with_what_was_probably_meant() {
    assert!(refusal(&["--full-sync-interval", "60"]).contains("did you mean 60s?"));
}

#[test]
fn durations_have_bounds_where_the_receiver_has() {
    for bad in ["0s", "1500ms", "169h"] {
        refusal(&["--default-ttl", bad]);
    }
    for bad in ["4s", "10.5s", "301s"] {
        refusal(&["--lease-duration", bad]);
    }
    refusal(&["--full-sync-interval", "4s"]);
    refusal(&["--default-max-ips", "0"]);
    assert_eq!(with(&["--default-ttl=168h"]).settings.default_ttl, 604_800);
    assert_eq!(with(&["--dns-propagation=0"]).settings.propagation, Duration::ZERO);
}

#[test]
fn nothing_listens_when_told_so() {
    assert_eq!(with(&["--listen=off"]).listen, None);
    assert_eq!(with(&["--listen=:9000"]).listen, Some("0.0.0.0:9000".parse().unwrap()));
    for bad in ["8080", "localhost:8080", ":x", ""] {
        refusal(&["--listen", bad]);
    }
}

#[test]
fn the_pod_is_named_by_the_flag_then_by_kubernetes_then_by_the_host() {
    let name = |flags: &[&str], env: fn(&str) -> Option<String>| {
        let args = ["external-ips", "run", "--cluster-name=prod"].iter().chain(flags);
        match Cli::try_parse_from(args).unwrap().command {
            Command::Run(run) => run.config(env).unwrap().pod_name,
            Command::Version => panic!("not a run"),
        }
    };
    let both = |name: &str| Some(if name == "POD_NAME" { "pod" } else { "host" }.to_owned());
    assert_eq!(name(&["--pod-name=flag"], both).as_deref(), Some("flag"));
    assert_eq!(name(&[], both).as_deref(), Some("pod"));
    assert_eq!(name(&[], |name| (name == "HOSTNAME").then(|| "host".into())).as_deref(), Some("host"));
    assert_eq!(name(&[], |name| Some(if name == "POD_NAME" { "" } else { "host" }.into())).as_deref(), Some("host"));
}

#[test]
fn the_command_line_is_sound_and_its_help_teaches() {
    Cli::command().debug_assert();
    let help = Cli::try_parse_from(["external-ips", "run", "--help"]).unwrap_err().to_string();
    let (flags, example) = help.split_once("Example:").unwrap();
    assert!(flags.contains("[default: 60s]") && flags.contains("EXTERNAL_IPS_DEFAULT_TTL"), "{help}");
    for annotation in ["hostname", "selector", "maxips", "ttl", "source-ranges"] {
        assert!(example.contains(&format!("{}{annotation}: ", crate::expose::PREFIX)), "{annotation}");
    }
}

#[test]
fn the_examples_of_the_help_are_accepted() {
    let commands = EXAMPLE.lines().filter_map(|line| line.trim().strip_prefix("external-ips run"));
    let mut seen = 0;
    for command in commands {
        let args = ["external-ips", "run"].into_iter().chain(command.split_whitespace());
        assert!(Cli::try_parse_from(args).is_ok(), "{command}");
        seen += 1;
    }
    assert_eq!(seen, 2);
}

#[test]
fn the_readme_tells_of_every_flag_and_of_no_other() {
    let readme = include_str!("../../README.md");
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| `--")?.split_once('`'));
    let told: std::collections::BTreeSet<&str> = rows.map(|(flag, _)| flag).collect();
    let command = Cli::command();
    let run = command.find_subcommand("run").unwrap();
    let flags = run.get_arguments().filter_map(clap::Arg::get_long);
    assert_eq!(told, flags.filter(|flag| *flag != "help").collect());
}

#[test]
fn the_placeholder_of_the_manifests_is_no_name_of_a_cluster() {
    let manifest = include_str!("../../deploy/base/deployment.yaml");
    assert!(manifest.contains("--cluster-name=REPLACE_ME"));
    assert!(parse(&["--cluster-name=REPLACE_ME"]).unwrap_err().contains("placeholder"));
}
