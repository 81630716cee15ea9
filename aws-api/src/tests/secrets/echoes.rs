//! Whoever is asked may answer with what it was asked with: nothing that a caller gets to see repeats it. And what the
//! libraries below log.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::super::kit::*;
use crate::{
    Client, ClientParts, Config, Credentials, Error, Keys, Observer, Operation, Service, TransportError, ec2, route53,
    sts,
};

const SESSION_TOKEN: &str = "hush-session-token+/==";
const CONTAINER: &[(&str, &str)] = &[
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "https://agent.example/hush-path-that-admits"),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "hush-container-token"),
];
const DOCUMENT: &str =
    r#"{"AccessKeyId":"A","SecretAccessKey":"hush-secret-key-of-an-answer","Token":"hush-token-of-an-answer""#;

/// No part of these is shown that is longer than eleven characters.
const SECRETS: &[&str] = &[
    SESSION_TOKEN,
    "hush-secret-access-key",
    "hush-web-identity-token",
    "hush-container-token",
    "/hush-path-that-admits",
    "hush-imds-token-of-an-instance",
    "hush-secret-key-of-an-answer",
    "hush-token-of-an-answer",
];

/// The secrets that a request carries, each in whole and broken off.
fn carried(seen: &Seen) -> Vec<String> {
    let mut secrets = Vec::new();
    for name in ["authorization", "x-amz-security-token", "x-aws-ec2-metadata-token"] {
        secrets.extend(seen.header(name).filter(|value| value.contains("hush")).map(str::to_owned));
    }
    secrets.extend(seen.uri.find("/hush").map(|start| seen.uri[start..].to_owned()));
    let fields = seen.body.split('&').filter_map(|field| field.split_once('='));
    secrets.extend(fields.filter(|(_, value)| value.contains("hush")).map(|(_, value)| value.to_owned()));
    let broken: Vec<_> = secrets.iter().map(|secret| secret[..16].to_owned()).collect();
    secrets.extend(broken);
    secrets
}

/// Answers that repeat a secret.
const ECHOES: &[fn(&str) -> Step] = &[
    |it| {
        status(
            403,
            format!(
                "<Response><Errors><Error><Code>A</Code><Message>said '{it}'</Message></Error></Errors></Response>"
            ),
        )
    },
    |it| {
        status(
            400,
            format!(
                "<ErrorResponse><Error><Code>{it}</Code><Message>{it}</Message></Error><RequestId>{it}</RequestId></ErrorResponse>"
            ),
        )
    },
    |it| {
        status(
            503,
            format!(
                "<ErrorResponse><Error><Code>Throttling</Code><Message>x-amz-security-token:{it}\nhost:</Message></Error></ErrorResponse>"
            ),
        )
    },
    |it| {
        status(
            400,
            format!(
                "<InvalidChangeBatch><Messages><Message>{it}</Message><Message>x{it}x</Message></Messages></InvalidChangeBatch>"
            ),
        )
    },
    |it| status(502, format!("<html>{it}</html>")),
    |it| status(404, it),
    |it| with(status(403, ""), "x-amzn-requestid", it),
    |it| with(ok(""), "x-amzn-requestid", it),
    |it| ok(it),
    |it| ok(format!("\"{it}\"")),
    |it| ok(format!("<{}/>", it.replace(['/', '+', '='], "x"))),
    |it| ok(format!("<!DOCTYPE {it}>")),
    |it| ok(format!("<AssumeRoleResponse><AssumeRoleResult><Credentials><Expiration>{it}</Expiration>")),
    |it| {
        ok(format!(
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><Expiration>{it}</Expiration>"
        ))
    },
    |it| {
        ok(format!(
            "<DescribeInstancesResponse><reservationSet><item><instancesSet><item><launchTime>{it}</launchTime>"
        ))
    },
    |it| ok(format!("<ListHostedZonesResponse><IsTruncated>{it}</IsTruncated>")),
    |it| status(400, format!("{{\"code\":\"{it}\",\"message\":\"said {it}\"}}")),
    |it| status(400, format!("[id]: (AccessDenied): {it}")),
    |it| status(500, format!("{{\"code\":\"{it}")),
    |it| ok(format!("{{\"Code\":\"Failed\",\"Message\":\"{it}\"}}")),
    |it| ok(format!("{DOCUMENT},\"Expiration\":\"{it}\"}}")),
    |_| ok(format!("{DOCUMENT},\"Code\":\"Failed\",\"Message\":\"hush-token-of-an-answer\"}}")),
    |_| ok(format!("{DOCUMENT},\"Expiration\":\"2000-01-01T00:00:00Z\"}}")),
    |_| ok(DOCUMENT),
    |it| Step::Fail(TransportError::Lost(format!("after {it}"))),
    |it| Step::Fail(TransportError::NotSent(format!("https://{it}@host"))),
    |it| Step::Fail(TransportError::Refused(it.to_owned())),
];

