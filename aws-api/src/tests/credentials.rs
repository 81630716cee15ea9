//! Where keys come from, and how long they are used.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;

use super::kit::*;
use crate::{Class, Client, ClientParts, Credentials, CredentialsError, CredentialsParts, ec2};

const STATIC: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)];

fn choose(aws: &Aws, clock: &Arc<Clock>, variables: &[(&str, &str)]) -> Result<Credentials, CredentialsError> {
    let parts = CredentialsParts { random: Arc::new(Dice(0)), ..credentials_parts(aws, clock) };
    Credentials::from_settings(&settings(variables), &parts)
}

fn chosen(variables: &[(&str, &str)]) -> Result<String, String> {
    let chosen = choose(&Aws::script([]), &Clock::new(), variables);
    chosen.map(|it| it.source().to_owned()).map_err(|error| error.to_string())
}

fn web_identity(file: &TokenFile) -> [(&str, &str); 3] {
    [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.path()),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"),
        ("AWS_ROLE_SESSION_NAME", "session"),
    ]
}

fn assumed(id: &str, expires: &str) -> Step {
    assumed_role("AssumeRoleWithWebIdentity", id, expires)
}

fn instance(id: &str, expires: &str) -> Step {
    ok(format!(
        "{{\"Code\":\"Success\",\"Type\":\"AWS-HMAC\",\"AccessKeyId\":\"{id}\",\"SecretAccessKey\":\"s\",\
         \"Token\":\"t\",\"Expiration\":\"{expires}\"}}"
    ))
}

