//! Rules, one test each.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;

use super::super::{FieldOwner, Port, Protocol, Reason, Service, ServiceKey, ServiceKind, Settings};
use super::{Exposure, Rejection, port_ranges, read};
use proptest::prelude::*;

const NAME: (&str, &str) = ("hostname", "udp-server.external-ips-test.my-org.com.");

fn udp(number: u16) -> Port {
    Port { protocol: Protocol::Udp, number }
}

fn service(annotations: &[(&str, &str)]) -> Service {
    Service {
        key: ServiceKey::new("games", "udp-server"),
        uid: "uid-1".into(),
        created: 7,
        kind: ServiceKind::LoadBalancer,
        headless: false,
        ipv6_only: false,
        half_taken_over: false,
        ports: vec![udp(6315)],
        annotations: annotations.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        source_ranges: Vec::new(),
        external_ips: Vec::new(),
        external_ips_owner: FieldOwner::Nobody,
        owns_fields: false,
        local_nodes: None,
        unread_endpoints: None,
        deleting: false,
        ready: None,
    }
}

fn exposure_of(service: &Service) -> Exposure {
    read(service, &Settings::default()).unwrap().unwrap()
}

fn rejection_of(service: &Service) -> Rejection {
    read(service, &Settings::default()).unwrap().expect_err("rejected")
}

/// The exposure with one annotation besides the name.
fn with(name: &str, value: &str) -> Exposure {
    exposure_of(&service(&[NAME, (name, value)]))
}

/// The message that refuses one annotation besides the name.
fn refused(name: &str, value: &str) -> String {
    let rejection = rejection_of(&service(&[NAME, (name, value)]));
    assert_eq!(rejection.reason, Reason::InvalidAnnotation, "{name}={value}");
    rejection.message
}

#[test]
fn the_example_of_the_readme_is_read_for_both_types() {
    for kind in [ServiceKind::LoadBalancer, ServiceKind::ClusterIp, ServiceKind::NodePort] {
        let annotations = [NAME, ("selector", "kops.k8s.io/instancegroup=general"), ("maxips", "2")];
        let exposure = exposure_of(&Service { kind, ..service(&annotations) });
        assert_eq!(exposure.hostnames, ["udp-server.external-ips-test.my-org.com".parse().unwrap()].into());
        assert_eq!(exposure.selector.to_string(), "kops.k8s.io/instancegroup=general");
        assert_eq!((exposure.max_nodes, exposure.ttl), (Some(2), 60));
        assert_eq!(exposure.ports, [udp(6315)].into());
        assert_eq!(exposure.sources, ["0.0.0.0/0".parse().unwrap()].into());
    }
}

#[test]
fn a_service_without_the_hostname_annotation_does_not_ask() {
    let settings = Settings::default();
    assert_eq!(read(&service(&[]), &settings), None);
    assert_eq!(read(&service(&[("maxips", "two"), ("selector", "((")]), &settings), None);
}

#[test]
fn a_service_that_is_being_deleted_does_not_ask() {
    assert_eq!(read(&Service { deleting: true, ..service(&[NAME]) }, &Settings::default()), None);
}

#[test]
fn a_service_of_a_namespace_that_is_not_served_does_not_ask() {
    let settings = Settings { namespace: Some("another".into()), ..Settings::default() };
    assert_eq!(read(&service(&[NAME]), &settings), None);
}

#[test]
fn several_hostnames_are_separated_by_commas() {
    let exposure = exposure_of(&service(&[("hostname", "b.example.com, A.example.com.,*.example.com")]));
    let names: Vec<&str> = exposure.hostnames.iter().map(|hostname| hostname.as_str()).collect();
    assert_eq!(names, ["*.example.com", "a.example.com", "b.example.com"]);
}

