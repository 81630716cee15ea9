//! Profiles as a source of keys.

use std::sync::Arc;

use super::kit::*;
use crate::{Credentials, CredentialsError, CredentialsParts};

const ROLE: &str = "role_arn = arn:aws:iam::111122223333:role/r";

fn choose(
    files: &SharedFiles,
    aws: &Aws,
    clock: &Arc<Clock>,
    more: &[(&str, &str)],
) -> Result<Credentials, CredentialsError> {
    let parts = CredentialsParts { random: Arc::new(Dice(0)), ..credentials_parts(aws, clock) };
    Credentials::from_settings(&settings(&files.variables(more)), &parts)
}

fn source(files: &SharedFiles, more: &[(&str, &str)]) -> String {
    choose(files, &Aws::script([]), &Clock::new(), more).unwrap().source().to_owned()
}

fn refused(name: &str, config: &str, credentials: &str) -> String {
    let files = SharedFiles::new(name, config, credentials);
    let error = choose(&files, &Aws::script([]), &Clock::new(), &[]).unwrap_err();
    assert!(!error.temporary);
    let text = error.to_string();
    assert!(!text.contains("hush"), "{text}");
    text
}

fn keys_of(id: &str) -> String {
    format!("aws_access_key_id = {id}\naws_secret_access_key = hush-{id}")
}

fn assumed(id: &str, clock: &Arc<Clock>) -> Step {
    assumed_role("AssumeRole", id, &clock.in_seconds(3600))
}

/// Whose keys signed a request.
fn signer(seen: &Seen) -> &str {
    let header = seen.header("authorization").unwrap();
    header.split("Credential=").nth(1).unwrap().split('/').next().unwrap()
}

#[tokio::test(start_paused = true)]
async fn keys_of_the_credentials_file_go_before_those_of_the_config_file_as_one() {
    let config = "[default]\naws_access_key_id=C1\naws_secret_access_key=c\naws_session_token=of-config";
    let files = SharedFiles::new("pair", config, "[default]\naws_access_key_id=P1\naws_secret_access_key=p\n");
    let credentials = choose(&files, &Aws::script([]), &Clock::new(), &[]).unwrap();
    let keys = credentials.keys().await.unwrap();
    assert_eq!((keys.access_key_id.as_str(), keys.secret_access_key.expose()), ("P1", "p"));
    // The token of the other pair isn't taken for its own.
    assert_eq!(keys.session_token, None);
    let files = SharedFiles::new("pair-config", config, "[other]\n");
    let keys = choose(&files, &Aws::script([]), &Clock::new(), &[]).unwrap().keys().await.unwrap();
    assert_eq!((keys.access_key_id.as_str(), keys.session_token.as_ref().unwrap().expose()), ("C1", "of-config"));
}

#[test]
fn the_profile_is_the_one_that_is_named() {
    let files = SharedFiles::new("named", "", &format!("[default]\n{}\n[p]\n{}", keys_of("D"), keys_of("P")));
    assert_eq!(source(&files, &[]), "the profile default");
    assert_eq!(source(&files, &[("AWS_PROFILE", "p")]), "the profile p");
}

#[test]
fn a_profile_without_a_word_on_keys_is_no_source() {
    let files = SharedFiles::new("wordless", "[default]\nregion=eu-west-1\n[profile p]\noutput=json", "");
    let container = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials");
    assert!(source(&files, &[container]).contains("container"));
    assert!(source(&files, &[("AWS_PROFILE", "p")]).contains("IMDSv2"));
}

