//! What holds for every answer and every error answer, whatever bytes it is made of.

use std::fmt::Debug;

use aws_api::classify::{classify, was_throttled};
use aws_api::error::ParseError;
use aws_api::protocol::errors::{self, ApiError};
use aws_api::{Class, Operation, Service};

use crate::memory::peak;
use crate::pieces::padded;

/// Bytes of memory for each byte of an answer: lists may take 8, and half of that again while one grows; a text 3.
const PER_BYTE: usize = 12;
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
    // Most operations have nothing to say of another one's answer but "another root": now and then that is looked at.
    if !is_of(O::NAME, body) && body.len() % 16 != 0 {
        return;
    }
    let (decoded, bytes) = peak(|| O::decode(body));
    let allowed = body.len() * PER_BYTE + BYTES;
    assert!(bytes <= allowed, "{} takes {bytes} bytes for a body of {}", O::NAME, body.len());
    match (O::decode(body), &decoded) {
        (Ok(again), Ok(value)) => assert_eq!(again, *value, "{} decodes a body to different values", O::NAME),
        // Hashes are compared: libFuzzer would learn our words otherwise, and then find them quoted.
        (Err(again), Err(error)) => assert!(hash(again.0.as_bytes()) == hash(error.0.as_bytes()), "{}", O::NAME),
        _ => panic!("{} decodes a body, or not", O::NAME),
    }
    match decoded {
        Ok(value) => {
            // It takes as long as all else: one of four is enough.
            if body.len() % 4 == 0 {
                let Some(padded) = padded(body) else { panic!("{} reads what is no document", O::NAME) };
                assert_eq!(O::decode(padded.as_bytes()), Ok(value), "{} of {padded}", O::NAME);
            }
        }
        Err(ParseError(message)) => quotes_little(O::NAME, &message, body),
    }
}

/// Whether the first word that ends in `Response` is the name of the operation's answer.
fn is_of(operation: &str, body: &[u8]) -> bool {
    let text = std::str::from_utf8(body).unwrap_or_default();
    text.find("Response").and_then(|end| text.get(..end)).is_some_and(|start| start.ends_with(operation))
}

/// Words of ours that stand around quotes.
const WORDS: &[&str] = &[
    " says that there is more, but lacks ",
    " where <",
    "Response> is expected",
    " is expected",
    " where ",
    "found <",
    ", near <",
    "> at byte ",
    ", at byte ",
    "a control character, which XML doesn't allow",
    "a document of type ",
    ", not an answer of AWS",
    "an entity that XML doesn't know",
    "something after the end of the document",
    "the body isn't XML, it starts with ",
    "too many elements within elements",
    "too many list entries for a body of this size",
];

fn quotes_little(operation: &str, message: &str, body: &[u8]) {
    assert!(!message.is_empty() && message.len() <= ERROR_BYTES, "{operation}: {message}");
    let mut rest = message.to_owned();
    for words in WORDS {
        rest = rest.replace(words, "\n");
    }
    // Quotes around a quote may be the body's, too.
    let long = |part: &&str| part.chars().count() > QUOTED + 2;
    for part in rest.lines().filter(long) {
        let letters: Vec<usize> = part.char_indices().map(|(place, _)| place).collect();
        for run in letters.windows(QUOTED + 4) {
            let (Some(start), Some(end)) = (run.first(), run.last()) else { continue };
            let run = &part.as_bytes()[*start..*end];
            let found = body.windows(run.len()).any(|it| hash(it) == hash(run));
            assert!(!found, "{operation} quotes {:?} in {message}", String::from_utf8_lossy(run));
        }
    }
}

fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
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
        if body.len() % 4 == 0
            && let Some(padded) = padded(body)
        {
            assert_eq!(errors::parse(service, padded.as_bytes()), parsed, "of {padded}");
        }
    }
}
