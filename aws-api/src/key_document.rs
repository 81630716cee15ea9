//! The JSON document in which an instance (IMDS) and a container's endpoint hand out keys. Owns what is in it and
//! what is wrong with it, in words that never quote it.

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
        let expires = match &self.expiration {
            Some(text) => {
                let expires: jiff::Timestamp = text.parse().map_err(|_| "have an unreadable expiry".to_owned())?;
                SystemTime::from(expires)
            }
            None => now + LIFE,
        };
        Keys::new(id, secret, Some(token), Some(expires)).map_err(|why| format!("can't be used: {why}"))
    }
}