#[test]
fn bad_hostnames_are_refused_and_named() {
    let label = format!("{}.example.com", "a".repeat(64));
    let name = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "a".repeat(62));
    for (value, expected) in [
        ("", "it is empty"),
        ("  ", "it is empty"),
        ("..", "an empty label"),
        ("a..example.com", "an empty label"),
        ("a.example.com,", "it is empty"),
        ("my game.example.com", "a space"),
        ("bücher.example.com", "punycode"),
        (label.as_str(), "has 64 characters; at most 63 are allowed"),
        (name.as_str(), "has 254 characters; at most 253 are allowed"),
        ("good.example.com,bad_?.example.com", "holds `?`"),
    ] {
        let rejection = rejection_of(&service(&[("hostname", value)]));
        assert_eq!(rejection.reason, Reason::InvalidAnnotation);
        let message = rejection.message;
        assert!(message.starts_with("annotation `hostname`: ") && message.contains(expected), "{value}: {message}");
    }
}

#[test]
fn a_name_whose_ownership_record_would_be_too_long_is_refused() {
    let label = |length: usize| format!("{}.example.com", "a".repeat(length));
    assert!(read(&service(&[("hostname", &label(61))]), &Settings::default()).unwrap().is_ok());
    let rejection = rejection_of(&service(&[("hostname", &label(62))]));
    assert!(rejection.message.contains("ownership record"), "{}", rejection.message);
}

#[test]
fn a_hostname_outside_of_the_allowed_domains_is_forbidden() {
    let settings = Settings { domains: vec!["example.com".parse().unwrap()], ..Settings::default() };
    let ask = |name: &str| read(&service(&[("hostname", name)]), &settings).unwrap();
    assert!(ask("a.example.com").is_ok());
    for name in ["a.example.org", "badexample.com", "a.example.com,b.example.net"] {
        let rejection = ask(name).expect_err(name);
        assert_eq!(rejection.reason, Reason::HostnameForbidden);
        assert!(rejection.message.contains("`example.com`"), "{}", rejection.message);
    }
}

#[test]
fn maxips_is_a_positive_whole_number() {
    assert_eq!(with("maxips", "1").max_nodes, Some(1));
    assert_eq!(with("maxip", " 3 ").max_nodes, Some(3));
    for value in ["0", "-1", "two", "", "1.5", "+2", "2 nodes", "99999999999999999999"] {
        let message = refused("maxips", value);
        assert!(message.contains(&format!("`maxips`: `{value}` is not a number of nodes from 1 on")), "{message}");
    }
    assert!(refused("maxip", "0").contains("`maxip`"));
}

#[test]
fn both_spellings_of_maxips_may_stand_together_only_if_they_agree() {
    assert_eq!(exposure_of(&service(&[NAME, ("maxips", "2"), ("maxip", "2")])).max_nodes, Some(2));
    let rejection = rejection_of(&service(&[NAME, ("maxips", "2"), ("maxip", "3")]));
    assert_eq!(rejection.reason, Reason::InvalidAnnotation);
    assert!(rejection.message.contains("`maxips` (2) and `maxip` (3) disagree"), "{}", rejection.message);
}

#[test]
fn absent_annotations_take_the_configured_defaults() {
    let settings = Settings { default_max_nodes: Some(4), default_ttl: 30, ..Settings::default() };
    let exposure = read(&service(&[NAME]), &settings).unwrap().unwrap();
    assert_eq!((exposure.max_nodes, exposure.ttl), (Some(4), 30));
    let exposure = read(&service(&[NAME, ("maxips", "9"), ("ttl", "5")]), &settings).unwrap().unwrap();
    assert_eq!((exposure.max_nodes, exposure.ttl), (Some(9), 5));
    assert_eq!(exposure_of(&service(&[NAME])).max_nodes, None);
}

