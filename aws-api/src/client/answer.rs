//! What an answer that isn't a success says: the error it stands for, and how long to wait.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::Response;
use http::header::{DATE, RETRY_AFTER};

use crate::classify::classify;
use crate::error::Error;
use crate::operation::Operation;
use crate::protocol::errors;
use crate::signing::date;

/// The error that a non-2xx answer stands for; `now` is AWS's time of day as far as we know it.
pub(super) fn refusal<O: Operation>(answer: &Response<Bytes>, now: SystemTime) -> Error {
    let status = answer.status().as_u16();
    let said = errors::parse(O::SERVICE, answer.body());
    let code = said.as_ref().map(|said| said.code.as_str());
    let mut error = Error::new(O::SERVICE, O::NAME, classify(O::MUTATES, code, status), String::new());
    error.status = Some(status);
    error.retry_after = retry_after(answer, now);
    match said {
        Some(said) => {
            error.code = Some(said.code);
            error.message = said.message;
            error.request_id = said.request_id;
        }
        // It isn't quoted: it may be the page of a proxy.
        None => error.message = format!("HTTP status {status} and a body that isn't an error of AWS's"),
    }
    error.request_id = error.request_id.take().or_else(|| request_id(answer));
    error
}

fn header(answer: &Response<Bytes>, name: impl http::header::AsHeaderName) -> Option<&str> {
    answer.headers().get(name)?.to_str().ok().map(str::trim)
}

pub(super) fn request_id(answer: &Response<Bytes>) -> Option<String> {
    header(answer, "x-amzn-requestid").map(|id| id.chars().take(128).collect())
}

/// `x-amz-retry-after` in milliseconds; `Retry-After` in seconds or as a date, by the server's clock.
fn retry_after(answer: &Response<Bytes>, now: SystemTime) -> Option<Duration> {
    let number = |text: &str| text.parse::<u32>().ok().map(u64::from);
    if let Some(millis) = header(answer, "x-amz-retry-after").and_then(number) {
        return Some(Duration::from_millis(millis));
    }
    let text = header(answer, RETRY_AFTER)?;
    if let Some(seconds) = number(text) {
        return Some(Duration::from_secs(seconds));
    }
    let server = header(answer, DATE).and_then(date).unwrap_or(now);
    // A date that is over asks for no pause.
    Some(date(text)?.duration_since(server).unwrap_or_default())
}
