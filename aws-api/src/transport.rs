//! The seam between the client and the network: a tower service from request to response.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use tower::util::BoxCloneSyncService;

use crate::operation::Service;

/// Anything that carries a signed request to AWS and brings the whole answer back. A non-2xx answer is an
/// answer, not an error.
///
/// Whoever puts a layer around it and prints what passes: headers that are secret are marked as sensitive, which
/// `Debug` respects. Bodies aren't: STS's hold tokens and keys, in requests and in answers.
pub type Transport = BoxCloneSyncService<http::Request<Bytes>, http::Response<Bytes>, TransportError>;

/// Bytes that an answer may have. A page of 1,000 instances with two interfaces of eight addresses each has 19 MB; large
/// nodes of Kubernetes have up to 15 interfaces of 50.
pub const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// What a layer around a [`Transport`] is told of each request, in the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The service that is asked.
    pub service: Service,
    /// The operation's name.
    pub operation: &'static str,
    /// Whether the request may change something at AWS.
    pub mutates: bool,
    /// How long this attempt may take at most; the transport gives up then.
    pub timeout: Duration,
}

/// In a request's extensions: it must not go through a proxy. What the instance's metadata service is sent and sends
/// is nobody else's business, wherever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direct;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransportError {
    /// Nothing was sent: no connection, no TLS.
    NotSent(String),
    /// A layer refused to send it (no leadership, say). Final: never tried again.
    Refused(String),
    /// Sent, at least in part, and no whole answer came: whether it took effect is unknown.
    Lost(String),
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TransportError::NotSent(why) => write!(f, "not sent: {why}"),
            TransportError::Refused(why) => write!(f, "refused: {why}"),
            TransportError::Lost(why) => write!(f, "no answer: {why}"),
        }
    }
}

impl std::error::Error for TransportError {}
