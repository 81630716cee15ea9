//! A transport that answers as a test says and remembers what it was asked; clocks and randomness to go with it.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use tokio::time::Instant;

use crate::operation::Service;
use crate::{
    Attempt, Client, ClientParts, Config, Credentials, CredentialsError, CredentialsParts, Error, Keys, NoObserver,
    Observer, Random, Settings, TimeSource, Transport, TransportError,
};

pub const ACCESS_KEY: &str = "AKIDEXAMPLE";
pub const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// What the transport does with a request.
#[derive(Clone)]
pub enum Step {
    Answer(u16, Vec<(&'static str, String)>, Bytes),
    Fail(TransportError),
    /// Never answers.
    Hang,
    /// Answers later.
    After(Duration, Box<Step>),
}

pub fn ok(body: impl Into<String>) -> Step {
    Step::Answer(200, vec![], Bytes::from(body.into()))
}

pub fn status(status: u16, body: impl Into<String>) -> Step {
    Step::Answer(status, vec![], Bytes::from(body.into()))
}

pub fn with(step: Step, name: &'static str, value: impl Into<String>) -> Step {
    match step {
        Step::Answer(status, mut headers, body) => {
            headers.push((name, value.into()));
            Step::Answer(status, headers, body)
        }
        other => other,
    }
}

pub fn lost() -> Step {
    Step::Fail(TransportError::Lost("reset".into()))
}

pub fn not_sent() -> Step {
    Step::Fail(TransportError::NotSent("refused".into()))
}

/// An error answer of EC2.
pub fn ec2_error(http: u16, code: &str) -> Step {
    status(
        http,
        format!(
            "<Response><Errors><Error><Code>{code}</Code><Message>says {code}</Message></Error></Errors>\
             <RequestID>r-1</RequestID></Response>"
        ),
    )
}

/// An error answer of Route 53 or STS.
pub fn rest_error(http: u16, code: &str) -> Step {
    status(
        http,
        format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>says {code}</Message></Error>\
             <RequestId>r-2</RequestId></ErrorResponse>"
        ),
    )
}

pub const NO_GROUPS: &str = "<DescribeSecurityGroupsResponse><securityGroupInfo/></DescribeSecurityGroupsResponse>";
pub const TAGGED: &str = "<CreateTagsResponse><return>true</return></CreateTagsResponse>";
pub const NO_ZONES: &str = "<ListHostedZonesResponse><HostedZones/><IsTruncated>false</IsTruncated>\
                            </ListHostedZonesResponse>";

/// A request as the transport got it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub uri: String,
    pub headers: HeaderMap,
    pub body: String,
    pub attempt: Option<Attempt>,
    pub at: Instant,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

type Answering = dyn FnMut(&Seen) -> Step + Send;

/// The transport.
#[derive(Clone)]
pub struct Aws {
    seen: Arc<Mutex<Vec<Seen>>>,
    answering: Arc<Mutex<Box<Answering>>>,
}

impl Aws {
    pub fn answering(answering: impl FnMut(&Seen) -> Step + Send + 'static) -> Aws {
        Aws { seen: Arc::default(), answering: Arc::new(Mutex::new(Box::new(answering))) }
    }

    /// One step for each request; a request beyond them is a failure of the test.
    pub fn script(steps: impl IntoIterator<Item = Step>) -> Aws {
        let mut steps: VecDeque<Step> = steps.into_iter().collect();
        Aws::answering(move |seen| steps.pop_front().unwrap_or_else(|| panic!("unexpected: {seen:?}")))
    }

    /// The same for each request.
    pub fn always(step: Step) -> Aws {
        Aws::answering(move |_| step.clone())
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub fn transport(&self) -> Transport {
        let this = self.clone();
        Transport::new(tower::service_fn(move |request: Request<Bytes>| {
            let this = this.clone();
            async move {
                let seen = Seen {
                    method: request.method().to_string(),
                    uri: request.uri().to_string(),
                    headers: request.headers().clone(),
                    body: String::from_utf8(request.body().to_vec()).unwrap(),
                    attempt: request.extensions().get::<Attempt>().copied(),
                    at: Instant::now(),
                };
                this.seen.lock().unwrap().push(seen.clone());
                let mut step = (this.answering.lock().unwrap())(&seen);
                loop {
                    match step {
                        Step::Hang => std::future::pending().await,
                        Step::Fail(error) => return Err(error),
                        Step::After(pause, then) => {
                            tokio::time::sleep(pause).await;
                            step = *then;
                        }
                        Step::Answer(status, headers, body) => {
                            let mut answer = Response::builder().status(status);
                            for (name, value) in headers {
                                answer = answer.header(name, value);
                            }
                            return Ok(answer.body(body).unwrap());
                        }
                    }
                }
            }
        }))
    }
}

/// The time of day; goes with tokio's clock, from 2026-11-26T01:02:03Z on. It may be wrong.
pub struct Clock {
    start: Instant,
    wrong: Mutex<i64>,
}

pub fn beginning() -> SystemTime {
    "2026-11-26T01:02:03Z".parse::<jiff::Timestamp>().unwrap().into()
}

impl Clock {
    pub fn new() -> Arc<Clock> {
        Arc::new(Clock { start: Instant::now(), wrong: Mutex::new(0) })
    }