#[test]
fn half_a_pair_of_keys_is_an_error_that_says_where() {
    let why = refused("half", "", "[default]\naws_secret_access_key = hush");
    assert!(why.contains("the profile default") && why.contains("only one of"), "{why}");
    assert!(why.contains("half-credentials:2"), "{why}");
    let why = refused("odd-keys", "", "[default]\naws_access_key_id = A\naws_secret_access_key = hush hush");
    assert!(why.contains("secret access key") && why.contains("odd-keys-credentials:2"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_role_is_taken_on_with_the_keys_of_its_source_profile() {
    let config = format!(
        "[default]\n{ROLE}\nsource_profile = base\nexternal_id = ext/1\nrole_session_name = me@x\nduration_seconds = 1800"
    );
    let files = SharedFiles::new("role", &config, &format!("[base]\n{}", keys_of("BASE")));
    let clock = Clock::new();
    let aws = Aws::script([assumed("R1", &clock)]);
    let credentials = choose(&files, &aws, &clock, &[]).unwrap();
    assert_eq!(
        credentials.source(),
        "the role arn:aws:iam::111122223333:role/r (profile default) through the profile base"
    );
    assert_eq!(credentials.keys().await.unwrap().access_key_id, "R1");
    let seen = &aws.seen()[0];
    // In the region, and signed.
    assert_eq!((seen.uri.as_str(), signer(seen)), ("https://sts.eu-west-1.amazonaws.com/", "BASE"));
    assert!(seen.header("authorization").unwrap().contains("/eu-west-1/sts/aws4_request"));
    assert_eq!(
        seen.body,
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fr\
         &RoleSessionName=me%40x&DurationSeconds=1800&ExternalId=ext%2F1"
    );
}

#[tokio::test(start_paused = true)]
async fn roles_make_chains_and_each_is_signed_for_with_the_one_before() {
    let config = format!(
        "[default]\n{ROLE}1\nsource_profile=two\n[profile two]\n{ROLE}2\nsource_profile=three\n\
         [profile three]\n{ROLE}3\nsource_profile=four"
    );
    let files = SharedFiles::new("chain", &config, &format!("[four]\n{}", keys_of("BASE")));
    let clock = Clock::new();
    let aws = Aws::script(["R3", "R2", "R1"].map(|id| assumed(id, &clock)));
    let credentials = choose(&files, &aws, &clock, &[]).unwrap();
    assert_eq!(
        credentials.source(),
        "the role arn:aws:iam::111122223333:role/r1 (profile default) through \
         the role arn:aws:iam::111122223333:role/r2 (profile two) through \
         the role arn:aws:iam::111122223333:role/r3 (profile three) through the profile four"
    );
    assert_eq!(credentials.keys().await.unwrap().access_key_id, "R1");
    assert_eq!(aws.seen().iter().map(signer).collect::<Vec<_>>(), ["BASE", "R3", "R2"]);
}

#[tokio::test(start_paused = true)]
async fn a_source_profiles_keys_go_before_its_role_and_the_first_profiles_role_before_its_keys() {
    let config = format!("[default]\n{ROLE}1\nsource_profile=base\n[profile base]\n{ROLE}2\nsource_profile=default");
    let keys = format!("[default]\n{}\n[base]\n{}", keys_of("OWN"), keys_of("BASE"));
    let files = SharedFiles::new("first", &config, &keys);
    assert!(source(&files, &[]).ends_with("role/r1 (profile default) through the profile base"));
    // In a circle where there are keys: they end it.
    let files = SharedFiles::new("circle-keys", &config, &format!("[default]\n{}", keys_of("OWN")));
    assert!(source(&files, &[]).ends_with("role/r2 (profile base) through the profile default"));
    // A role that names its own profile, or none, means the keys beside it.
    for (name, line) in [("own-named", "source_profile=default"), ("own", "")] {
        let files = SharedFiles::new(name, &format!("[default]\n{ROLE}\n{line}"), &keys);
        assert!(source(&files, &[]).ends_with("role/r (profile default) through the profile default"));
    }
}

#[test]
fn profiles_in_a_circle_are_named() {
    let config = format!(
        "[default]\n{ROLE}\nsource_profile=a\n[profile a]\n{ROLE}\nsource_profile=b\n[profile b]\n{ROLE}\nsource_profile=a"
    );
    let why = refused("circle", &config, "");
    assert!(why.contains("default -> a -> b -> a") && why.contains("circle-config:9"), "{why}");
    let why = refused("self", &format!("[default]\n{ROLE}\nsource_profile=default"), "");
    assert!(why.contains("names the profile itself"), "{why}");
}

#[test]
fn a_credential_source_is_one_of_three() {
    let config = |source: &str| format!("[default]\n{ROLE}\ncredential_source = {source}");
    let files = SharedFiles::new("cs-imds", &config("Ec2InstanceMetadata"), "");
    assert!(source(&files, &[]).ends_with("(profile default) through the instance's role (IMDSv2)"));
    let files = SharedFiles::new("cs-ecs", &config("EcsContainer"), "");
    let relative = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/c");
    assert!(source(&files, &[relative]).contains("through the container's endpoint"));
    let why = refused("cs-no-container", &config("EcsContainer"), "");
    assert!(why.contains("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"), "{why}");
    let why = refused("cs-no-environment", &config("Environment"), "");
    assert!(why.contains("AWS_ACCESS_KEY_ID"), "{why}");
    let why = refused("cs-odd", &config("hush"), "");
    assert!(
        why.contains("Environment, Ec2InstanceMetadata or EcsContainer") && why.contains("cs-odd-config:3"),
        "{why}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_role_through_the_instance_fails_with_the_whole_chain_in_its_name() {
    let files =
        SharedFiles::new("chain-error", &format!("[default]\n{ROLE}\ncredential_source=Ec2InstanceMetadata"), "");
    let error = choose(&files, &Aws::always(Step::Hang), &Clock::new(), &[]).unwrap().keys().await.unwrap_err();
    let text = error.to_string();
    assert!(error.temporary && text.contains("role/r (profile default) through the instance's role"), "{text}");
    assert!(text.contains("HttpPutResponseHopLimit=1"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_profile_may_have_a_web_identity() {
    let token = TokenFile::new("profile-token", "the-token");
    let config = format!("[default]\n{ROLE}\nweb_identity_token_file = {}\nrole_session_name=s-1", token.path());
    let files = SharedFiles::new("profile-web", &config, "");
    let clock = Clock::new();
    let aws = Aws::script([assumed_role("AssumeRoleWithWebIdentity", "W1", &clock.in_seconds(3600))]);
    let credentials = choose(&files, &aws, &clock, &[]).unwrap();
    assert!(credentials.source().contains("web_identity_token_file of the profile default"));
    assert_eq!(credentials.keys().await.unwrap().access_key_id, "W1");
    let seen = &aws.seen()[0];
    assert_eq!(seen.header("authorization"), None);
    assert!(seen.body.ends_with("&RoleSessionName=s-1&WebIdentityToken=the-token"), "{}", seen.body);
}

#[test]
fn what_a_profile_lacks_or_has_too_much_of_is_named() {
    for (name, lines, expected) in [
        ("no-source", ROLE.to_owned(), "needs a source_profile or credential_source"),
        ("no-role", "source_profile = x".to_owned(), "source_profile in [profile default]"),
        ("no-role-2", "credential_source = Environment".to_owned(), "needs a role_arn"),
        ("no-role-3", "web_identity_token_file = /f".to_owned(), "needs a role_arn"),
        ("two-ways", format!("{ROLE}\nsource_profile = x\ncredential_source = Environment"), "one of them must go"),
        ("absent-source", format!("{ROLE}\nsource_profile = x"), "there is no profile of that name"),
        ("empty-source", format!("{ROLE}\nsource_profile = x\n[profile x]\nregion=y"), "it has no keys"),
        ("odd-arn", "role_arn = hush\nsource_profile = x".to_owned(), "looks like arn:aws:iam::"),
        ("odd-id", format!("{ROLE}\nexternal_id = hush hush\n{}", keys_of("A")), "external id has"),
        ("odd-session", format!("{ROLE}\nrole_session_name = hush/hush\n{}", keys_of("A")), "session's name has"),
        ("odd-duration", format!("{ROLE}\nduration_seconds = hush\n{}", keys_of("A")), "number of seconds"),
        ("short", format!("{ROLE}\nduration_seconds = 60\n{}", keys_of("A")), "900 to 43200"),
        ("far", format!("{}\n{}", ROLE.replace("aws:iam", "aws-cn:iam"), keys_of("A")), "no role spans two"),
    ] {
        let why = refused(name, &format!("[default]\n{lines}"), "");
        assert!(why.contains(expected) && why.contains("profile"), "{name}: {why}");
    }
}

#[test]
fn sso_and_mfa_are_refused_by_name_with_what_to_do_instead() {
    for key in ["sso_session", "sso_start_url", "sso_account_id", "sso_role_name", "login_session"] {
        let why = refused(&format!("sso-{key}"), &format!("[default]\n{key} = hush"), "");
        assert!(why.contains(key) && why.contains("not supported") && why.contains("export-credentials"), "{why}");
    }
    let why = refused(
        "mfa",
        &format!("[default]\n{ROLE}\nmfa_serial = hush\nsource_profile=b"),
        &format!("[b]\n{}", keys_of("B")),
    );
    assert!(why.contains("mfa_serial in [profile default]") && why.contains("MFA is not supported"), "{why}");
    // With keys beside it nobody has to log in.
    let files = SharedFiles::new("sso-keys", "[default]\nsso_session=s", &format!("[default]\n{}", keys_of("K")));
    assert_eq!(source(&files, &[]), "the profile default");
}
