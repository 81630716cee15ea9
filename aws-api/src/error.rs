//! Errors are values: what was asked of whom, what AWS said, and what class of trouble it is.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::operation::Service;
use crate::secret::without;

/// What kind of trouble an [`Error`] is, judged by the parsed code and never by the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Too many requests: slow down and try again. Nothing was done.
    Throttled,
    /// The service failed before doing anything, or could not be reached at all: try again.
    Transient,
    /// The request may or may not have taken effect (a time-out or a reset after it was sent, a 5xx answer or
    /// an unreadable answer to a request that changes something): look before doing anything else.
    UnknownOutcome,
    /// Somebody else changed the thing: read again and decide anew (`InvalidPermission.Duplicate`,
    /// `InvalidGroup.Duplicate`, `DependencyViolation`, `InvalidChangeBatch`, `PriorRequestNotComplete`).
    Conflict,
    /// The thing isn't there (`InvalidGroup.NotFound`, `NoSuchHostedZone`, ...).
    NotFound,
    /// No permission, or credentials that AWS doesn't accept.
    Denied,
    /// A quota of the account or of the thing is reached (`RulesPerSecurityGroupLimitExceeded`, ...).
    Quota,
    /// The request itself is wrong, or something in the set-up is.
    Invalid,
}

/// A failed call.
#[derive(Clone, Debug)]
pub struct Error {
    /// The service that was asked.
    pub service: Service,
    /// The operation, e.g. `CreateSecurityGroup`.
    pub operation: &'static str,
    /// What kind of trouble it is.
    pub class: Class,
    /// AWS's error code, where there is one, e.g. `InvalidGroup.Duplicate`.
    pub code: Option<String>,
    /// What AWS said, or what went wrong on the way. Never holds a secret.
    pub message: String,
    /// AWS's id for the request, for its support.
    pub request_id: Option<String>,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// How long the service asked to wait (`Retry-After`, `x-amz-retry-after`).
    pub retry_after: Option<Duration>,
    /// Whether a layer of the transport refused to send it ([`TransportError::Refused`]): nothing was sent, and
    /// asking again at once is of no use. The class is [`Class::Transient`].
    ///
    /// [`TransportError::Refused`]: crate::TransportError::Refused
    pub refused: bool,
}

impl Error {
    /// An error that AWS had no part in.
    pub fn new(service: Service, operation: &'static str, class: Class, message: impl Into<String>) -> Error {
        Error {
            service,
            operation,
            class,
            code: None,
            message: message.into(),
            request_id: None,
            status: None,
            retry_after: None,
            refused: false,
        }
    }

    /// The same without what AWS, or a layer of the transport, repeats of the request's `secrets`.
    pub(crate) fn without(mut self, secrets: &[&str]) -> Error {
        for text in [&mut self.code, &mut self.request_id].into_iter().flatten() {
            *text = without(text, secrets);
        }
        self.message = without(&self.message, secrets);
        self
    }

    /// What happened, in the same words each time it happens: without the request's id and without EC2's encoded
    /// authorization message, which differ with every request and tell people nothing.
    pub fn summary(&self) -> impl fmt::Display + '_ {
        Summary(self)
    }

    /// Whether AWS's error code is `code`.
    pub fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }
}

impl Error {
    fn tell(&self, f: &mut fmt::Formatter<'_>, message: &str) -> fmt::Result {
        write!(f, "{} {}", self.service, self.operation)?;
        match &self.code {
            Some(code) => write!(f, " answered {code}: {message}"),
            None => write!(f, " failed: {message}"),
        }
    }
}

struct Summary<'a>(&'a Error);

/// How EC2 introduces the encoded authorization message, at the end of an `UnauthorizedOperation`.
const ENCODED: &str = "Encoded authorization failure message:";

/// How the `Display` of an [`Error`] introduces the request's id, also where it is quoted in another one's message.
const REQUEST_ID: &str = " (request id ";

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.0.message.split(ENCODED).next().unwrap_or_default().trim_end();
        self.0.tell(f, &without_request_id(message))
    }
}

/// A message without the request's id that is quoted in it.
pub(crate) fn without_request_id(message: &str) -> Cow<'_, str> {
    match message.split_once(REQUEST_ID) {
        None => Cow::Borrowed(message),
        Some((before, rest)) => {
            let after = rest.split_once(')').map_or("", |(_, after)| after);
            Cow::Owned(format!("{before}{after}"))
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tell(f, &self.message)?;
        if let Some(id) = &self.request_id {
            write!(f, "{REQUEST_ID}{id})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// A body that isn't what it should be. Says where and what, and never quotes more than a few characters of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError(pub String);

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParseError {}
