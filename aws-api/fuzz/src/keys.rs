//! The document with keys, as an instance (IMDS) and a container's endpoint give it, by way of [`Credentials`]: what
//! is read, and what is said of what can't be read.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_api::{
    Config, Credentials, CredentialsError, CredentialsParts, Keys, NoObserver, Random, Settings, TimeSource, Transport,
    TransportError,
};
use bytes::Bytes;
use http::{Request, Response};

use crate::memory::peak;

const TOKEN: &str = "authorization-token-of-the-container";
const PATH: &str = "/path-that-admits-to-the-keys";
/// Bytes of memory for each byte of a document.
const PER_BYTE: usize = 16;
/// Bytes of memory that any document may take, requests and the runtime's timers included.
const BYTES: usize = 256 * 1024;

struct Fixed;

impl TimeSource for Fixed {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000)
    }
}

impl Random for Fixed {
    fn next_u64(&self) -> u64 {
        0
    }
}

thread_local! {
    static RUNTIME: tokio::runtime::Runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
}

type Outcome = Result<Arc<Keys>, CredentialsError>;

/// Tries `body` as the document of each source; its first byte says with which status the container's endpoint
/// answers.
pub fn document(body: &[u8]) {
    let (first, body) = body.split_first().map_or((0, body), |(first, body)| (*first, body));
    let status = [200, 200, 400, 404, 429, 500][usize::from(first) % 6];
    let container = container(status, body);
    assert_eq!(container, self::container(status, body));
    let instance = instance(body);
    assert_eq!(instance, self::instance(body));
    // Both read the same document.
    match (&container, &instance) {
        (Ok(container), Ok(instance)) => assert_eq!(container, instance),
        // The instance's are used beyond their end (static stability).
        (Err(error), Ok(_)) if error.message.contains("expired already") => {}
        (Ok(_), Err(error)) => panic!("only the container's keys are read: {error}"),
        (Err(error), Ok(_)) if status == 200 => panic!("only the instance's keys are read: {error}"),
        _ => {}
    }
}

fn container(status: u16, body: &[u8]) -> Outcome {
    let url = format!("https://agent.example{PATH}");
    let environment =
        [("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str()), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", TOKEN)];
    ask(&environment, &[(status, body)], body.len())
}

fn instance(body: &[u8]) -> Outcome {
    ask(&[], &[(200, b"imds-token"), (200, b"role"), (200, body)], body.len())
}

/// Keys from what the environment configures; the transport gives one answer after another, the last one for ever.
fn ask(environment: &[(&str, &str)], answers: &[(u16, &[u8])], length: usize) -> Outcome {
    let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let mut answers: Vec<Response<Bytes>> = answers
        .iter()
        .rev()
        .map(|(status, body)| {
            Response::builder().status(*status).body(Bytes::copy_from_slice(body)).expect("an answer")
        })
        .collect();
    let last = answers.first().cloned().expect("an answer");
    answers.reserve(1);
    let answers = Arc::new(Mutex::new((answers, last)));
    let transport = Transport::new(tower::service_fn(move |_: Request<Bytes>| {
        let mut answers = answers.lock().unwrap();
        let answer = answers.0.pop().unwrap_or_else(|| answers.1.clone());
        async move { Ok::<_, TransportError>(answer) }
    }));
    let config = Config::new("eu-west-1").expect("a region");
    let (outcome, bytes) = peak(|| {
        let settings = Settings::load(&environment).expect("an environment");
        let parts = CredentialsParts {
            transport,
            config,
            time: Arc::new(Fixed),
            random: Arc::new(Fixed),
            observer: Arc::new(NoObserver),
        };
        let credentials = Credentials::from_settings(&settings, &parts).expect("a source");
        RUNTIME.with(|runtime| runtime.block_on(credentials.keys()))
    });
    assert!(bytes <= length * PER_BYTE + BYTES, "{bytes} bytes for a document of {length}");
    if let Err(error) = &outcome {
        let shown = format!("{error} {error:?}");
        assert!(shown.len() <= 4096, "an error of {} bytes", shown.len());
        for secret in [TOKEN, PATH] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(!error.message.contains(['\n', '\r', '\0']), "{error:?}");
    }
    if let Ok(keys) = &outcome {
        let shown = format!("{keys:?}");
        let token = keys.session_token.as_ref();
        for secret in [Some(&keys.secret_access_key), token].into_iter().flatten() {
            assert!(secret.expose().len() < 16 || !shown.contains(secret.expose()), "{shown}");
        }
    }
    outcome
}
