//! Reads one of the files that the AWS tools share (`~/.aws/credentials`, `~/.aws/config`): sections, keys, values,
//! and where each stands. Knows nothing of what they mean. No error quotes a value.
//!
//! Source: SDK reference guide, "Shared config and credentials files"; where the SDKs differ, what at least two of
//! Go, Rust and Python do.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// Which of the two files it is: their headings differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `[name]` is a profile.
    Credentials,
    /// `[profile name]` is a profile, `[default]` too, `[services name]` a set of endpoints.
    Config,
}

/// Where a line stands.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Place {
    file: Arc<str>,
    line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// What a key is set to. It may be a secret: there is no `Debug`.
#[derive(Clone)]
pub(crate) struct Value {
    /// The text, of several lines when others continue it; empty where a nested block follows.
    pub(crate) text: String,
    /// Its first line.
    pub(crate) place: Place,
    /// The keys of a nested block.
    pub(crate) nested: Section,
}

/// The keys of a section, in lower case.
pub(crate) type Section = BTreeMap<String, Value>;

/// What a file holds.
#[derive(Default)]
pub(crate) struct File {
    /// The profiles by name.
    pub(crate) profiles: BTreeMap<String, Section>,
    /// The `[services NAME]` by name.
    pub(crate) services: BTreeMap<String, Section>,
    /// Names of sections that would be profiles in the other file: `[x]` in config, `[profile x]` in credentials.
    pub(crate) misplaced: BTreeSet<String>,
}

#[derive(Clone, PartialEq, Eq)]
enum Heading {
    Profile {
        name: String,
        prefixed: bool,
    },
    Services(String),
    /// Somebody else's.
    Other,
}

/// The property that deeper lines belong to.
struct Open {
    key: String,
    indent: usize,
}

/// Reads the text of the file at `path`.
///
/// # Errors
/// File, line and what is wrong.
pub(crate) fn parse(text: &str, kind: Kind, path: &str) -> Result<File, String> {
    let file: Arc<str> = path.into();
    let mut misplaced = BTreeSet::new();
    let mut sections: Vec<(Heading, Section)> = Vec::new();
    let mut open: Option<Open> = None;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        let place = Place { file: Arc::clone(&file), line: index + 1 };
        let content = line.trim();
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let deeper = open.as_ref().filter(|open| indent > open.indent);
        if deeper.is_none() && content.starts_with('[') {
            let name = heading(content).map_err(|why| format!("{place}: {why}"))?;
            sections.push((sort(name, kind, &mut misplaced), Section::new()));
            open = None;
            continue;
        }
        let Some((heading, section)) = sections.last_mut() else {
            return Err(format!("{place}: before this line there must be one with a [section]"));
        };
        if *heading == Heading::Other {
            continue;
        }
        if let Some(value) = deeper.and_then(|open| section.get_mut(&open.key)) {
            if value.text.is_empty() {
                let (key, text) = property(content).map_err(|why| format!("{place}: {why}"))?;
                value.nested.insert(key, Value { text, place, nested: Section::new() });
            } else {
                // As it stands: it may be a command with a # in it.
                value.text.push('\n');
                value.text.push_str(content);
            }
            continue;
        }
        let (key, text) = property(content).map_err(|why| format!("{place}: {why}"))?;
        open = Some(Open { key: key.clone(), indent });
        section.insert(key, Value { text, place, nested: Section::new() });
    }
    Ok(sorted(sections, misplaced))
}

/// Merges sections of the same name; what comes later wins.
fn sorted(sections: Vec<(Heading, Section)>, misplaced: BTreeSet<String>) -> File {
    let is_prefixed_default = |heading: &Heading| match heading {
        Heading::Profile { name, prefixed } => *prefixed && name == DEFAULT,
        _ => false,
    };
    let prefixed_default = sections.iter().any(|(heading, _)| is_prefixed_default(heading));
    let mut file = File { misplaced, ..File::default() };
    for (heading, section) in sections {
        match heading {
            // `[profile default]` goes before `[default]`, wherever it stands.
            Heading::Profile { name, prefixed: false } if name == DEFAULT && prefixed_default => {}
            Heading::Profile { name, .. } => file.profiles.entry(name).or_default().extend(section),
            Heading::Services(name) => file.services.entry(name).or_default().extend(section),
            Heading::Other => {}
        }
    }
    file
}

/// The name of the profile that is meant when none is named.
pub(crate) const DEFAULT: &str = "default";

/// What stands between the brackets.
fn heading(line: &str) -> Result<&str, String> {
    let (name, rest) = line
        .strip_prefix('[')
        .and_then(|line| line.split_once(']'))
        .ok_or_else(|| "the heading of a section lacks its closing bracket".to_owned())?;
    let rest = rest.trim_start();
    if !rest.is_empty() && !rest.starts_with(['#', ';']) {
        return Err("only a comment may follow the heading of a section".to_owned());
    }
    match name.trim() {
        "" => Err("the heading of a section is empty".to_owned()),
        name => Ok(name),
    }
}

/// What a heading stands for in this file.
fn sort(heading: &str, kind: Kind, misplaced: &mut BTreeSet<String>) -> Heading {
    let (first, rest) = heading.split_once([' ', '\t']).unwrap_or((heading, ""));
    let rest = unquoted(rest.trim()).trim();
    match (kind, first, rest) {
        (Kind::Credentials, "profile", name) if !name.is_empty() => {
            misplaced.insert(name.to_owned());
            Heading::Other
        }
        (Kind::Credentials, ..) => Heading::Profile { name: unquoted(heading).to_owned(), prefixed: false },
        (Kind::Config, DEFAULT, "") => Heading::Profile { name: DEFAULT.to_owned(), prefixed: false },
        (Kind::Config, "profile", name) if !name.is_empty() => {
            Heading::Profile { name: name.to_owned(), prefixed: true }
        }
        (Kind::Config, "services", name) if !name.is_empty() => Heading::Services(name.to_owned()),
        (Kind::Config, ..) => {
            misplaced.insert(heading.to_owned());
            Heading::Other
        }
    }
}

/// `key = value`, without the comment behind it.
fn property(line: &str) -> Result<(String, String), String> {
    let (key, value) = uncommented(line)
        .split_once('=')
        .ok_or_else(|| "it is neither a [section], nor `key = value`, nor the deeper rest of a value".to_owned())?;
    let key = key.trim().to_ascii_lowercase();
    if key.is_empty() {
        return Err("there is no key before the =".to_owned());
    }
    Ok((key, unquoted(value.trim()).to_owned()))
}

/// A comment in a line has a blank before it: `#` and `;` may be part of a value.
fn uncommented(line: &str) -> &str {
    let mut blank = false;
    for (at, c) in line.char_indices() {
        if blank && matches!(c, '#' | ';') {
            return line.get(..at).unwrap_or(line).trim_end();
        }
        blank = c == ' ' || c == '\t';
    }
    line
}

/// Without the quotes around the whole of it. (Those within a command stay.)
fn unquoted(text: &str) -> &str {
    for quote in ['"', '\''] {
        let inner = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
        if let Some(inner) = inner.filter(|inner| !inner.contains(quote)) {
            return inner;
        }
    }
    text
}