type Variables<'a> = &'a [(&'a str, &'a str)];
/// Says which requests are answered badly.
type Hostile = fn(&Seen) -> bool;

/// Keeps all that is shown.
#[derive(Default)]
struct Shown(Mutex<String>);

impl Shown {
    fn add(&self, text: &str) {
        self.0.lock().unwrap().push_str(text);
    }
    fn holds_no_secret(&self, of: &str) {
        let text = self.0.lock().unwrap();
        assert!(!text.is_empty());
        let runs = SECRETS.iter().flat_map(|secret| secret.as_bytes().windows(12));
        for run in runs.map(|run| std::str::from_utf8(run).unwrap()) {
            let found =
                text.find(run).map(|at| text.chars().skip(at.saturating_sub(300)).take(400).collect::<String>());
            assert_eq!(found, None, "{of}");
        }
    }
}

impl Observer for Shown {
    fn attempt(&self, _: Service, operation: &'static str, status: Option<u16>, code: Option<&str>, _: Duration) {
        self.add(&format!("{operation} {status:?} {code:?}\n"));
    }
    fn call(&self, _: Service, _: &'static str, outcome: Result<(), &Error>, _: u32, _: Duration) {
        if let Err(error) = outcome {
            self.add(&format!("{error} {error:?} {error:#?} {}\n", error.summary()));
        }
    }
}

/// An AWS that answers well until the request comes that `hostile` names, and then with one of the secrets in it.
fn hostile(hostile: Hostile, echo: fn(&str) -> Step, number: usize) -> Aws {
    Aws::answering(move |seen| {
        if hostile(seen) {
            let secrets = carried(seen);
            assert!(!secrets.is_empty(), "{} carries no secret", seen.uri);
            return echo(&secrets[number % secrets.len()]);
        }
        match seen.uri.as_str() {
            uri if uri.ends_with("/token") => ok("hush-imds-token-of-an-instance"),
            uri if uri.ends_with("/security-credentials/") => ok("role"),
            _ => ok("<Odd/>"),
        }
    })
}

