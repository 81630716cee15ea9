//! Label selectors in the syntax of Kubernetes (k8s.io/apimachinery/pkg/labels): reading, writing, matching.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::iter::Peekable;
use std::str::FromStr;

use super::quote::quoted;

/// A label selector with the full Kubernetes syntax. Matches everything when empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// All of them must hold.
    pub requirements: Vec<Requirement>,
}

/// One requirement of a [`Selector`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// `key in (values)`, `key=value`, `key==value`
    In(String, BTreeSet<String>),
    /// `key notin (values)`, `key!=value`: holds also where the key is absent.
    NotIn(String, BTreeSet<String>),
    /// `key`
    Exists(String),
    /// `!key`
    Absent(String),
    /// `key>number`: holds where the label is a greater whole number.
    Greater(String, i64),
    /// `key<number`: holds where the label is a lesser whole number.
    Less(String, i64),
}

impl Selector {
    /// Whether `labels` satisfy all requirements.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let number = |key: &String| labels.get(key).and_then(|value| value.parse::<i64>().ok());
        self.requirements.iter().all(|r| match r {
            Requirement::In(key, values) => labels.get(key).is_some_and(|v| values.contains(v)),
            Requirement::NotIn(key, values) => labels.get(key).is_none_or(|v| !values.contains(v)),
            Requirement::Exists(key) => labels.contains_key(key),
            Requirement::Absent(key) => !labels.contains_key(key),
            Requirement::Greater(key, than) => number(key).is_some_and(|n| n > *than),
            Requirement::Less(key, than) => number(key).is_some_and(|n| n < *than),
        })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, requirement) in self.requirements.iter().enumerate() {
            if position > 0 {
                f.write_str(",")?;
            }
            requirement.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut set = |key: &str, one: &str, many: &str, values: &BTreeSet<String>| {
            let list = values.iter().map(String::as_str).collect::<Vec<_>>().join(",");
            match values.len() {
                1 => write!(f, "{key}{one}{list}"),
                _ => write!(f, "{key} {many} ({list})"),
            }
        };
        match self {
            Requirement::In(key, values) => set(key, "=", "in", values),
            Requirement::NotIn(key, values) => set(key, "!=", "notin", values),
            Requirement::Exists(key) => f.write_str(key),
            Requirement::Absent(key) => write!(f, "!{key}"),
            Requirement::Greater(key, than) => write!(f, "{key}>{than}"),
            Requirement::Less(key, than) => write!(f, "{key}<{than}"),
        }
    }
}

impl FromStr for Selector {
    type Err = String;

    /// Reads what `kubectl get --selector` would take, with the same rules for keys and values.
    ///
    /// # Errors
    /// What is wrong, in words for whoever wrote it.
    fn from_str(s: &str) -> Result<Selector, String> {
        let mut tokens = Tokens { rest: s }.peekable();
        let mut requirements = Vec::new();
        if tokens.peek().is_none() {
            return Ok(Selector { requirements });
        }
        loop {
            requirements.push(requirement(&mut tokens)?);
            match tokens.next() {
                None => return Ok(Selector { requirements }),
                Some(",") => {}
                Some(other) => return Err(format!("{} stands where `,` or the end is expected", quoted(other))),
            }
        }
    }
}

/// The symbols and words of a selector, without the white space between them.
struct Tokens<'a> {
    rest: &'a str,
}

/// The longer ones first.
const SYMBOLS: [&str; 9] = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"];

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.rest = self.rest.trim_start_matches(is_blank);
        let word = || self.rest.find(|c| is_blank(c) || "=!(),><".contains(c)).unwrap_or(self.rest.len());
        let length = SYMBOLS.iter().find(|s| self.rest.starts_with(**s)).map_or_else(word, |s| s.len());
        let (token, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        (!token.is_empty()).then_some(token)
    }
}

type Stream<'a> = Peekable<Tokens<'a>>;

