//! DNS names as people write them, read into one normal form. Knows nothing of zones or records.

use std::fmt;
use std::str::FromStr;

use super::quote::quoted;

/// A label has at most 63 octets (RFC 1035, 2.3.4).
const MAX_LABEL: usize = 63;

/// A name has at most 255 octets with its length bytes (RFC 1035, 2.3.4): 253 characters as it is written.
const MAX_NAME: usize = 253;

/// A DNS name in normal form: lower case, no trailing dot, `*` for a wildcard label. One that is published has two labels
/// at least.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hostname(String);

impl Hostname {
    /// Reads a domain or the name of a zone: it may have one label only, as private zones do.
    ///
    /// # Errors
    /// What is wrong with it, in words for whoever wrote it.
    pub fn domain(s: &str) -> Result<Hostname, String> {
        match fault(s) {
            None => Ok(Hostname(s.strip_suffix('.').unwrap_or(s).to_ascii_lowercase())),
            Some(why) => Err(format!("{} is not a DNS name: {why}", quoted(s))),
        }
    }

    /// The name, without trailing dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name is `domain` or lies below it.
    pub fn is_within(&self, domain: &Hostname) -> bool {
        self.0.strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Hostname {
    type Err = String;

    /// Reads a name of two labels at least, with or without its trailing dot, in any case.
    ///
    /// # Errors
    /// What is wrong with it, in words for whoever wrote it.
    fn from_str(s: &str) -> Result<Hostname, String> {
        let name = Hostname::domain(s)?;
        if name.as_str().contains('.') {
            return Ok(name);
        }
        Err(format!("{} is not a DNS name: it has only one label; a name below a hosted zone is expected", quoted(s)))
    }
}

/// The first thing that is wrong with a name.
fn fault(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() {
        return Some("it is empty".into());
    }
    if !name.is_ascii() {
        return Some(
            "it holds characters that are not ASCII; write it in punycode (labels that start with `xn--`)".into(),
        );
    }
    if name.contains(|c: char| c.is_ascii_whitespace()) {
        return Some("it holds a space".into());
    }
    if name.len() > MAX_NAME {
        return Some(format!("it has {} characters; at most {MAX_NAME} are allowed", name.len()));
    }
    name.split('.').enumerate().find_map(|(position, label)| label_fault(position, label))
}

fn label_fault(position: usize, label: &str) -> Option<String> {
    if label.is_empty() {
        return Some("it has an empty label (two dots in a row, or a dot at the start)".into());
    }
    if label.len() > MAX_LABEL {
        let length = label.len();
        return Some(format!("the label {} has {length} characters; at most {MAX_LABEL} are allowed", quoted(label)));
    }
    if label.contains('*') {
        let whole = label == "*" && position == 0;
        return (!whole).then(|| "`*` is allowed only as the whole first label".into());
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Some(format!("the label {} begins or ends with `-`", quoted(label)));
    }
    let odd = label.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_')))?;
    Some(format!(
        "the label {} holds {}; letters, digits, `-` and `_` are allowed",
        quoted(label),
        quoted(&odd.to_string())
    ))
}

#[cfg(test)]
mod tests;
