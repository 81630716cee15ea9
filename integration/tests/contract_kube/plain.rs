//! Answers without what differs between any two servers: uids, versions, times, what is allocated.

use serde_json::{Value, json};
use std::collections::BTreeMap;

/// All that a server has answered.
#[derive(Default)]
pub struct Transcript {
    pub steps: Vec<Value>,
    uids: BTreeMap<String, String>,
    versions: BTreeMap<String, String>,
}

/// A word of a program's output.
fn word(word: &str) -> String {
    let bare = word.trim_matches(|c: char| "\"',;()".contains(c));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let span = |text: &str| {
        let units = text.split(['s', 'm', 'h', 'd']).collect::<Vec<_>>();
        units.len() > 1 && units.last() == Some(&"") && units[..units.len() - 1].iter().all(|part| digits(part))
    };
    if span(bare) {
        return word.replace(bare, "SPAN");
    }
    let replaced = match bare {
        _ if bare.len() == 36 && bare.matches('-').count() == 4 => "UID",
        _ if bare.starts_with("10.96.") => "CLUSTERIP",
        _ if bare.starts_with("2026-") && bare.contains('T') => "TIME",
        _ if bare.contains("127.0.0.1:") => "SERVER",
        _ if bare.matches(':').count() == 2 && bare.bytes().all(|b| b.is_ascii_digit() || b":.".contains(&b)) => "TIME",
        _ => "",
    };
    if !replaced.is_empty() {
        return word.replace(bare, replaced);
    }
    let mut out = String::new();
    let mut number = String::new();
    for character in word.chars().chain(['\0']) {
        if character.is_ascii_digit() {
            number.push(character);
            continue;
        }
        out += if number.len() > 2 { "N" } else { &number };
        number.clear();
        if character != '\0' {
            out.push(character);
        }
    }
    out
}

impl Transcript {
    /// The answer with all that differs between any two servers replaced by names.
    pub fn plain(&mut self, value: &Value) -> Value {
        self.learn(value);
        self.replaced("", value)
    }

    /// What a program printed, line by line, without what differs between servers and moments.
    pub fn lines(&mut self, text: &str) -> Vec<String> {
        let line = |line: &str| match line.split_once("patch: Invalid value: ") {
            // Go's form of the patch comes in between.
            Some((before, after)) => {
                format!("{before} {}", after.split_once("\": ").map_or("", |(_, after)| after))
            }
            None => line.to_owned(),
        };
        // What kubectl's libraries log depends on the moment: `E1126 09:03:30.1 123 reflector.go:1] ...`.
        let logged = |line: &&str| {
            let mut bytes = line.bytes();
            bytes.next().is_some_and(|level| b"EWI".contains(&level)) && bytes.take(4).all(|b| b.is_ascii_digit())
        };
        let lines: Vec<String> = text.lines().filter(|line| !logged(line)).map(line).collect();
        let mut read = |line: &String| match serde_json::from_str::<Value>(line) {
            Ok(value) if value.is_object() => self.plain(&value).to_string(),
            _ => line.clone(),
        };
        let lines: Vec<String> = lines.iter().map(&mut read).collect();
        lines.iter().map(|line| line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")).collect()
    }

    fn learn(&mut self, value: &Value) {
        match value {
            Value::Object(map) => {
                if let Some(uid) = map.get("uid").and_then(Value::as_str).filter(|uid| uid.len() == 36) {
                    let next = format!("uid{}", self.uids.len());
                    self.uids.entry(uid.to_owned()).or_insert(next);
                }
                map.values().for_each(|member| self.learn(member));
            }
            Value::Array(items) => items.iter().for_each(|item| self.learn(item)),
            _ => {}
        }
    }

    fn replaced(&mut self, name: &str, value: &Value) -> Value {
        match value {
            Value::Object(map) => {
                let list = map.contains_key("items");
                let mark = map.get("type").is_some_and(|kind| kind == "BOOKMARK");
                let member = |transcript: &mut Self, (name, value): (&String, &Value)| {
                    let within = if list && name == "metadata" { "listmeta" } else { name };
                    let mut value = value.clone();
                    if mark && name == "object" {
                        value["metadata"]["resourceVersion"] = json!("");
                    } else if within == "listmeta" {
                        value["resourceVersion"] = json!("");
                    }
                    let value = transcript.replaced(within, &value);
                    (name.clone(), value)
                };
                Value::Object(map.iter().map(|pair| member(self, pair)).collect())
            }
            Value::Array(items) => {
                let mut items: Vec<Value> = items.iter().map(|item| self.replaced(name, item)).collect();
                // Their order depends on the second in which they were written.
                if name == "managedFields" {
                    items
                        .sort_by_key(|item| format!("{}{}{}", item["operation"], item["manager"], item["subresource"]));
                }
                Value::Array(items)
            }
            Value::String(text) => self.text(name, text).into(),
            Value::Number(number) if name == "nodePort" || name == "healthCheckNodePort" => {
                if number.as_i64().is_some_and(|n| n >= 30_000) { json!("node port") } else { value.clone() }
            }
            other => other.clone(),
        }
    }

    fn text(&mut self, name: &str, text: &str) -> String {
        match name {
            "resourceVersion" if !text.is_empty() => {
                let next = format!("version{}", self.versions.len());
                return self.versions.entry(text.to_owned()).or_insert(next).clone();
            }
            "continue" if !text.is_empty() => return "token".to_owned(),
            "clusterIP" | "clusterIPs" if text.starts_with("10.96.") => return "cluster ip".to_owned(),
            _ => {}
        }
        if name.ends_with("Time") || name == "creationTimestamp" || name == "deletionTimestamp" || name == "time" {
            return if text.is_empty() { String::new() } else { "time".to_owned() };
        }
        let mut text = text.to_owned();
        for (uid, label) in &self.uids {
            text = text.replace(uid, label);
        }
        if let Some(at) = text.find("patch: Invalid value:").filter(|_| name == "message") {
            // The whole object, and Go's words for what is wrong with it.
            text.truncate(at);
        }
        if name == "message" && text.starts_with("Invalid value: \"{") {
            text.truncate(16);
        }
        if name == "message" || name == "name" {
            let mut out = String::new();
            let mut digits = String::new();
            for character in text.chars().chain(['\0']) {
                if character.is_ascii_digit() {
                    digits.push(character);
                    continue;
                }
                out += if digits.len() > 2 { "N" } else { &digits };
                digits.clear();
                if character != '\0' {
                    out.push(character);
                }
            }
            text = out;
        }
        text
    }
}
