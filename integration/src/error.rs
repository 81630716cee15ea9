//! The harness's one error: a sentence, and the place in the code that saw it fail.
//!
//! It takes every error by `?`, so it is no `std::error::Error` itself (the two would overlap).

use std::fmt::{self, Debug, Display};
use std::panic::Location;

/// What a step of the harness or of a test ends with.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a step of the harness failed.
pub struct Error {
    message: String,
    location: &'static Location<'static>,
}

impl Error {
    /// An error that says `message`.
    #[track_caller]
    pub fn new(message: impl Display) -> Self {
        Self { message: message.to_string(), location: Location::caller() }
    }

    /// The same error with one more clause.
    pub fn and(mut self, more: impl Display) -> Self {
        self.message = format!("{}; {more}", self.message);
        self
    }

    /// The sentence, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// `Err` with a sentence.
#[track_caller]
pub fn fail<T>(message: impl Display) -> Result<T> {
    Err(Error::new(message))
}

/// Says what was tried, in front of what went wrong.
pub trait Context<T> {
    /// Puts `what: ` in front of the error.
    fn context(self, what: impl Display) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for Result<T, E> {
    #[track_caller]
    fn context(self, what: impl Display) -> Result<T> {
        let location = Location::caller();
        self.map_err(|error| {
            let inner: Error = error.into();
            Error { message: format!("{what}: {}", inner.message), location }
        })
    }
}

impl<T> Context<T> for Option<T> {
    #[track_caller]
    fn context(self, what: impl Display) -> Result<T> {
        match self {
            Some(value) => Ok(value),
            None => fail(what),
        }
    }
}

impl<E: std::error::Error> From<E> for Error {
    #[track_caller]
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            source = cause.source();
        }
        Self { message, location: Location::caller() }
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at {})", self.message, self.location)
    }
}
