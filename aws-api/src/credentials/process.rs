//! A program that prints keys (`credential_process`). Owns how the command is taken apart, the running of it, and
//! what is told of it: never what it printed to its output.
//!
//! Source: SDK reference guide, "Process credential provider". Unlike with some SDKs no shell is involved: words are
//! taken apart as a POSIX shell does, with quotes and backslashes, and nothing is expanded.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::CredentialsError;
use crate::config::Environment;
use crate::key_document::printed;
use crate::secret::Keys;
use crate::time::TimeSource;

/// Time for the program.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes that it may print, to each of its two outputs.
const MAX_OUTPUT: u64 = 64 * 1024;
/// Characters of its complaint that are told.
const MAX_TOLD: usize = 300;

pub(super) struct Process {
    name: String,
    program: String,
    arguments: Vec<String>,
    environment: Environment,
    time: Arc<dyn TimeSource>,
}

impl Process {
    /// The program of `command`; it gets `environment` and nothing else of ours.
    ///
    /// # Errors
    /// When the command can't be taken apart. It isn't quoted: it may hold a password.
    pub(super) fn new(
        name: String,
        command: &str,
        environment: &Environment,
        time: &Arc<dyn TimeSource>,
    ) -> Result<Process, String> {
        let mut words = words(command)?.into_iter();
        let program = words.next().filter(|program| !program.is_empty()).ok_or("it names no program")?;
        let (arguments, environment) = (words.collect(), environment.clone());
        Ok(Process { name, program, arguments, environment, time: Arc::clone(time) })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) async fn fetch(&self) -> Result<Keys, CredentialsError> {
        let failed = |why: String| CredentialsError::temporary(&self.name, why);
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(format!("the program {} can't be started: {error}", self.program)))?;
        let (output, complaint) = (child.stdout.take(), child.stderr.take());
        let running = async {
            let (output, complaint) = tokio::join!(read(output), read(complaint));
            Ok::<_, std::io::Error>((output?, complaint?, child.wait().await?))
        };
        let (output, complaint, status) = match tokio::time::timeout(TIMEOUT, running).await {
            Ok(Ok(done)) => done,
            Ok(Err(error)) => return Err(failed(format!("the program {} was lost: {error}", self.program))),
            Err(_) => {
                let seconds = TIMEOUT.as_secs();
                return Err(failed(format!("the program {} didn't end within {seconds} s", self.program)));
            }
        };
        if !status.success() {
            let said = match told(&complaint) {
                said if said.is_empty() => " and said nothing".to_owned(),
                said => format!(" and said: {said}"),
            };
            return Err(failed(format!("the program {} ended with {status}{said}", self.program)));
        }
        if output.len() as u64 > MAX_OUTPUT {
            return Err(failed(format!("the program {} printed more than {MAX_OUTPUT} bytes", self.program)));
        }
        let keys =
            printed(&output).map_err(|what| failed(format!("the keys of the program {} {what}", self.program)))?;
        if keys.expires.is_some_and(|expires| expires <= self.time.now()) {
            return Err(failed(format!("the program {} printed keys that have expired already", self.program)));
        }
        Ok(keys)
    }
}

/// What is printed; of more than may be, a little more than that. Read to its end, so that the program comes to its
/// own.
async fn read(from: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    let Some(mut from) = from else { return Ok(kept) };
    (&mut from).take(MAX_OUTPUT + 1).read_to_end(&mut kept).await?;
    tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    Ok(kept)
}

/// The words of a command.
fn words(command: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or(OPEN_QUOTE)? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or(OPEN_QUOTE)? {
                        '"' => break,
                        '\\' => match chars.next().ok_or(OPEN_QUOTE)? {
                            c @ ('"' | '\\' | '$' | '`') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(chars.next().ok_or("it ends with a backslash")?),
            c if c.is_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

const OPEN_QUOTE: &str = "a quote is not closed in it";

/// A complaint in one line, not too long, without what may be a secret.
fn told(complaint: &[u8]) -> String {
    let text = String::from_utf8_lossy(complaint);
    let mut line = String::new();
    let mut hide_next = false;
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        let (shown, next) = if std::mem::take(&mut hide_next) { (HIDDEN.to_owned(), false) } else { masked(word) };
        hide_next = next;
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&shown);
        if line.len() > 4 * MAX_TOLD {
            break;
        }
    }
    line.chars().take(MAX_TOLD).collect()
}

const HIDDEN: &str = "(hidden)";
/// What announces a secret when a `=` or `:` follows.
const ANNOUNCING: [&str; 6] = ["secret", "token", "password", "passwd", "credential", "authorization"];
/// A secret access key has 40 characters, a token more.
const SECRET_LENGTH: usize = 40;

/// A word without what may be a secret in it, and whether the next one may be one.
fn masked(word: &str) -> (String, bool) {
    if let Some(at) = word.find(['=', ':'])
        && let Some((name, value)) = word.split_at_checked(at + 1)
    {
        let lower = name.to_ascii_lowercase();
        if ANNOUNCING.iter().any(|announcing| lower.contains(announcing)) {
            let value = value.trim_matches(['"', '\'']);
            return if value.is_empty() { (name.to_owned(), true) } else { (format!("{name}{HIDDEN}"), false) };
        }
    }
    let run = word.split(|c: char| !c.is_ascii_alphanumeric() && !"+/=_-.".contains(c));
    let secret = |run: &str| {
        run.len() >= SECRET_LENGTH
            && run.bytes().any(|b| b.is_ascii_digit())
            && run.bytes().any(|b| b.is_ascii_uppercase())
            && run.bytes().any(|b| b.is_ascii_lowercase())
    };
    (if run.into_iter().any(secret) { HIDDEN.to_owned() } else { word.to_owned() }, false)
}
