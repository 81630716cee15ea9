//! Signatures: for requests of every operation that is signed, for several regions, endpoints, times and keys, what we
//! sign is what botocore's signer makes of the same request. `Authorization` (with it the list of signed headers),
//! `X-Amz-Date` and `X-Amz-Security-Token` are compared as they are.
//!
//! | deliberate difference | reason |
//! |-|-|
//! | a path that ends in `/.` or `/..` (ids that are dots) is signed otherwise, and left out here | botocore drops the slash that RFC 3986 (5.2.4) leaves at the end |

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use aws_api::{Client, ClientParts, Config, Credentials, Error, NoObserver, Random, TimeSource, Transport};
use bytes::Bytes;
use http::{Request, Response};
use integration::{Context, Result};
use jiff::Timestamp;
use serde_json::{Value, json};
use tower::service_fn;

use super::botocore::{Botocore, same_value, seeds};
use super::generated::SERVICES;
use super::json::Call;

/// Requests of each operation with each seed.
const CASES: usize = 60;
const REGIONS: [&str; 5] = ["eu-west-1", "us-east-1", "us-gov-west-1", "cn-north-1", "ap-southeast-5"];
const ENDPOINTS: [Option<&str>; 7] = [
    None,
    None,
    Some("http://127.0.0.1:4566"),
    Some("https://vpce-1.ec2.example.com:8443/"),
    Some("http://proxy.example.com/a/prefix"),
    Some("http://[::1]:8080/odd%20prefix/~a+b*(c)"),
    Some("https://default-port.example.com:443"),
];
const TIMES: [&str; 4] =
    ["2026-11-26T01:02:03Z", "2027-12-31T23:59:59Z", "2028-02-29T00:00:00Z", "2026-01-02T03:04:05.999Z"];
const TOKENS: [Option<&str>; 2] = [None, Some("IQoJb3JpZ2luX2VjEXAMPLE/token+with/odd==")];

/// Who signs, and when.
pub struct Account {
    pub access_key_id: &'static str,
    pub secret_access_key: &'static str,
    pub session_token: Option<&'static str>,
    pub time: &'static str,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            access_key_id: "AKIDEXAMPLE",
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            session_token: None,
            time: TIMES[0],
        }
    }
}

struct At(SystemTime);

impl TimeSource for At {
    fn now(&self) -> SystemTime {
        self.0
    }
}

struct Zero;

impl Random for Zero {
    fn next_u64(&self) -> u64 {
        0
    }
}

/// What a client sent.
pub type Sent = Arc<Mutex<Vec<Request<Bytes>>>>;

/// A client whose requests are kept and answered by `answer`.
pub fn client(config: Config, account: &Account, answer: Response<Bytes>) -> (Client, Sent) {
    let sent = Sent::default();
    let seen = Arc::clone(&sent);
    let transport = Transport::new(service_fn(move |request| {
        seen.lock().unwrap().push(request);
        std::future::ready(Ok(answer.clone()))
    }));
    let time: Arc<dyn TimeSource> = Arc::new(At(account.time.parse::<Timestamp>().unwrap().into()));
    let random: Arc<dyn Random> = Arc::new(Zero);
    let mut environment = std::collections::BTreeMap::from([
        ("AWS_ACCESS_KEY_ID".to_owned(), account.access_key_id.to_owned()),
        ("AWS_SECRET_ACCESS_KEY".to_owned(), account.secret_access_key.to_owned()),
    ]);
    if let Some(token) = account.session_token {
        environment.insert("AWS_SESSION_TOKEN".to_owned(), token.to_owned());
    }
    let credentials =
        Credentials::from_environment(&environment, &config, transport.clone(), time.clone(), random.clone()).unwrap();
    let credentials = Arc::new(credentials);
    let parts = ClientParts { transport, config, credentials, time, random, observer: Arc::new(NoObserver) };
    (Client::new(parts), sent)
}

/// Makes a call to its end.
pub fn run(call: Call<'_>) -> Result<(), Error> {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(call)
}