async fn advance(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

async fn id(credentials: &Credentials) -> String {
    credentials.keys().await.unwrap().access_key_id.clone()
}

#[test]
fn the_first_configured_source_is_the_one() {
    let file = TokenFile::new("first-source", "[default]\naws_access_key_id = AKIAP\naws_secret_access_key = s");
    let web = [("AWS_WEB_IDENTITY_TOKEN_FILE", "/f"), ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r")];
    let profile = [("AWS_SHARED_CREDENTIALS_FILE", file.path()), ("AWS_PROFILE", "default")];
    let container = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials")];
    let all = [&STATIC[..], &web, &profile, &container].concat();
    // Also where the profile is named.
    assert!(chosen(&all).unwrap().contains("AWS_ACCESS_KEY_ID"));
    assert!(chosen(&all[2..]).unwrap().contains("web identity"));
    assert_eq!(chosen(&all[4..]).unwrap(), "the profile default");
    assert!(chosen(&container).unwrap().contains("container"));
    assert!(chosen(&[]).unwrap().contains("IMDSv2"));
}

#[test]
fn half_a_source_is_an_error_and_no_reason_to_take_the_next() {
    for half in &STATIC {
        assert!(chosen(&[*half]).unwrap_err().contains("only one of"));
    }
    assert!(chosen(&[("AWS_WEB_IDENTITY_TOKEN_FILE", "/f")]).unwrap_err().contains("AWS_ROLE_ARN"));
    let error = chosen(&[STATIC[0], ("AWS_SECRET_ACCESS_KEY", "hush\nhush")]).unwrap_err();
    assert!(error.contains("secret access key") && !error.contains("hush"), "{error}");
    let error = chosen(&[("AWS_EC2_METADATA_DISABLED", "true")]).unwrap_err();
    assert!(error.contains("IRSA") && error.contains("AWS_ACCESS_KEY_ID"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn keys_of_the_environment_never_expire() {
    let aws = Aws::script([]);
    let variables = [&STATIC[..], &[("AWS_SESSION_TOKEN", "token")]].concat();
    let credentials = choose(&aws, &Clock::new(), &variables).unwrap();
    let keys = credentials.keys().await.unwrap();
    assert_eq!(keys.secret_access_key.expose(), SECRET_KEY);
    assert_eq!(keys.session_token.as_ref().unwrap().expose(), "token");
    advance(1_000_000).await;
    assert_eq!((id(&credentials).await.as_str(), credentials.expires()), (ACCESS_KEY, None));
}

#[tokio::test(start_paused = true)]
async fn web_identity_asks_sts_without_a_signature_and_reads_the_token_each_time() {
    let file = TokenFile::new("reads", "token-1\n");
    let clock = Clock::new();
    let aws = Aws::script([assumed("A1", &clock.in_seconds(3600)), assumed("A2", &clock.in_seconds(7200))]);
    let credentials = choose(&aws, &clock, &web_identity(&file)).unwrap();
    assert_eq!(id(&credentials).await, "A1");
    let seen = &aws.seen()[0];
    assert_eq!(seen.uri, "https://sts.eu-west-1.amazonaws.com/");
    assert_eq!((seen.header("authorization"), seen.header("x-amz-date")), (None, None));
    assert_eq!(
        seen.body,
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr\
         &RoleSessionName=session&WebIdentityToken=token-1"
    );
    // Five minutes before the end others are fetched, with the token as it is then.
    std::fs::write(&file.0, "token-2").unwrap();
    advance(3600 - 301).await;
    assert_eq!((id(&credentials).await.as_str(), aws.count()), ("A1", 1));
    advance(1).await;
    assert_eq!(id(&credentials).await, "A2");
    assert!(aws.seen()[1].body.ends_with("WebIdentityToken=token-2"));
}

#[tokio::test(start_paused = true)]
async fn many_that_need_keys_at_once_make_one_request() {
    let file = TokenFile::new("single", "token");
    let clock = Clock::new();
    let slow = Step::After(Duration::from_secs(1), Box::new(assumed("A1", &clock.in_seconds(3600))));
    let aws = Aws::script([slow]);
    let credentials = choose(&aws, &clock, &web_identity(&file)).unwrap();
    let ids = join_all((0..50).map(|_| id(&credentials))).await;
    assert!(ids.iter().all(|id| id == "A1") && aws.count() == 1);
}

#[tokio::test(start_paused = true)]
async fn many_that_need_keys_at_once_are_told_of_one_failure() {
    let file = TokenFile::new("failure", "token");
    let aws = Aws::script([rest_error(403, "AccessDenied")]);
    let credentials = choose(&aws, &Clock::new(), &web_identity(&file)).unwrap();
    let outcomes = join_all((0..50).map(|_| credentials.keys())).await;
    assert!(outcomes.iter().all(Result::is_err) && aws.count() == 1);
    let error = outcomes[0].as_ref().unwrap_err();
    assert!(!error.temporary && error.to_string().contains("AccessDenied"), "{error}");
    assert!(error.to_string().contains("arn:aws:iam::1:role/r"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn good_keys_are_kept_while_renewing_fails_and_nobody_waits_for_it() {
    let file = TokenFile::new("kept", "token");
    let clock = Clock::new();
    let mut first = Some(assumed("A1", &clock.in_seconds(3600)));
    let aws = Aws::answering(move |_| first.take().unwrap_or_else(lost));
    let credentials = choose(&aws, &clock, &web_identity(&file)).unwrap();
    id(&credentials).await;
    advance(3600 - 200).await;
    assert_eq!(id(&credentials).await, "A1");
    assert!(credentials.last_failure().is_some());
    // A failure isn't repeated by everybody.
    let asked = aws.count();
    assert_eq!((id(&credentials).await.as_str(), aws.count()), ("A1", asked));
    advance(60).await;
    assert_eq!(id(&credentials).await, "A1");
    assert!(aws.count() > asked);
    // Expired is expired.
    advance(140).await;
    let error = credentials.keys().await.unwrap_err();
    assert!(error.temporary && error.to_string().contains("web identity"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_while_keys_are_renewed_uses_the_old_ones() {
    let file = TokenFile::new("meanwhile", "token");
    let clock = Clock::new();
    let slow = Step::After(Duration::from_secs(2), Box::new(assumed("A2", &clock.in_seconds(7200))));
    let aws = Aws::script([assumed("A1", &clock.in_seconds(3600)), slow]);
    let credentials = choose(&aws, &clock, &web_identity(&file)).unwrap();
    id(&credentials).await;
    advance(3600 - 200).await;
    let ids = join_all((0..3).map(|_| id(&credentials))).await;
    assert_eq!(ids, ["A2", "A1", "A1"]);
    assert_eq!(id(&credentials).await, "A2");
}

#[tokio::test(start_paused = true)]
async fn a_provider_of_identities_that_is_down_is_asked_again() {
    let file = TokenFile::new("idp", "token");
    let clock = Clock::new();
    let aws = Aws::script([rest_error(400, "IDPCommunicationError"), assumed("A1", &clock.in_seconds(3600))]);
    assert_eq!(id(&choose(&aws, &clock, &web_identity(&file)).unwrap()).await, "A1");
}

#[tokio::test(start_paused = true)]
async fn a_missing_or_empty_token_file_is_named() {
    let file = TokenFile::new("empty", " \n");
    let aws = Aws::script([]);
    let error = choose(&aws, &Clock::new(), &web_identity(&file)).unwrap().keys().await.unwrap_err();
    assert!(error.to_string().contains(file.path()), "{error}");
    let gone = TokenFile(std::env::temp_dir().join("aws-api-no-such-file"));
    let error = choose(&aws, &Clock::new(), &web_identity(&gone)).unwrap().keys().await.unwrap_err();
    assert!(error.to_string().contains(gone.path()), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_instances_role_is_asked_for_by_name_each_time() {
    let clock = Clock::new();
    let aws = Aws::script([
        ok("imds-token"),
        ok("role-1"),
        instance("I1", &clock.in_seconds(21_600)),
        ok("role-2"),
        instance("I2", &clock.in_seconds(43_200)),
    ]);
    let credentials = choose(&aws, &clock, &[]).unwrap();
    assert_eq!(id(&credentials).await, "I1");
    advance(21_600 - 300).await;
    // The token is renewed two minutes before its end; here it still lives.
    assert_eq!(id(&credentials).await, "I2");
    let uris: Vec<_> = aws.seen().iter().map(|seen| seen.uri.rsplit("latest/").next().unwrap().to_owned()).collect();
    assert_eq!(
        uris,
        [
            "api/token",
            "meta-data/iam/security-credentials/",
            "meta-data/iam/security-credentials/role-1",
            "meta-data/iam/security-credentials/",
            "meta-data/iam/security-credentials/role-2",
        ]
    );
    assert!(aws.seen().iter().all(|seen| seen.header("authorization").is_none()));
}

#[tokio::test(start_paused = true)]
async fn the_instances_failures_are_told_with_what_to_do() {
    for (steps, expected) in [
        (vec![status(403, "")], "disabled"),
        (vec![ok("t"), status(404, "")], "no IAM role"),
        (vec![ok("t"), ok("")], "no IAM role"),
        (vec![Step::Hang, Step::Hang], "HttpPutResponseHopLimit=1"),
        (vec![ok("t"), ok("role"), ok("{\"Code\":\"AssumeRoleUnauthorizedAccess\"}")], "AssumeRoleUnauthorizedAccess"),
        (vec![ok("t"), ok("role"), ok("<html>")], "JSON"),
        (vec![ok("t"), ok("role"), ok("{\"Code\":\"Success\",\"AccessKeyId\":\"A\"}")], "lack a part"),
        (vec![ok("t"), ok("../../user-data"), ok("")], "something else"),
    ] {
        let credentials = choose(&Aws::script(steps), &Clock::new(), &[]).unwrap();
        let error = credentials.keys().await.unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("IMDSv2"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_instances_keys_are_used_beyond_their_end_when_it_has_no_others() {
    let clock = Clock::new();
    let expires = clock.in_seconds(3600);
    let mut steps = vec![ok("t"), ok("role"), instance("I1", &expires)];
    // First it is silent, then it gives out expired ones, then good ones.
    steps.extend([Step::Hang, Step::Hang, ok("role"), instance("I1", &expires)]);
    steps.extend([ok("role"), instance("I2", &clock.in_seconds(90_000))]);
    let aws = Aws::script(steps);
    let credentials = choose(&aws, &clock, &[]).unwrap();
    assert_eq!(id(&credentials).await, "I1");
    advance(4000).await;
    assert_eq!(id(&credentials).await, "I1");
    assert!(credentials.last_failure().is_some());
    advance(60).await;
    assert_eq!(id(&credentials).await, "I1");
    advance(301).await;
    assert_eq!(id(&credentials).await, "I2");
}

#[tokio::test(start_paused = true)]
async fn keys_that_have_expired_already_are_an_error_elsewhere() {
    let file = TokenFile::new("over", "token");
    let clock = Clock::new();
    let aws = Aws::script([assumed("A1", &clock.in_seconds(-10))]);
    let error = choose(&aws, &clock, &web_identity(&file)).unwrap().keys().await.unwrap_err();
    assert!(error.to_string().contains("is the clock right"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_call_without_keys_sends_nothing_and_says_why() {
    let file = TokenFile::new("nothing", "token");
    let (aws, sts, clock) = (Aws::script([]), Aws::script([rest_error(403, "AccessDenied")]), Clock::new());
    let credentials = Arc::new(choose(&sts, &clock, &web_identity(&file)).unwrap());
    let client = Client::new(ClientParts { credentials, ..parts(&aws, &clock) });
    let error = client.send(&ec2::DescribeSecurityGroups::default()).await.unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (Class::Denied, None));
    assert!(error.message.contains("web identity") && error.message.contains("AccessDenied"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn keys_that_aws_calls_expired_are_replaced_once() {
    let file = TokenFile::new("early", "token");
    let clock = Clock::new();
    let sts = Aws::script(["A1", "A2"].map(|id| assumed(id, &clock.in_seconds(3600))));
    let aws = Aws::script([ec2_error(400, "ExpiredToken"), ec2_error(400, "ExpiredToken")]);
    let credentials = Arc::new(choose(&sts, &clock, &web_identity(&file)).unwrap());
    let client = Client::new(ClientParts { credentials, ..parts(&aws, &clock) });
    let error = client.send(&ec2::CreateTags::default()).await.unwrap_err();
    assert_eq!((error.class, aws.count(), sts.count()), (Class::Denied, 2, 2));
    assert!(aws.seen()[1].header("authorization").unwrap().contains("Credential=A2/"));
}
