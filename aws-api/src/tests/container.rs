//! Keys from the container's endpoint: which one may be asked, with what, how often, and what is told of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::kit::*;
use crate::{
    Class, Client, ClientParts, Credentials, CredentialsError, CredentialsParts, HttpOptions, TransportError, ec2,
    http_transport,
};

const RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
const TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
const EKS: (&str, &str) = (FULL, "http://169.254.170.23/v1/credentials");

fn choose(aws: &Aws, clock: &Arc<Clock>, variables: &[(&str, &str)]) -> Result<Credentials, CredentialsError> {
    let parts = CredentialsParts { random: Arc::new(MOST), ..credentials_parts(aws, clock) };
    Credentials::from_settings(&settings(variables), &parts)
}

fn document(id: &str, expires: &str) -> Step {
    ok(format!(
        "{{\"AccessKeyId\":\"{id}\",\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":\"{expires}\",\
         \"AccountId\":\"1\"}}"
    ))
}

/// Good for an hour, counted from the beginning of a test.
fn keys(id: &str) -> Step {
    document(id, "2026-11-26T02:02:03Z")
}

async fn failure(aws: &Aws, variables: &[(&str, &str)]) -> CredentialsError {
    choose(aws, &Clock::new(), variables).unwrap().keys().await.unwrap_err()
}

/// The URI that is asked, or why none is.
async fn asked(variables: &[(&str, &str)]) -> Result<String, String> {
    let aws = Aws::script([keys("C1")]);
    let credentials = choose(&aws, &Clock::new(), variables).map_err(|error| error.to_string())?;
    credentials.keys().await.unwrap();
    Ok(aws.seen()[0].uri.clone())
}

#[tokio::test(start_paused = true)]
async fn pod_identity_is_asked_with_the_token_as_it_is_each_time() {
    let file = TokenFile::new("pod-identity", "token-1");
    let clock = Clock::new();
    let aws = Aws::script([document("C1", &clock.in_seconds(3600)), document("C2", &clock.in_seconds(7200))]);
    // The file goes before the variable.
    let credentials = choose(&aws, &clock, &[EKS, (TOKEN_FILE, file.path()), (TOKEN, "other")]).unwrap();
    let got = credentials.keys().await.unwrap();
    assert_eq!(got.access_key_id, "C1");
    assert_eq!((got.secret_access_key.expose(), got.session_token.as_ref().unwrap().expose()), ("s", "t"));
    assert_eq!(credentials.expires(), Some(clock.right() + Duration::from_secs(3600)));
    // Five minutes (and with these dice one more) before the end.
    std::fs::write(&file.0, "token-2").unwrap();
    tokio::time::advance(Duration::from_secs(3600 - 361)).await;
    assert_eq!((credentials.keys().await.unwrap().access_key_id.as_str(), aws.count()), ("C1", 1));
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(credentials.keys().await.unwrap().access_key_id, "C2");
    for (seen, token) in aws.seen().iter().zip(["token-1", "token-2"]) {
        assert_eq!((seen.method.as_str(), seen.uri.as_str(), seen.body.as_str()), ("GET", EKS.1, ""));
        assert_eq!((seen.header("authorization"), seen.header("accept")), (Some(token), Some("application/json")));
        assert!(seen.headers["authorization"].is_sensitive());
    }
}