#[test]
fn a_ttl_is_seconds_or_a_duration_of_whole_seconds() {
    for (value, seconds) in [
        ("60", 60),
        ("1", 1),
        ("2147483647", 2_147_483_647),
        ("5m", 300),
        ("1h30m", 5400),
        ("90s", 90),
        ("1.5m", 90),
        (".5m", 30),
        ("1.m", 60),
        ("1000ms", 1),
        ("0.5s500ms", 1),
        (" 60 ", 60),
    ] {
        assert_eq!(with("ttl", value).ttl, seconds, "{value}");
    }
    for value in [
        "0",
        "-1",
        "-5m",
        "",
        "soon",
        "500ms",
        "1.5s",
        "1500ms",
        "2147483648",
        "1d",
        "5 m",
        "m",
        ".s",
        "1h30",
        "60s5",
        "1e3",
        "0s",
        "99999999999999999999999h",
        "600000h",
        "1..5s",
        "1.00000000000000000000000000001s",
    ] {
        let message = refused("ttl", value);
        assert!(message.contains("from 1 to 2147483647") && message.contains("`ttl`"), "{value}: {message}");
    }
}

#[test]
fn a_bad_selector_is_refused_with_the_place_that_is_wrong() {
    assert!(with("selector", "").selector.requirements.is_empty());
    for (value, expected) in [("a in (", "has no `)`"), ("=", "a label key is expected"), ("a=b c", "`c` stands")] {
        let message = refused("selector", value);
        assert!(message.contains("annotation `selector`") && message.contains(expected), "{message}");
    }
}

#[test]
fn the_source_ranges_of_the_annotation_win_over_those_of_the_spec() {
    let mut asks = service(&[NAME, ("source-ranges", "203.0.113.0/24, 2001:db8::/32")]);
    asks.source_ranges = vec!["198.51.100.0/24".into()];
    let ranges =
        |service: &Service| -> Vec<String> { exposure_of(service).sources.iter().map(ToString::to_string).collect() };
    assert_eq!(ranges(&asks), ["203.0.113.0/24", "2001:db8::/32"]);
    asks.annotations.remove("source-ranges");
    assert_eq!(ranges(&asks), ["198.51.100.0/24"]);
    asks.source_ranges.clear();
    assert_eq!(ranges(&asks), ["0.0.0.0/0"]);
}

#[test]
fn bad_source_ranges_are_refused_and_never_widened() {
    for value in ["", ",", "203.0.113.0/24,", "203.0.113.0", "203.0.113.0/33", "everyone", "2001:db8::/129", "1/8"] {
        let message = refused("source-ranges", value);
        assert!(message.contains("is not an address range"), "{value}: {message}");
    }
    let message = refused("source-ranges", "203.0.113.7/24");
    assert!(
        message.contains("`203.0.113.7/24` has bits set behind its length: the range is 203.0.113.0/24"),
        "{message}"
    );
    let mut asks = service(&[NAME]);
    asks.source_ranges = vec!["10.0.0.0/8".into(), "nonsense".into()];
    assert!(rejection_of(&asks).message.starts_with("spec.loadBalancerSourceRanges: `nonsense`"));
}

#[test]
fn what_the_daemon_writes_is_never_taken_as_a_command() {
    let plain = exposure_of(&service(&[NAME]));
    assert_eq!(exposure_of(&service(&[NAME, ("assigned", "10.9.9.9"), ("addresses", "nonsense")])), plain);
}

#[test]
fn a_misspelled_annotation_is_refused_with_the_right_one_and_others_are_ignored() {
    for (wrong, right) in [
        ("hostnames", "hostname"),
        ("max-ips", "maxips"),
        ("maxIPs", "maxips"),
        ("source-range", "source-ranges"),
        ("sourceRanges", "source-ranges"),
        ("selectors", "selector"),
        ("TTL", "ttl"),
    ] {
        let message = refused(wrong, "1");
        assert!(message.contains(&format!("`{wrong}` is unknown: did you mean `{right}`?")), "{message}");
    }
    assert_eq!(with("owner", "team-a"), exposure_of(&service(&[NAME])));
}

