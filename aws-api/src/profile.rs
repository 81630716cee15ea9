//! The profiles of the shared files: where the files are, what they say together, and which profile is chosen. What
//! its keys mean is the matter of [`crate::settings`] and [`crate::credentials`].

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::config::{ConfigError, Environment, variable};
use crate::profile_file::{DEFAULT, File, Kind, Section, parse};

/// Bytes that a shared file may have.
const MAX_FILE: u64 = 1024 * 1024;

/// The keys of a key pair: they come from one file, all or none.
const PAIR: [&str; 3] = ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"];

/// What the files say.
#[derive(Default)]
pub(crate) struct Profiles {
    profiles: BTreeMap<String, Section>,
    services: BTreeMap<String, Section>,
    /// In which file a section has the other file's form.
    misplaced: BTreeMap<String, (Kind, String)>,
    /// The files, each with what became of it where it wasn't read.
    looked_at: Vec<String>,
}

impl Profiles {
    /// Reads the files that the environment names, or those at their usual places. A file that isn't there is none.
    ///
    /// # Errors
    /// When a file that a variable names can't be read, or one holds what can't be understood.
    pub(crate) fn load(environment: &Environment) -> Result<Profiles, ConfigError> {
        let mut all = Profiles::default();
        // What is in the credentials file goes before what is in the config file.
        for (kind, name, usual) in [
            (Kind::Config, "AWS_CONFIG_FILE", "config"),
            (Kind::Credentials, "AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        ] {
            let home = variable(environment, "HOME").map(Path::new);
            let (path, named) = match (variable(environment, name), home) {
                (Some(path), home) => (expanded(path, home), true),
                (None, Some(home)) => (home.join(".aws").join(usual), false),
                (None, None) => continue,
            };
            let shown = path.display().to_string();
            match read(&path) {
                Ok(text) => {
                    all.take(parse(&text, kind, &shown).map_err(ConfigError::Invalid)?, kind, &shown);
                    all.looked_at.push(shown);
                }
                Err(Unread::Absent) => all.looked_at.push(format!("{shown} (not there)")),
                // Another user's home, say.
                Err(Unread::Failed(why)) if !named => all.looked_at.push(format!("{shown} ({why})")),
                Err(Unread::Failed(why)) => {
                    return Err(ConfigError::Invalid(format!("{name}: the file {shown} can't be read: {why}")));
                }
                Err(Unread::Odd(why)) => return Err(ConfigError::Invalid(format!("the file {shown} {why}"))),
            }
        }
        Ok(all)
    }

    fn take(&mut self, file: File, kind: Kind, shown: &str) {
        for (name, section) in file.profiles {
            let known = self.profiles.entry(name).or_default();
            if PAIR.iter().any(|key| section.contains_key(*key)) {
                known.retain(|key, _| !PAIR.contains(&key.as_str()));
            }
            known.extend(section);
        }
        for (name, section) in file.services {
            self.services.entry(name).or_default().extend(section);
        }
        self.misplaced.extend(file.misplaced.into_iter().map(|name| (name, (kind, shown.to_owned()))));
    }

    /// The keys of a profile.
    pub(crate) fn profile(&self, name: &str) -> Option<&Section> {
        self.profiles.get(name)
    }

    /// The keys of a `[services NAME]`.
    pub(crate) fn services(&self, name: &str) -> Option<&Section> {
        self.services.get(name)
    }

    /// The profile that is in use: the one that `AWS_PROFILE` names, else `default`.
    ///
    /// # Errors
    /// When `AWS_PROFILE` names one that isn't there.
    pub(crate) fn choose(&self, environment: &Environment) -> Result<String, ConfigError> {
        let Some(name) = variable(environment, "AWS_PROFILE") else { return Ok(DEFAULT.to_owned()) };
        // Naming the one that needs no name asks for nothing.
        if name != DEFAULT && !self.profiles.contains_key(name) {
            return Err(ConfigError::Invalid(format!("AWS_PROFILE is {name:?}: {}", self.absent(name))));
        }
        Ok(name.to_owned())
    }

    /// What to say of a profile that isn't there.
    pub(crate) fn absent(&self, name: &str) -> String {
        let files = match self.looked_at.as_slice() {
            [] => "no file was looked at (HOME isn't set)".to_owned(),
            files => format!("looked at {}", files.join(", ")),
        };
        let known: BTreeSet<&str> = self.profiles.keys().map(String::as_str).collect();
        let known = match known.len() {
            0 => "there are no profiles".to_owned(),
            _ => format!("there are {}", known.into_iter().collect::<Vec<_>>().join(", ")),
        };
        let hint = match self.misplaced.get(name) {
            Some((Kind::Config, file)) => format!("; {file} has [{name}], where it must be [profile {name}]"),
            Some((Kind::Credentials, file)) => format!("; {file} has [profile {name}], where it must be [{name}]"),
            None => String::new(),
        };
        format!("there is no profile of that name; {files}; {known}{hint}")
    }
}

/// A path with the home directory in the place of `~`.
fn expanded(path: &str, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}

enum Unread {
    Absent,
    Failed(String),
    Odd(&'static str),
}

fn read(path: &Path) -> Result<String, Unread> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Unread::Absent,
        _ => Unread::Failed(error.to_string()),
    };
    let mut text = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    // One byte more, to see that there is more.
    file.take(MAX_FILE + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_FILE {
        return Err(Unread::Odd("is too large: more than 1 MiB"));
    }
    String::from_utf8(text).map_err(|_| Unread::Odd("isn't text in UTF-8"))
}