#[tokio::test(start_paused = true)]
async fn the_token_of_the_variable_is_sent_as_it_stands_and_none_where_none_is_set() {
    for (variables, expected) in [
        (&[EKS, (TOKEN, "Basic dXNlcg== ")][..], Some("Basic dXNlcg== ")),
        (&[EKS], None),
        (&[EKS, (TOKEN, " "), (TOKEN_FILE, "")], None),
    ] {
        let aws = Aws::script([keys("C1")]);
        choose(&aws, &Clock::new(), variables).unwrap().keys().await.unwrap();
        assert_eq!(aws.seen()[0].header("authorization"), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn the_relative_uri_goes_before_the_full_one() {
    let both = [(RELATIVE, "/v2/credentials/guid?x=1"), EKS];
    assert_eq!(asked(&both).await.unwrap(), "http://169.254.170.2/v2/credentials/guid?x=1");
    assert_eq!(asked(&both[1..]).await.unwrap(), EKS.1);
}

#[tokio::test(start_paused = true)]
async fn over_http_only_addresses_close_by_are_asked() {
    for url in [
        "http://169.254.170.2/c",
        "http://169.254.170.23:80/c",
        "http://[fd00:ec2::23]/v1/credentials",
        "http://127.0.0.1:9911/c?role=r",
        "http://127.8.9.1/c",
        "http://[::1]:9911/c",
        "https://credentials.example/c",
    ] {
        assert_eq!(asked(&[(FULL, url)]).await.unwrap(), url);
    }
    for url in [
        "http://169.254.169.254/hush",
        "http://169.254.170.24/hush",
        "http://[fd00:ec2::254]/hush",
        "http://10.0.0.1/hush",
        "http://credentials.example/hush",
        "http://127.0.0.1.credentials.example/hush",
        "http://127.1/hush",
        "http://0x7f000001/hush",
    ] {
        let error = asked(&[(FULL, url)]).await.unwrap_err();
        assert!(error.contains(FULL) && error.contains("over http") && !error.contains("hush"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_is_not_resolved_and_the_error_says_so() {
    let error = asked(&[(FULL, "http://localhost:9911/c")]).await.unwrap_err();
    assert!(error.contains("\"localhost\"") && error.contains("aren't resolved"), "{error}");
    assert!(error.contains("127.0.0.0/8") && error.contains("[fd00:ec2::23]"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_cannot_be_used_is_an_error_and_no_reason_to_take_the_next() {
    for (name, value) in [
        (RELATIVE, "hush"),
        (RELATIVE, "@hush.example/"),
        (RELATIVE, ".hush.example/"),
        (RELATIVE, "/hush hush"),
        (RELATIVE, "/hush#x"),
        (FULL, "hush"),
        (FULL, "/hush"),
        (FULL, "ftp://127.0.0.1/hush"),
        (FULL, "http://hush:hush@127.0.0.1/"),
        (FULL, "https://example/hush#x"),
    ] {
        let error = asked(&[(name, value)]).await.unwrap_err();
        assert!(error.contains(name) && error.contains("container") && !error.contains("hush"), "{error}");
    }
    // Nor does the full one stand in for the relative one.
    assert!(asked(&[(RELATIVE, "x"), EKS]).await.unwrap_err().contains(RELATIVE));
}

#[tokio::test(start_paused = true)]
async fn without_a_token_that_can_be_sent_nobody_is_asked() {
    let aws = Aws::script([]);
    let gone = std::env::temp_dir().join("aws-api-no-such-token");
    let error = failure(&aws, &[EKS, (TOKEN_FILE, gone.to_str().unwrap()), (TOKEN, "unused")]).await;
    assert!(error.temporary && error.to_string().contains(gone.to_str().unwrap()), "{error}");
    for (name, text) in
        [("none", ""), ("newline", "hush\n"), ("two", "hush\r\nx-other: hush"), ("accent", "hush\u{e9}")]
    {
        let file = TokenFile::new(name, text);
        let error = failure(&aws, &[EKS, (TOKEN_FILE, file.path())]).await;
        let shown = format!("{error} {error:?}");
        assert!(error.temporary && shown.contains(file.path()) && !shown.contains("hush"), "{shown}");
    }
    let error = choose(&aws, &Clock::new(), &[EKS, (TOKEN, "hush\nhush")]).unwrap_err();
    assert!(!error.temporary && error.message.contains(TOKEN) && !error.message.contains("hush"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_asked_three_times_in_all() {
    let passing = || {
        [500, 502, 503, 504, 429].map(|code| status(code, "busy")).into_iter().chain([
            lost(),
            not_sent(),
            Step::Hang,
            ok("<html>"),
            ok("{}"),
            ok("{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":\"soon\"}"),
        ])
    };
    for step in passing() {
        let aws = Aws::script([step.clone(), step.clone(), keys("C1")]);
        assert_eq!(choose(&aws, &Clock::new(), &[EKS]).unwrap().keys().await.unwrap().access_key_id, "C1");
    }
    for step in passing() {
        let aws = Aws::always(step);
        let error = failure(&aws, &[EKS]).await;
        assert!(error.temporary && aws.count() == 3, "{error} {}", aws.count());
    }
}

#[tokio::test(start_paused = true)]
async fn what_will_not_pass_is_asked_once() {
    for code in [301, 400, 401, 403, 404] {
        let aws = Aws::always(status(code, ""));
        let error = failure(&aws, &[EKS]).await;
        assert!(!error.temporary && aws.count() == 1, "{error} {}", aws.count());
        assert!(error.to_string().contains(&format!("HTTP status {code}")), "{error}");
    }
    // What a layer of the transport refuses stays refused.
    let aws = Aws::always(Step::Fail(TransportError::Refused("not the leader".into())));
    assert!(failure(&aws, &[EKS]).await.to_string().contains("not the leader"));
    assert_eq!(aws.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_endpoint_is_given_more_time_than_a_failing_one() {
    let waited = async |code| {
        let aws = Aws::always(status(code, ""));
        let start = Instant::now();
        failure(&aws, &[EKS]).await;
        start.elapsed()
    };
    let (throttled, failing) = (waited(429).await, waited(500).await);
    assert!(throttled > Duration::from_secs(2) && failing < Duration::from_secs(1), "{throttled:?} {failing:?}");
}

#[tokio::test(start_paused = true)]
async fn silence_ends_after_five_seconds_each_time() {
    let aws = Aws::always(Step::Hang);
    let error = failure(&aws, &[EKS]).await.to_string();
    assert!(error.contains("169.254.170.23 doesn't answer") && error.contains("agent"), "{error}");
    let seen = aws.seen();
    let apart = seen[1].at - seen[0].at;
    assert!(apart >= Duration::from_secs(5) && apart < Duration::from_secs(6), "{apart:?}");
}

#[tokio::test(start_paused = true)]
async fn the_agents_code_and_message_are_told() {
    // ECS answers with JSON, the agent of EKS with plain text; a document may be an error whatever the status says.
    for (step, expected) in [
        (
            status(400, "{\"code\":\"InvalidIdInRequest\",\"message\":\"no such id\"}"),
            "400: InvalidIdInRequest: no such id",
        ),
        (status(500, "{\"Code\":\"Internal\",\"Message\":\"broken\"}"), "500: Internal: broken"),
        (status(404, "[r-1]: (ResourceNotFoundException): no\n  association\u{7}\n"), "no association"),
        (status(403, "{\"message\":\"denied\"}"), "403: denied"),
        (
            ok("{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"trust\"}"),
            "AssumeRoleUnauthorizedAccess: trust",
        ),
    ] {
        let error = failure(&Aws::always(step), &[EKS]).await.to_string();
        assert!(error.contains("container") && error.contains(expected), "{error}");
        assert!(!error.contains(char::is_control), "{error}");
    }
    let long = failure(&Aws::always(status(403, "x".repeat(100_000))), &[EKS]).await;
    assert!(long.message.contains("xxx") && long.message.len() < 1000, "{}", long.message.len());
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_shown_wherever_it_stands() {
    let keys = "\"SecretAccessKey\":\"hush 1\",\"Token\":\"hush-2\"";
    for step in [
        ok(format!("{{\"AccessKeyId\":\"A\",{keys}}}")),
        ok(format!("{{\"AccessKeyId\":{{\"hush-3\":1}},{keys}}}")),
        ok(format!("{{\"Code\":\"Failed\",{keys}}}")),
        ok("hush-4"),
        status(500, format!("{{\"AccessKeyId\":\"A\",{keys}")),
        status(403, "your token hush-token isn't known"),
        status(403, "{\"code\":\"hush-token\",\"message\":\"hush-token\"}"),
        lost(),
    ] {
        let credentials =
            choose(&Aws::always(step), &Clock::new(), &[(RELATIVE, "/hush-path"), (TOKEN, "hush-token")]).unwrap();
        let error = credentials.keys().await.unwrap_err();
        let shown = format!("{error} {error:?} {credentials:?} {:?}", credentials.last_failure());
        assert!(!shown.contains("hush"), "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn keys_without_an_expiry_are_asked_for_again_within_a_quarter_of_an_hour() {
    let clock = Clock::new();
    let aws = Aws::always(ok("{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"Token\":\"t\"}"));
    let credentials = choose(&aws, &clock, &[EKS]).unwrap();
    credentials.keys().await.unwrap();
    assert_eq!(credentials.expires(), Some(clock.right() + Duration::from_secs(900)));
    tokio::time::advance(Duration::from_secs(900)).await;
    credentials.keys().await.unwrap();
    assert_eq!(aws.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn good_keys_are_kept_while_the_endpoint_fails_but_not_beyond_their_end() {
    let mut first = Some(keys("C1"));
    let aws = Aws::answering(move |_| first.take().unwrap_or_else(|| status(404, "gone")));
    let credentials = choose(&aws, &Clock::new(), &[EKS]).unwrap();
    credentials.keys().await.unwrap();
    tokio::time::advance(Duration::from_secs(3600 - 100)).await;
    assert_eq!(credentials.keys().await.unwrap().access_key_id, "C1");
    assert!(credentials.last_failure().unwrap().message.contains("gone"));
    tokio::time::advance(Duration::from_secs(100)).await;
    assert!(credentials.keys().await.unwrap_err().message.contains("gone"));
}

#[tokio::test(start_paused = true)]
async fn keys_that_aws_calls_expired_are_replaced() {
    for code in ["ExpiredToken", "RequestExpired"] {
        let (clock, endpoint) = (Clock::new(), Aws::script([keys("C1"), keys("C2")]));
        let aws = Aws::script([ec2_error(400, code), ok(NO_GROUPS)]);
        let credentials = Arc::new(choose(&endpoint, &clock, &[EKS]).unwrap());
        let client = Client::new(ClientParts { credentials, ..parts(&aws, &clock) });
        client.send(&ec2::DescribeSecurityGroups::default()).await.unwrap();
        assert!(aws.seen()[1].header("authorization").unwrap().contains("Credential=C2/"), "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_the_endpoint_refuses_keys_for_is_denied_and_never_falls_back_to_the_instance() {
    let (clock, endpoint) = (Clock::new(), Aws::script([status(403, "(AccessDeniedException): no")]));
    let aws = Aws::script([]);
    let credentials = Arc::new(choose(&endpoint, &clock, &[EKS]).unwrap());
    let client = Client::new(ClientParts { credentials, ..parts(&aws, &clock) });
    let error = client.send(&ec2::DescribeSecurityGroups::default()).await.unwrap_err();
    assert_eq!((error.class, endpoint.count()), (Class::Denied, 1));
    assert!(error.message.contains("container") && error.message.contains("AccessDeniedException"), "{error}");
}

#[tokio::test]
async fn a_server_on_this_machine_is_asked_as_the_agents_are() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        let body = "{\"AccessKeyId\":\"C1\",\"SecretAccessKey\":\"s\",\"Token\":\"t\"}";
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(request).unwrap()
    });
    let settings = settings(&[(FULL, &format!("http://{address}/v1/credentials?x=1")), (TOKEN, "A-token")]);
    let transport = http_transport(HttpOptions::default()).unwrap();
    let parts = CredentialsParts { transport, ..credentials_parts(&Aws::script([]), &Clock::new()) };
    let credentials = Credentials::from_settings(&settings, &parts).unwrap();
    assert_eq!(credentials.keys().await.unwrap().access_key_id, "C1");
    let request = server.await.unwrap();
    assert!(request.starts_with("GET /v1/credentials?x=1 HTTP/1.1\r\n"), "{request}");
    for line in ["accept: application/json".to_owned(), "authorization: A-token".to_owned(), format!("host: {address}")]
    {
        assert!(request.contains(&format!("\r\n{line}\r\n")), "{request}");
    }
}
