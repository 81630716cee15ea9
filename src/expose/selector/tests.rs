//! Rules, one test each.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use super::{Requirement, Selector};
use proptest::prelude::*;

fn labels(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    list.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

fn matches(selector: &str, list: &[(&str, &str)]) -> bool {
    selector.parse::<Selector>().unwrap_or_else(|e| panic!("{selector}: {e}")).matches(&labels(list))
}

fn canonical(selector: &str) -> String {
    selector.parse::<Selector>().unwrap_or_else(|e| panic!("{selector}: {e}")).to_string()
}

#[test]
fn all_forms_of_the_kubernetes_syntax_are_read() {
    for (text, expected) in [
        ("a=b,c in (x,y),!d,e!=f,g notin (h)", "a=b,c in (x,y),!d,e!=f,g!=h"),
        ("kops.k8s.io/instancegroup=general", "kops.k8s.io/instancegroup=general"),
        ("a==b", "a=b"),
        ("a in (x)", "a=x"),
        (" a = b , c ", "a=b,c"),
        ("a\tin\n( x , y )", "a in (x,y)"),
        ("a in(x,y)", "a in (x,y)"),
        ("! a", "!a"),
        ("a", "a"),
        ("a=", "a="),
        ("a=,b", "a=,b"),
        ("a!=", "a!="),
        ("a in ()", "a="),
        ("a in (,x)", "a in (,x)"),
        ("in in (in,notin)", "in in (in,notin)"),
        ("notin", "notin"),
        ("cpu>4,cpu<16", "cpu>4,cpu<16"),
        ("", ""),
        ("  ", ""),
    ] {
        assert_eq!(canonical(text), expected, "{text}");
    }
}

#[test]
fn each_operator_holds_where_kubernetes_says_so() {
    let node = &[("pool", "general"), ("zone", "a"), ("cpu", "8"), ("empty", "")];
    for selector in [
        "pool=general",
        "pool",
        "!gpu",
        "gpu!=yes",
        "gpu notin (yes)",
        "zone in (a,b)",
        "zone notin (c,d)",
        "cpu>7",
        "cpu<9",
        "empty=",
        "empty",
        "pool=general,zone=a",
        "",
    ] {
        assert!(matches(selector, node), "{selector}");
    }
    for selector in [
        "pool=other",
        "gpu",
        "!pool",
        "pool!=general",
        "gpu in (yes)",
        "gpu=",
        "zone in (b,c)",
        "zone notin (a,b)",
        "cpu>8",
        "cpu<8",
        "pool>1",
        "gpu<1",
        "pool=general,zone=b",
    ] {
        assert!(!matches(selector, node), "{selector}");
    }
}

#[test]
fn a_malformed_selector_is_refused_with_the_place_that_is_wrong() {
    for (text, expected) in [
        ("nonsense in (", "has no `)`"),
        ("a in (x", "has no `)`"),
        ("a in (x y)", "`y` stands where `,` or `)` is expected"),
        ("a in x", "`x` stands where `(` is expected"),
        ("a in", "ends where `(` is expected"),
        ("a=b,", "ends where a label key is expected"),
        (",a=b", "`,` stands where a label key is expected"),
        ("a=b,,c", "`,` stands where a label key is expected"),
        ("=b", "`=` stands where a label key is expected"),
        ("!", "ends where a label key is expected"),
        ("!!a", "`!` stands where a label key is expected"),
        ("a b", "`b` stands behind the key `a`"),
        ("a=b c", "`c` stands where `,` or the end is expected"),
        ("!a=b", "`=` stands where `,` or the end is expected"),
        ("a===b", "`=` is not a label value"),
        ("a=(b)", "`(` is not a label value"),
        ("a=b;c=d", "`b;c` is not a label value"),
        ("a>x", "`x` stands where a whole number is expected"),
        ("a>", "where a whole number is expected"),
        ("a in (x))", "`)` stands where `,` or the end is expected"),
    ] {
        let error = text.parse::<Selector>().expect_err(text);
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn keys_and_values_follow_the_rules_for_labels() {
    let long = "a".repeat(63);
    for text in [&long, &format!("x={long}"), "a.b-c_d", "example.com/A", "a=B.c-d_e", &format!("{long}.com/{long}")] {
        assert!(text.parse::<Selector>().is_ok(), "{text}");
    }
    for text in [
        &format!("{long}a"),
        &format!("x={long}a"),
        "-a",
        "a-",
        "a=-b",
        "a=b-",
        "/a",
        "a/",
        "a/b/c",
        "A.com/x",
        "a_b/x",
        "a..b/x",
        "-a.b/x",
        "ä",
        "a=ä",
        "a=b/c",
        "a=*",
    ] {
        assert!(text.parse::<Selector>().is_err(), "{text}");
    }
}

#[test]
fn an_error_repeats_at_most_100_characters() {
    for text in ["x".repeat(100_000), format!("a={}", "x".repeat(100_000)), format!("a {}", "x".repeat(100_000))] {
        let error = text.parse::<Selector>().unwrap_err();
        assert!(error.chars().count() < 300, "{error}");
    }
}

fn name() -> impl Strategy<Value = String> {
    "[A-Za-z0-9]([A-Za-z0-9_.-]{0,6}[A-Za-z0-9])?|in|notin"
}

fn requirement() -> impl Strategy<Value = Requirement> {
    let key = || ("([a-z]{1,3}\\.[a-z]{1,3}/)?", name()).prop_map(|(prefix, name)| prefix + &name);
    let values = || prop::collection::btree_set(prop_oneof![4 => name(), 1 => Just(String::new())], 1..4);
    prop_oneof![
        (key(), values()).prop_map(|(key, values)| Requirement::In(key, values)),
        (key(), values()).prop_map(|(key, values)| Requirement::NotIn(key, values)),
        key().prop_map(Requirement::Exists),
        key().prop_map(Requirement::Absent),
        (key(), any::<i64>()).prop_map(|(key, than)| Requirement::Greater(key, than)),
        (key(), any::<i64>()).prop_map(|(key, than)| Requirement::Less(key, than)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_as_the_same(requirements in prop::collection::vec(requirement(), 0..5)) {
        let selector = Selector { requirements };
        prop_assert_eq!(selector.to_string().parse::<Selector>(), Ok(selector));
    }

    #[test]
    fn reading_any_text_never_panics(text in prop_oneof![any::<String>(), "[ab,=!()<> in]{0,20}"]) {
        if let Ok(selector) = text.parse::<Selector>() {
            prop_assert_eq!(selector.to_string().parse::<Selector>(), Ok(selector));
        }
    }
}