/// One request of ours, as the signer is told of it, and what it is signed with.
fn signed(service: &str, request: &Request<Bytes>, region: &str, account: &Account) -> (Value, Value) {
    let headers = request.headers().iter().map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap())));
    let headers: serde_json::Map<String, Value> = headers.collect();
    let ours = headers.iter().filter(|(name, _)| *name == "authorization" || name.starts_with("x-amz-"));
    let ours = ours.map(|(name, value)| (name.clone(), value.clone())).collect();
    let case = json!({
        "method": request.method().as_str(), "url": request.uri().to_string(), "headers": headers,
        "body": request.body().to_vec(), "service": service, "region": region, "time": account.time,
        "access_key_id": account.access_key_id, "secret_access_key": account.secret_access_key,
        "session_token": account.session_token,
    });
    (case, Value::Object(ours))
}

#[test]
fn signatures_are_what_botocores_signer_makes_of_the_same_request() -> Result<()> {
    let mut botocore = Botocore::start()?;
    let mut number = 0;
    for seed in seeds() {
        println!("signatures: seed {seed}");
        for (service, operations) in SERVICES {
            for (operation, case) in *operations {
                let asked =
                    json!({"do": "requests", "service": service, "operation": operation, "seed": seed, "count": CASES});
                let inputs = botocore.ask(&asked)?;
                let (mut cases, mut ours) = (Vec::new(), Vec::new());
                for it in inputs.as_array().context("a list")? {
                    // The lengths have no common divisor, so all combinations come up.
                    number += 1;
                    let account = Account {
                        session_token: TOKENS[number % TOKENS.len()],
                        time: TIMES[number / 2 % TIMES.len()],
                        ..Account::default()
                    };
                    let mut environment = std::collections::BTreeMap::new();
                    if let Some(url) = ENDPOINTS[number % ENDPOINTS.len()] {
                        environment.insert("AWS_ENDPOINT_URL".to_owned(), url.to_owned());
                    }
                    let mut config = Config::from_environment(&environment, Some(REGIONS[number % REGIONS.len()]))?;
                    config.max_attempts = 1;
                    let endpoints = &config.endpoints;
                    let region = match *service {
                        "ec2" => &endpoints.ec2,
                        "route53" => &endpoints.route53,
                        _ => &endpoints.sts,
                    };
                    let region = region.signing_region.clone();
                    let (client, sent) = client(config, &account, Response::default());
                    // What becomes of the empty answer doesn't matter.
                    let _ = run((case.send)(&client, &it["input"]).map_err(integration::Error::new)?);
                    let sent = std::mem::take(&mut *sent.lock().unwrap());
                    let [request] = sent.as_slice() else { panic!("{operation}: {} requests", sent.len()) };
                    if *operation == "AssumeRoleWithWebIdentity" {
                        assert_eq!(request.headers().get("authorization"), None, "{operation} has no signature");
                        continue;
                    }
                    if request.uri().path().ends_with("/.") || request.uri().path().ends_with("/..") {
                        continue;
                    }
                    let (case, signature) = signed(service, request, &region, &account);
                    cases.push(case);
                    ours.push(signature);
                }
                let theirs = botocore.ask(&json!({"do": "sign", "cases": cases}))?;
                let theirs = theirs.as_array().context("a list")?;
                assert_eq!(theirs.len(), ours.len());
                for ((case, ours), theirs) in cases.iter().zip(&ours).zip(theirs) {
                    if let Err(why) = same_value("signature", ours, theirs) {
                        let body = String::from_utf8_lossy(&serde_json::from_value::<Vec<u8>>(case["body"].clone())?)
                            .into_owned();
                        panic!(
                            "{operation} of {service} is signed otherwise (ORACLE_SEED={seed}).\n{why}\n{} {}\n{}\n{body}",
                            case["method"], case["url"], case["headers"]
                        );
                    }
                }
            }
        }
    }
    Ok(())
}
