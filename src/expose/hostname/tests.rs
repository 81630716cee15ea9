//! Rules, one test each.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::Hostname;
use proptest::prelude::*;

fn parse(s: &str) -> Result<String, String> {
    s.parse::<Hostname>().map(|hostname| hostname.to_string())
}

/// The reason alone, without the quoted name.
fn fault(s: &str) -> String {
    super::fault(s).unwrap_or_else(|| panic!("{s} is taken"))
}

#[test]
fn case_and_trailing_dot_make_no_difference() {
    for name in ["udp-server.example.com", "udp-server.example.com.", "UDP-Server.Example.COM."] {
        assert_eq!(parse(name).unwrap(), "udp-server.example.com");
    }
}

#[test]
fn digits_underscores_and_punycode_are_allowed() {
    for name in ["_sip._udp.example.com", "1.example.com", "xn--bcher-kva.example", "a--b.example.com"] {
        assert_eq!(parse(name).unwrap(), name);
    }
}

#[test]
fn a_wildcard_is_allowed_only_as_the_whole_first_label() {
    assert_eq!(parse("*.example.com.").unwrap(), "*.example.com");
    for name in ["a.*.example.com", "a*.example.com", "**.example.com", "*.*.com", "*a.example.com"] {
        assert_eq!(fault(name), "`*` is allowed only as the whole first label", "{name}");
    }
}

#[test]
fn a_label_has_at_most_63_characters() {
    let longest = "a".repeat(63);
    assert_eq!(parse(&format!("{longest}.com")).unwrap(), format!("{longest}.com"));
    let why = fault(&format!("a.{longest}b.com"));
    assert_eq!(why, format!("the label `{longest}b` has 64 characters; at most 63 are allowed"));
}

#[test]
fn a_name_has_at_most_253_characters() {
    let name = |length: usize| {
        let labels = [63, 63, 63, length - 3 * 64].map(|n| "a".repeat(n));
        labels.join(".")
    };
    assert_eq!(name(253).len(), 253);
    assert!(parse(&name(253)).is_ok());
    assert!(parse(&format!("{}.", name(253))).is_ok(), "the trailing dot doesn't count");
    assert_eq!(fault(&name(254)), "it has 254 characters; at most 253 are allowed");
}

#[test]
fn an_empty_label_is_refused() {
    for name in ["..", ".", "a..example.com", ".example.com", "a.example.com..", "*..com"] {
        let why = fault(name);
        assert!(why.contains("empty"), "{name}: {why}");
    }
    assert_eq!(fault(""), "it is empty");
}

#[test]
fn spaces_are_refused() {
    for name in ["my game.example.com", " a.example.com", "a.example.com ", "a.\texample.com", "a.example.com\n"] {
        assert_eq!(fault(name), "it holds a space", "{name:?}");
    }
}

#[test]
fn unicode_is_refused_with_a_hint_at_punycode() {
    for name in ["bücher.example.com", "游戏.example.com", "a\u{3002}example.com", "a\u{a0}b.example.com"] {
        assert!(fault(name).contains("punycode (labels that start with `xn--`)"), "{name}");
    }
}

#[test]
fn other_characters_and_dashes_at_the_ends_are_refused_by_name() {
    assert_eq!(fault("-a.example.com"), "the label `-a` begins or ends with `-`");
    assert_eq!(fault("a-.example.com"), "the label `a-` begins or ends with `-`");
    assert!(fault("a/b.example.com").starts_with("the label `a/b` holds `/`"));
    assert!(fault("a\u{0}.example.com").starts_with("the label `a\u{fffd}` holds `\u{fffd}`"));
    assert!(fault("http://a.example.com").contains("holds `:`"));
}

#[test]
fn one_label_is_not_enough_but_for_a_zone() {
    for name in ["localhost", "com."] {
        assert!(parse(name).unwrap_err().contains("only one label"));
    }
    assert_eq!(Hostname::domain("Internal.").unwrap().as_str(), "internal");
    assert!(Hostname::domain("-internal").is_err());
}

#[test]
fn an_error_repeats_at_most_100_characters_of_a_name() {
    let message = parse(&"x".repeat(100_000)).unwrap_err();
    assert!(message.starts_with(&format!("`{}…` is not a DNS name: ", "x".repeat(100))), "{message}");
    assert!(message.chars().count() < 200, "{message}");
}

#[test]
fn a_name_is_within_its_own_domain_and_not_within_one_that_only_ends_alike() {
    let name = |s: &str| s.parse::<Hostname>().unwrap();
    assert!(name("a.example.com").is_within(&name("example.com")));
    assert!(name("example.com").is_within(&name("example.com")));
    assert!(!name("badexample.com").is_within(&name("example.com")));
    assert!(!name("example.com").is_within(&name("a.example.com")));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reading_any_text_never_panics_and_what_is_read_is_in_normal_form(text in any::<String>()) {
        if let Ok(hostname) = text.parse::<Hostname>() {
            prop_assert_eq!(parse(hostname.as_str()), Ok(hostname.to_string()));
        }
    }

    #[test]
    fn reading_is_idempotent_and_keeps_all_but_case_and_dot(
        text in "(\\*\\.)?([A-Za-z0-9_-]{1,8}\\.){1,3}[A-Za-z*. -]{1,4}\\.?"
    ) {
        if let Ok(hostname) = text.parse::<Hostname>() {
            prop_assert_eq!(hostname.as_str(), text.strip_suffix('.').unwrap_or(&text).to_lowercase());
            prop_assert_eq!(parse(hostname.as_str()).unwrap(), hostname.as_str());
            prop_assert!(hostname.as_str().len() <= 253 && hostname.as_str().contains('.'));
        }
    }
}