#[test]
fn services_that_cannot_be_exposed_are_refused() {
    for (asks, expected) in [
        (Service { kind: ServiceKind::ExternalName, ports: vec![], ..service(&[NAME]) }, "ExternalName"),
        (Service { headless: true, ..service(&[NAME]) }, "headless"),
        (Service { ipv6_only: true, ..service(&[NAME]) }, "ipFamilies"),
        (Service { ports: vec![], ..service(&[NAME]) }, "no ports"),
    ] {
        let rejection = rejection_of(&asks);
        assert_eq!(rejection.reason, Reason::UnsupportedService);
        assert!(rejection.message.contains(expected), "{}", rejection.message);
        assert_eq!((rejection.service, rejection.uid.as_str()), (asks.key, "uid-1"));
    }
}

#[test]
fn reserved_ports_are_refused_with_what_needs_them() {
    for (number, whose) in [
        (22, "ssh"),
        (179, "BGP"),
        (2379, "etcd"),
        (2380, "etcd"),
        (6443, "API server"),
        (10250, "kubelet"),
        (10255, "kubelet"),
        (10256, "kube-proxy"),
    ] {
        let rejection = rejection_of(&Service { ports: vec![udp(5000), udp(number)], ..service(&[NAME]) });
        assert_eq!(rejection.reason, Reason::ReservedPort);
        let message = rejection.message;
        assert!(message.contains(&format!("port {number}/UDP")) && message.contains(whose), "{message}");
    }
    let settings = Settings { reserved_ports: vec![(7000, 7010)], ..Settings::default() };
    let ask = |number| read(&Service { ports: vec![udp(number)], ..service(&[NAME]) }, &settings).unwrap();
    assert_eq!(ask(7010).unwrap_err().reason, Reason::ReservedPort);
    assert!(ask(7011).is_ok() && ask(22).is_ok());
}

#[test]
fn a_message_repeats_at_most_100_characters_of_a_value() {
    let long = "9x".repeat(50_000);
    for name in ["hostname", "selector", "maxips", "maxip", "ttl", "source-ranges"] {
        let message = rejection_of(&service(&[NAME, (name, &long)])).message;
        assert!(message.contains('…') && message.chars().count() < 500, "{name}: {message}");
    }
}

#[test]
fn contiguous_ports_of_one_protocol_are_one_range() {
    let tcp = |number| Port { protocol: Protocol::Tcp, number };
    let ports = BTreeSet::from([udp(7001), udp(7000), udp(7003), tcp(7002), udp(65535), udp(65534), tcp(1)]);
    let (t, u) = (Protocol::Tcp, Protocol::Udp);
    assert_eq!(port_ranges(&ports), [(t, 1, 1), (t, 7002, 7002), (u, 7000, 7001), (u, 7003, 7003), (u, 65534, 65535)]);
    assert_eq!(port_ranges(&BTreeSet::new()), []);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_value_of_any_annotation_makes_reading_panic(
        name in prop::sample::select(vec!["hostname", "selector", "maxips", "maxip", "ttl", "source-ranges"]),
        value in prop_oneof![any::<String>(), "[0-9a-z.:/, -]{0,30}", "[0-9.]{0,30}(ns|µs|ms|s|m|h)"],
    ) {
        let asked = read(&service(&[NAME, (name, &value)]), &Settings::default());
        if let Some(Ok(exposure)) = asked {
            prop_assert!(!exposure.hostnames.is_empty() && exposure.ttl >= 1 && exposure.max_nodes != Some(0));
            prop_assert!(!exposure.sources.is_empty());
        }
    }

    #[test]
    fn ranges_hold_exactly_the_ports(numbers in prop::collection::btree_set(1..60_u16, 0..30)) {
        let ports: BTreeSet<Port> = numbers.into_iter().map(udp).collect();
        let ranges = port_ranges(&ports);
        let again: BTreeSet<Port> = ranges.iter().flat_map(|(_, from, to)| (*from..=*to).map(udp)).collect();
        prop_assert_eq!(again, ports);
        prop_assert!(ranges.windows(2).all(|pair| pair[0].2 + 1 < pair[1].1));
    }
}
