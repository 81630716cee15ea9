//! Hostnames, hosted zones, record sets and their ownership twins.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// A DNS name in normal form: lower case, no trailing dot, `*` for a wildcard label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hostname(String);

impl Hostname {
    /// The name, without trailing dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Hostname {
    type Err = String;

    fn from_str(s: &str) -> Result<Hostname, String> {
        Err(format!("`{s}` is not a DNS name"))
    }
}

/// A Route 53 hosted zone id, without `/hostedzone/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZoneId(pub String);

impl fmt::Display for ZoneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A hosted zone that passes the filters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its id.
    pub id: ZoneId,
    /// Its name.
    pub name: Hostname,
}

/// The record types that the core tells apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordType {
    /// IPv4 addresses.
    A,
    /// Text: our ownership twins.
    Txt,
    /// Any other, by name.
    Other(String),
}

/// What identifies a record set within a zone. The name is in the normal form of [`decode_name`], but may be one
/// that is no valid [`Hostname`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    /// Normalised name: lower case, no trailing dot, octal escapes of printable characters undone.
    pub name: String,
    /// Type.
    pub kind: RecordType,
    /// Set identifier of weighted, latency and similar records; empty for simple ones.
    pub set: String,
}

/// A record set, as observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// TTL in seconds; `None` for aliases.
    pub ttl: Option<u32>,
    /// Values exactly as Route 53 holds them (addresses, quoted text). Left empty for records of other types.
    pub values: BTreeSet<String>,
}

/// A name as Route 53 spells it (`\\052.Example.com.`) in normal form: lower case, no trailing dot, octal escapes
/// of printable characters undone. Two names are the same exactly when their normal forms are.
pub fn normal_name(name: &str) -> String {
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        let octal = (c == '\\')
            .then(|| rest.get(..3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 8).ok())
            .filter(|byte| byte.is_ascii_graphic() && *byte != b'.' && *byte != b'\\');
        match octal {
            Some(byte) => {
                out.push(char::from(byte.to_ascii_lowercase()));
                rest = rest.get(3..).unwrap_or_default();
            }
            None => out.push(c.to_ascii_lowercase()),
        }
    }
    out
}