async fn send<O: Operation>(client: &Client, operation: &O, shown: &Shown) {
    if let Err(error) = client.send(operation).await {
        shown.add(&format!("{error} {error:?} {}\n", error.summary()));
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_repeats_no_secret_of_its_request() {
    let keys = Keys::new("AKIA", "hush-secret-access-key", Some(SESSION_TOKEN), None).unwrap();
    for (kind, echo) in ECHOES.iter().enumerate() {
        for number in 0..2 {
            let shown = Arc::new(Shown::default());
            let (aws, clock) = (hostile(|_| true, *echo, number), Clock::new());
            let credentials = Arc::new(Credentials::fixed(keys.clone(), clock.clone(), Arc::new(MOST)));
            let client = Client::new(ClientParts { credentials, observer: shown.clone(), ..parts(&aws, &clock) });
            send(&client, &ec2::DescribeInstances::default(), &shown).await;
            send(&client, &ec2::CreateTags::default(), &shown).await;
            send(&client, &route53::ListHostedZones::default(), &shown).await;
            send(&client, &sts::AssumeRole::default(), &shown).await;
            let token = SESSION_TOKEN.to_owned();
            let web = sts::AssumeRoleWithWebIdentity { web_identity_token: token, ..Default::default() };
            send(&client, &web, &shown).await;
            shown.add(&format!("{client:?}"));
            for seen in aws.seen() {
                shown.add(&format!("{:?} {:?}", seen.headers, seen.attempt));
            }
            shown.holds_no_secret(&format!("answer {kind}, secret {number}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn why_there_are_no_keys_repeats_no_secret() {
    let file = TokenFile::new("echoes", "hush-web-identity-token");
    let web = [("AWS_WEB_IDENTITY_TOKEN_FILE", file.path()), ("AWS_ROLE_ARN", "arn:aws:iam::1:role/a")];
    let sources: [(Variables<'_>, Hostile); 5] = [
        (&web, |seen| seen.uri.contains("sts.")),
        (CONTAINER, |seen| seen.uri.contains("agent.example")),
        (&[], |seen| seen.uri.ends_with("/security-credentials/")),
        (&[], |seen| seen.uri.ends_with("/security-credentials/role")),
        (&[], |seen| seen.uri.ends_with("/region")),
    ];
    for (place, (variables, bad)) in sources.into_iter().enumerate() {
        for (kind, echo) in ECHOES.iter().enumerate() {
            for number in 0..4 {
                let shown = Arc::new(Shown::default());
                let (aws, clock) = (hostile(bad, *echo, number), Clock::new());
                let settings = settings(variables);
                let credentials = Credentials::from_settings(&settings, &credentials_parts(&aws, &clock)).unwrap();
                let credentials = Arc::new(credentials);
                let error = credentials.keys().await.err();
                shown.add(&format!("{error:?} {error:#?} {:?} {credentials:?}", credentials.last_failure()));
                shown.add(&error.map(|error| error.to_string()).unwrap_or_default());
                let client = ClientParts { credentials, observer: shown.clone(), ..parts(&aws, &clock) };
                send(&Client::new(client), &ec2::DescribeInstances::default(), &shown).await;
                let region = Config::resolve(&settings, None, aws.transport(), clock).await;
                shown
                    .add(&format!("{region:?} {}", region.as_ref().err().map(ToString::to_string).unwrap_or_default()));
                for seen in aws.seen() {
                    shown.add(&format!("{:?} {:?}", seen.headers, seen.attempt));
                }
                shown.holds_no_secret(&format!("source {place}, answer {kind}, secret {number}"));
            }
        }
    }
}

/// Keeps what is logged by way of `tracing`, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        writeln!(self.0.lock().unwrap(), "{field}={value:?}").unwrap();
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut self.clone());
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test(start_paused = true)]
async fn what_the_libraries_log_holds_no_secret() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let keys = Keys::new("AKIA", "hush-secret-access-key", Some(SESSION_TOKEN), None).unwrap();
    let (aws, clock) = (Aws::always(ok(NO_GROUPS)), Clock::new());
    let credentials = Arc::new(Credentials::fixed(keys, clock.clone(), Arc::new(MOST)));
    let client = Client::new(ClientParts { credentials, ..parts(&aws, &clock) });
    client.send(&ec2::DescribeSecurityGroups::default()).await.unwrap();
    // Another test's thread may have been the first to come by, and found nobody who listens.
    tracing::callsite::rebuild_interest_cache();
    client.send(&ec2::DescribeSecurityGroups::default()).await.unwrap();
    let token = "hush-web-identity-token".to_owned();
    let web = sts::AssumeRoleWithWebIdentity { web_identity_token: token, ..Default::default() };
    client.send(&web).await.unwrap_err();
    let text = log.0.lock().unwrap();
    assert!(text.contains("signing request"), "the log isn't seen: {text}");
    assert!(!text.contains("hush"), "{text}");
}

#[test]
fn what_is_taken_for_a_secret_is_one() {
    let without = |text: &str| crate::secret::without(text, &["abcdefghijklmnop", "12345678", "short", ""]);
    for (text, left) in [
        ("", ""),
        ("nothing of it", "nothing of it"),
        ("abcdefghijklmnop", "(secret)"),
        ("x=abcdefghijklmnop, y=abcdefghijklmnopabcdefghijklmnop!", "x=(secret), y=(secret)!"),
        // In part: twelve characters are, eleven might be anything.
        ("-abcdefghijkl-", "-(secret)-"),
        ("-efghijklmnop-", "-(secret)-"),
        ("-abcdefghijk-", "-abcdefghijk-"),
        ("012345678 1234567 short", "0(secret) 1234567 short"),
        ("\u{fc}12345678\u{fc}", "\u{fc}(secret)\u{fc}"),
    ] {
        assert_eq!(without(text), left, "{text}");
    }
    assert_eq!(crate::secret::without("a \u{fc}\u{fc}\u{fc}\u{fc} b", &["\u{fc}\u{fc}\u{fc}\u{fc}"]), "a (secret) b");
}
