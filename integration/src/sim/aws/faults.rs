//! Answers that are no use.

use std::sync::OnceLock;

use bytes::Bytes;
use http::Response;

use crate::sim::fault::Garble;

use super::answer::{self, Kind, ROUTE53_NAMESPACE};

/// More than a client may take, and less than would hurt a test.
const HUGE: usize = 17 * 1024 * 1024;
const DEEP: usize = 10_000;
static HUGE_BODY: OnceLock<Bytes> = OnceLock::new();

/// Spoils an answer. In process a truncated one has its length right: what is in it ends early.
pub(super) fn garble(kind: Kind, operation: &str, answer: Response<Bytes>, how: Garble) -> Response<Bytes> {
    let (mut parts, body) = answer.into_parts();
    let body = match how {
        Garble::Truncated => body.slice(..body.len() / 2),
        Garble::Html => {
            return answer::http(
                502,
                "text/html",
                &[],
                "<!doctype html><html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway<br></h1></body></html>",
            );
        }
        Garble::Hollow => {
            parts.status = http::StatusCode::OK;
            let namespace = if kind == Kind::Route53 { ROUTE53_NAMESPACE } else { "" };
            Bytes::from(format!(
                "<?xml version=\"1.0\"?><{operation}Response xmlns=\"{namespace}\"></{operation}Response>"
            ))
        }
        Garble::Encoding => {
            let mut bytes = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?><a>\xff\xfe\xc3</a>".to_vec();
            bytes.extend_from_slice(&body);
            Bytes::from(bytes)
        }
        Garble::Huge => HUGE_BODY.get_or_init(|| Bytes::from("<a>".repeat(DEEP) + &"x".repeat(HUGE))).clone(),
    };
    // The length was that of the whole answer.
    parts.headers.remove("content-length");
    Response::from_parts(parts, body)
}
