//! What must not be shown: a secret, and the keys that requests are signed with.

use std::collections::HashSet;
use std::fmt;
use std::time::SystemTime;

/// Text that is never shown: `Debug` masks it, `Display` doesn't exist.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` from being shown.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Shorter ones can't be told from words, and no secret of AWS's is.
const SHORTEST: usize = 8;
/// This many characters of a secret in a row are part of it, wherever they stand.
const RUN: usize = 12;

/// `text` without what it holds of `secrets`: an answer may repeat what it was asked with, in whole (AWS quotes the
/// headers that it expected a signature of, the token among them) or in part.
pub(crate) fn without(text: &str, secrets: &[&str]) -> String {
    let mut hidden = vec![false; text.len()];
    for secret in secrets.iter().filter(|secret| secret.len() >= SHORTEST) {
        let run = secret.len().min(RUN);
        let known: HashSet<&[u8]> = secret.as_bytes().windows(run).collect();
        for (start, found) in text.as_bytes().windows(run).enumerate() {
            if known.contains(found) {
                hidden.iter_mut().skip(start).take(run).for_each(|it| *it = true);
            }
        }
    }
    let mut out = String::with_capacity(text.len());
    let mut masked = false;
    for (start, letter) in text.char_indices() {
        if !hidden.iter().skip(start).take(letter.len_utf8()).any(|&it| it) {
            out.push(letter);
            masked = false;
        } else if !masked {
            out.push_str("(secret)");
            masked = true;
        }
    }
    out
}

/// One set of credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Names the key pair; not secret by itself.
    pub access_key_id: String,
    /// The key that signs.
    pub secret_access_key: Secret,
    /// Goes with temporary keys.
    pub session_token: Option<Secret>,
    /// When AWS stops accepting them; `None` for keys that don't expire.
    pub expires: Option<SystemTime>,
}

impl Keys {
    /// Keys as they come from outside.
    ///
    /// # Errors
    /// When a part is empty or can't be part of an HTTP header. What it says never holds the part itself.
    pub fn new(
        access_key_id: &str,
        secret_access_key: &str,
        session_token: Option<&str>,
        expires: Option<SystemTime>,
    ) -> Result<Keys, String> {
        let parts = [
            ("access key id", Some(access_key_id)),
            ("secret access key", Some(secret_access_key)),
            ("session token", session_token),
        ];
        for (what, part) in parts {
            let Some(part) = part else { continue };
            if part.is_empty() {
                return Err(format!("the {what} is empty"));
            }
            if !part.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(format!("the {what} has a blank or another character that no {what} has"));
            }
        }
        Ok(Keys {
            access_key_id: access_key_id.to_owned(),
            secret_access_key: Secret::new(secret_access_key),
            session_token: session_token.map(Secret::new),
            expires,
        })
    }
}
