//! What must not be shown: a secret, and the keys that requests are signed with.

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
