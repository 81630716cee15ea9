//! What holds for every answer and every error answer, whatever bytes it is made of.

use std::fmt::Debug;

use aws_api::classify::{classify, was_throttled};
use aws_api::error::ParseError;
use aws_api::protocol::errors::{self, ApiError};
use aws_api::{Class, Operation, Service};

use crate::memory::peak;
use crate::pieces::padded;

/// Bytes of memory for each byte of an answer: lists may take 8, half of that again while they grow, and text 3.
const PER_BYTE: usize = 16;
/// Bytes of memory that any answer may take.
const BYTES: usize = 128 * 1024;
/// How much of a body an error may quote.
const QUOTED: usize = 32;
/// Bytes that an error may have: two quotes of up to 32 characters of up to 10 bytes each, and words.
const ERROR_BYTES: usize = 1024;

/// Tries `body` as the answer of `O`.
pub fn answer<O: Operation>(body: &[u8])
where
    O::Output: Debug + PartialEq,
{
    let (decoded, bytes) = peak(|| O::decode(body));
    let allowed = body.len() * PER_BYTE + BYTES;
    assert!(bytes <= allowed, "{} takes {bytes} bytes for a body of {}", O::NAME, body.len());
    assert_eq!(O::decode(body), decoded, "{} decodes the same body to different values", O::NAME);
    match decoded {
        Ok(value) => {
            let Some(padded) = padded(body) else { panic!("{} reads what is no document", O::NAME) };
            assert_eq!(O::decode(padded.as_bytes()), Ok(value), "{} of {padded}", O::NAME);
        }
        Err(ParseError(message)) => quotes_little(O::NAME, &message, body),
    }
}

fn quotes_little(operation: &str, message: &str, body: &[u8]) {
    assert!(!message.is_empty() && message.len() <= ERROR_BYTES, "{operation}: {message}");
    // The name of the root is a word of ours.
    let message = message.replace(&format!("<{operation}Response>"), "");
    // Each error has at most two quotes. Looking for all that is long takes time: every eighth length is enough.
    if body.len() % 8 != 0 {
        return;
    }
    let letters: Vec<(usize, char)> = message.char_indices().collect();
    for run in letters.windows(QUOTED + 1) {
        if let [(start, _), .., (end, letter)] = run {
            let run = &message.as_bytes()[*start..end + letter.len_utf8()];
            let quoted = body.windows(run.len()).any(|it| it == run);
            assert!(!quoted, "{operation} quotes {:?} in {message}", String::from_utf8_lossy(run));
        }
    }
}

/// Tries `body` as an error answer of each service.
pub fn error(body: &[u8]) {
    for service in [Service::Ec2, Service::Route53, Service::Sts] {
        let (parsed, bytes) = peak(|| errors::parse(service, body));
        assert!(bytes <= body.len() * PER_BYTE + BYTES, "{service} takes {bytes} bytes for a body of {}", body.len());
        assert_eq!(errors::parse(service, body), parsed);
        let code = parsed.as_ref().map(|it| it.code.as_str());
        for (mutates, status) in [(false, 400), (true, 400), (false, 503), (true, 503)] {
            let class = classify(mutates, code, status);
            // Nothing but a code, which is parsed, says that a change was not made.
            assert!(code.is_some() || status < 500 || !mutates || class == Class::UnknownOutcome, "{class:?}");
            assert!(class != Class::Throttled || was_throttled(service, body), "{code:?}");
        }
        let Some(ApiError { code, message, request_id }) = &parsed else { continue };
        assert!(message.len() <= 32 * 1024, "a message of {} bytes", message.len());
        for word in [Some(code), request_id.as_ref()].into_iter().flatten() {
            assert!((1..=128).contains(&word.len()) && word.bytes().all(|it| it.is_ascii_graphic()), "{word:?}");
        }
        if let Some(padded) = padded(body) {
            assert_eq!(errors::parse(service, padded.as_bytes()), parsed, "of {padded}");
        }
    }
}