    /// Makes it `seconds` fast.
    pub fn wrong_by(&self, seconds: i64) {
        *self.wrong.lock().unwrap() = seconds;
    }

    /// The right time.
    pub fn right(&self) -> SystemTime {
        beginning() + self.start.elapsed()
    }

    /// The right time as a `Date` header.
    pub fn date(&self) -> String {
        let now = jiff::Timestamp::try_from(self.right()).unwrap();
        jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap()
    }

    /// The right time in `seconds`, as AWS writes it.
    pub fn in_seconds(&self, seconds: i64) -> String {
        let now = jiff::Timestamp::try_from(self.right()).unwrap();
        (now + jiff::SignedDuration::from_secs(seconds)).to_string()
    }
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        let wrong = *self.wrong.lock().unwrap();
        let by = Duration::from_secs(wrong.unsigned_abs());
        if wrong < 0 { self.right() - by } else { self.right() + by }
    }
}

/// The same number always.
pub struct Dice(pub u64);

/// Draws the largest number: pauses are as long as they get.
pub const MOST: Dice = Dice(u64::MAX);

impl Random for Dice {
    fn next_u64(&self) -> u64 {
        self.0
    }
}

/// Notes what an observer is told.
#[derive(Default)]
pub struct Notes(pub Mutex<Vec<String>>);

impl Observer for Notes {
    fn attempt(&self, service: Service, operation: &'static str, status: Option<u16>, code: Option<&str>, _: Duration) {
        self.0.lock().unwrap().push(format!("attempt {service} {operation} {status:?} {code:?}"));
    }
    fn call(&self, service: Service, operation: &'static str, outcome: Result<(), &Error>, retries: u32, _: Duration) {
        let outcome = outcome.map_err(|error| error.class);
        self.0.lock().unwrap().push(format!("call {service} {operation} {outcome:?} {retries}"));
    }
    fn limiter_waited(&self, service: Service, waited: Duration) {
        self.0.lock().unwrap().push(format!("waited {service} {waited:?}"));
    }
    fn credentials(&self, source: &str, outcome: Result<Option<SystemTime>, &CredentialsError>) {
        let outcome = outcome.map(|expires| expires.is_some()).map_err(|error| error.temporary);
        self.0.lock().unwrap().push(format!("credentials {source} {outcome:?}"));
    }
}

pub fn environment(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub fn settings(variables: &[(&str, &str)]) -> Settings {
    Settings::load(&environment(variables)).unwrap()
}

/// The parts of credentials in eu-west-1.
pub fn credentials_parts(aws: &Aws, clock: &Arc<Clock>) -> CredentialsParts {
    CredentialsParts {
        transport: aws.transport(),
        config: Config::new("eu-west-1").unwrap(),
        time: clock.clone(),
        random: Arc::new(MOST),
        observer: Arc::new(NoObserver),
    }
}

pub fn fixed_keys(clock: &Arc<Clock>) -> Arc<Credentials> {
    let keys = Keys::new(ACCESS_KEY, SECRET_KEY, None, None).unwrap();
    Arc::new(Credentials::fixed(keys, clock.clone(), Arc::new(MOST)))
}

/// The parts of a client with fixed keys.
pub fn parts(aws: &Aws, clock: &Arc<Clock>) -> ClientParts {
    ClientParts {
        transport: aws.transport(),
        config: Config::new("eu-west-1").unwrap(),
        credentials: fixed_keys(clock),
        time: clock.clone(),
        random: Arc::new(MOST),
        observer: Arc::new(NoObserver),
    }
}

pub fn client(aws: &Aws) -> Client {
    Client::new(parts(aws, &Clock::new()))
}

/// A file of a test's own, gone when the test is over.
pub struct TokenFile(pub PathBuf);

impl TokenFile {
    pub fn new(name: &str, token: &str) -> TokenFile {
        let path = std::env::temp_dir().join(format!("aws-api-{}-{name}", std::process::id()));
        std::fs::write(&path, token).unwrap();
        TokenFile(path)
    }
    pub fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The shared files of a test, gone when the test is over.
pub struct SharedFiles {
    config: TokenFile,
    credentials: TokenFile,
}

impl SharedFiles {
    /// The files `config` and `credentials`; `name` is the test's own.
    pub fn new(name: &str, config: &str, credentials: &str) -> SharedFiles {
        SharedFiles {
            config: TokenFile::new(&format!("{name}-config"), config),
            credentials: TokenFile::new(&format!("{name}-credentials"), credentials),
        }
    }

    /// The variables that name them, and `more`.
    pub fn variables<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let own = [("AWS_CONFIG_FILE", self.config.path()), ("AWS_SHARED_CREDENTIALS_FILE", self.credentials.path())];
        [&own[..], more].concat()
    }
}

/// The answer of STS to one of its `AssumeRole...` operations.
pub fn assumed_role(operation: &str, id: &str, expires: &str) -> Step {
    ok(format!(
        "<{operation}Response><{operation}Result><Credentials><AccessKeyId>{id}</AccessKeyId>\
         <SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>{expires}</Expiration>\
         </Credentials></{operation}Result></{operation}Response>"
    ))
}