fn requirement(tokens: &mut Stream<'_>) -> Result<Requirement, String> {
    let absent = tokens.next_if_eq(&"!").is_some();
    let key = match tokens.next() {
        Some(token) if !SYMBOLS.contains(&token) => key(token)?,
        Some(token) => return Err(format!("{} stands where a label key is expected", quoted(token))),
        None => return Err("it ends where a label key is expected".into()),
    };
    if absent {
        return Ok(Requirement::Absent(key));
    }
    if tokens.peek().is_none_or(|token| *token == ",") {
        return Ok(Requirement::Exists(key));
    }
    match tokens.next().unwrap_or_default() {
        "=" | "==" => Ok(Requirement::In(key, BTreeSet::from([exact(tokens)?]))),
        "!=" => Ok(Requirement::NotIn(key, BTreeSet::from([exact(tokens)?]))),
        "in" => Ok(Requirement::In(key, values(tokens)?)),
        "notin" => Ok(Requirement::NotIn(key, values(tokens)?)),
        ">" => Ok(Requirement::Greater(key, number(tokens)?)),
        "<" => Ok(Requirement::Less(key, number(tokens)?)),
        other => Err(format!(
            "{} stands behind the key {} where one of `=`, `==`, `!=`, `in`, `notin`, `>`, `<` is expected",
            quoted(other),
            quoted(&key)
        )),
    }
}

/// The value behind `=`; nothing there is the empty value.
fn exact(tokens: &mut Stream<'_>) -> Result<String, String> {
    match tokens.next_if(|token| *token != ",") {
        None => Ok(String::new()),
        Some(token) => value(token),
    }
}

fn number(tokens: &mut Stream<'_>) -> Result<i64, String> {
    let token = tokens.next().unwrap_or_default();
    token.parse().map_err(|_| format!("{} stands where a whole number is expected", quoted(token)))
}

/// The values in parentheses; nothing between two commas is the empty value.
fn values(tokens: &mut Stream<'_>) -> Result<BTreeSet<String>, String> {
    match tokens.next() {
        Some("(") => {}
        Some(other) => return Err(format!("{} stands where `(` is expected", quoted(other))),
        None => return Err("it ends where `(` is expected".into()),
    }
    let mut values = BTreeSet::new();
    loop {
        values.insert(match tokens.next_if(|token| !matches!(*token, "," | ")")) {
            None => String::new(),
            Some(token) => value(token)?,
        });
        match tokens.next() {
            Some(")") => return Ok(values),
            Some(",") => {}
            Some(other) => return Err(format!("{} stands where `,` or `)` is expected", quoted(other))),
            None => return Err("a `(` has no `)`".into()),
        }
    }
}

/// Letters, digits, `-`, `_` and `.`, with a letter or digit at both ends, 63 characters at most.
fn is_name(s: &str) -> bool {
    let ends = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = s.as_bytes();
    s.len() <= 63
        && ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// A DNS subdomain as Kubernetes wants it in the prefix of a key.
fn is_prefix(s: &str) -> bool {
    let lower = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.first().is_some_and(lower)
            && bytes.last().is_some_and(lower)
            && bytes.iter().all(|b| lower(b) || *b == b'-')
    };
    s.len() <= 253 && s.split('.').all(is_label)
}

fn key(token: &str) -> Result<String, String> {
    let valid = match token.split_once('/') {
        None => is_name(token),
        Some((prefix, name)) => is_prefix(prefix) && is_name(name),
    };
    match valid {
        true => Ok(token.to_owned()),
        false => Err(format!(
            "{} is not a label key: at most 63 letters, digits, `-`, `_`, `.`, with a letter or digit at both ends, and optionally a DNS name and `/` before it",
            quoted(token)
        )),
    }
}

fn value(token: &str) -> Result<String, String> {
    match is_name(token) {
        true => Ok(token.to_owned()),
        false => Err(format!(
            "{} is not a label value: at most 63 letters, digits, `-`, `_`, `.`, with a letter or digit at both ends",
            quoted(token)
        )),
    }
}

#[cfg(test)]
mod tests;
