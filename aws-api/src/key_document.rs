//! The JSON documents in which an instance (IMDS), a container's endpoint and a `credential_process` hand out keys.
//! Owns what is in them and what is wrong with them, in words that never quote them.

use std::time::{Duration, SystemTime};

use serde::Deserialize;

use crate::secret::Keys;

/// How long keys are good whose document doesn't say; as the SDKs assume.
const LIFE: Duration = Duration::from_secs(900);

/// The document with the keys, or with an error.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct KeyDocument {
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
    token: Option<String>,
    expiration: Option<String>,
    #[serde(alias = "code")]
    pub(crate) code: Option<String>,
    #[serde(alias = "message")]
    pub(crate) message: Option<String>,
}

impl KeyDocument {
    /// Reads the document.
    ///
    /// # Errors
    /// Words to go behind "the keys".
    pub(crate) fn parse(body: &[u8]) -> Result<KeyDocument, String> {
        // The parser would take any bytes in a member that nobody reads, and a list of values for an object. What it
        // says may quote the document.
        let text = std::str::from_utf8(body).map_err(|_| "aren't text".to_owned())?;
        let object = Some(text).filter(|text| text.trim_start().starts_with('{'));
        object.and_then(|text| serde_json::from_str(text).ok()).ok_or_else(|| "aren't a JSON document".to_owned())
    }

    /// A document that says nothing but `message`.
    pub(crate) fn of_message(message: &str) -> KeyDocument {
        KeyDocument { message: Some(message.to_owned()), ..KeyDocument::default() }
    }

    /// What of it must not be shown, should its message repeat it.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        [&self.secret_access_key, &self.token].into_iter().flatten().map(String::as_str)
    }

    /// The error code of a document that holds no keys.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.code.as_deref().filter(|&code| code != "Success")
    }

    /// The keys, as read at `now`.
    ///
    /// # Errors
    /// Words to go behind "the keys".
    pub(crate) fn keys(&self, now: SystemTime) -> Result<Keys, String> {
        let (Some(id), Some(secret), Some(token)) = (&self.access_key_id, &self.secret_access_key, &self.token) else {
            return Err("lack a part".to_owned());
        };
        let expires = self.expiration.as_deref().map(moment).transpose()?.unwrap_or(now + LIFE);
        Keys::new(id, secret, Some(token), Some(expires)).map_err(|why| format!("can't be used: {why}"))
    }
}

/// When keys expire.
fn moment(text: &str) -> Result<SystemTime, String> {
    let moment: jiff::Timestamp = text.parse().map_err(|_| "have an unreadable expiry".to_owned())?;
    Ok(SystemTime::from(moment))
}

/// What a `credential_process` prints.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Printed {
    version: Option<u64>,
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
    session_token: Option<String>,
    expiration: Option<String>,
}

/// The keys that a `credential_process` printed. Those without an expiry are good for ever.
///
/// # Errors
/// Words to go behind "the keys".
pub(crate) fn printed(output: &[u8]) -> Result<Keys, String> {
    let document: Printed = serde_json::from_slice(output).map_err(|_| {
        "aren't a JSON document such as {\"Version\": 1, \"AccessKeyId\": ..., \"SecretAccessKey\": ...}".to_owned()
    })?;
    if document.version != Some(1) {
        return Err("aren't of version 1: \"Version\": 1 is expected".to_owned());
    }
    let (Some(id), Some(secret)) = (&document.access_key_id, &document.secret_access_key) else {
        return Err("lack a part: AccessKeyId and SecretAccessKey are expected".to_owned());
    };
    let token = document.session_token.as_deref().filter(|token| !token.is_empty());
    let expires = document.expiration.as_deref().map(moment).transpose()?;
    Keys::new(id, secret, token, expires).map_err(|why| format!("can't be used: {why}"))
}
