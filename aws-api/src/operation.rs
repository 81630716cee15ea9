//! What an operation of an AWS service is: a value that is encoded into a request and whose answer is decoded.

use std::fmt;

use bytes::Bytes;
use http::Method;

use crate::error::ParseError;

/// The services the crate speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Amazon EC2: `ec2` query protocol, API version 2016-11-15.
    Ec2,
    /// Amazon Route 53: `rest-xml`, API version 2013-04-01. Global within a partition.
    Route53,
    /// AWS Security Token Service: `query`, API version 2011-06-15.
    Sts,
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Service::Ec2 => "EC2",
            Service::Route53 => "Route 53",
            Service::Sts => "STS",
        })
    }
}

/// A request before it is given a host, a date and a signature.
///
/// `Debug` tells the body's length only: it may hold a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Encoded {
    /// `POST` for the query protocols; as modelled for `rest-xml`.
    pub method: Method,
    /// Absolute path, percent-encoded.
    pub path: String,
    /// Query string without the question mark, percent-encoded; empty when there is none.
    pub query: String,
    /// `Content-Type`, where the request has a body.
    pub content_type: Option<&'static str>,
    /// The body; may be empty.
    pub body: Bytes,
}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoded")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("query", &self.query)
            .field("content_type", &self.content_type)
            .field("body", &format_args!("({} bytes)", self.body.len()))
            .finish()
    }
}

/// One operation with its input. Implemented by the generated request types.
pub trait Operation: Send + Sync {
    /// What a successful answer holds.
    type Output: Send;
    /// The service that offers it.
    const SERVICE: Service;
    /// The operation's name in AWS's documentation, e.g. `DescribeInstances`.
    const NAME: &'static str;
    /// Whether it may change anything at AWS. A request that does is never repeated when its outcome is unknown.
    const MUTATES: bool;
    /// Whether it is sent without a signature (`AssumeRoleWithWebIdentity`).
    const UNSIGNED: bool = false;

    /// Whether it asks for a part only, by a filter or by the page. EC2 grants fewer requests per second to those
    /// that don't, of operations that could.
    fn narrowed(&self) -> bool {
        true
    }

    /// The request on the wire, but for host, date and signature.
    fn encode(&self) -> Encoded;

    /// The secrets that the request carries: an error never repeats them, even where AWS's answer does.
    fn secrets(&self) -> Vec<&str> {
        Vec::new()
    }

    /// Reads the body of a 2xx answer.
    ///
    /// # Errors
    /// When the body isn't the document that the operation answers with.
    fn decode(body: &[u8]) -> Result<Self::Output, ParseError>;
}

/// An operation that answers in pages.
pub trait Paged: Operation + Clone {
    /// The request for the page after `page`, or `None` when `page` was the last one.
    fn next(&self, page: &Self::Output) -> Option<Self>;
}
