//! `credential_process`: a program that prints keys. On real time, since programs take it.

use std::sync::Arc;
use std::time::Duration;

use super::kit::*;
use crate::{Credentials, CredentialsError};

/// A profile whose program is a script for `sh`, in a file whose name has a blank.
struct Program {
    files: SharedFiles,
    _script: TokenFile,
}

impl Program {
    fn new(name: &str, script: &str) -> Program {
        Program::with(name, script, "")
    }

    fn with(name: &str, script: &str, arguments: &str) -> Program {
        let file = TokenFile::new(&format!("{name} script"), script);
        let config = format!("[default]\ncredential_process = /bin/sh \"{}\" {arguments}", file.path());
        Program { files: SharedFiles::new(name, &config, ""), _script: file }
    }

    fn credentials(&self, clock: &Arc<Clock>) -> Credentials {
        let variables = self.files.variables(&[("MARK", "mark"), ("PATH", "/usr/bin:/bin")]);
        Credentials::from_settings(&settings(&variables), &credentials_parts(&Aws::script([]), clock)).unwrap()
    }

    async fn failure(&self) -> CredentialsError {
        self.credentials(&Clock::new()).keys().await.unwrap_err()
    }
}

/// A script that prints a document.
fn printing(document: &str) -> String {
    format!("cat <<'EOF'\n{document}\nEOF\n")
}

fn keys(id: &str, more: &str) -> String {
    printing(&format!("{{\"Version\": 1, \"AccessKeyId\": \"{id}\", \"SecretAccessKey\": \"hush-1\"{more}}}"))
}

#[tokio::test]
async fn keys_without_an_expiry_are_good_for_ever() {
    let program = Program::new("plain", &keys("P1", ", \"Other\": [1]"));
    let credentials = program.credentials(&Clock::new());
    assert_eq!(credentials.source(), "the credential_process of the profile default");
    let keys = credentials.keys().await.unwrap();
    assert_eq!((keys.access_key_id.as_str(), keys.secret_access_key.expose()), ("P1", "hush-1"));
    assert_eq!((&keys.session_token, keys.expires), (&None, None));
}

#[tokio::test]
async fn temporary_keys_have_a_token_and_an_expiry() {
    let program = Program::new(
        "temporary",
        &keys("P1", ", \"SessionToken\": \"t\", \"Expiration\": \"2026-11-26T02:02:03+00:00\""),
    );
    let clock = Clock::new();
    let credentials = program.credentials(&clock);
    let keys = credentials.keys().await.unwrap();
    assert_eq!(keys.session_token.as_ref().unwrap().expose(), "t");
    assert_eq!(credentials.expires(), Some(beginning() + Duration::from_secs(3600)));
}

#[tokio::test]
async fn words_are_taken_apart_as_in_a_shell_and_nothing_is_expanded() {
    let script = format!(
        "[ $# = 8 ] && [ \"$1\" = 'a b' ] && [ \"$2\" = 'c d' ] && [ \"$3\" = 'e f' ] && [ \"$4\" = '$HOME *' ] && \
         [ \"$5\" = 'x\"y\\z' ] && [ \"$6\" = 'a\\nb' ] && [ -z \"$7\" ] && [ \"$8\" = 'one;two|three' ] || exit 3\n{}",
        keys("P1", "")
    );
    let arguments = r#""a b" 'c d' e\ f '$HOME *' "x\"y\\z" "a\nb" '' on"e;"two'|'three"#;
    let program = Program::with("words", &script, arguments);
    program.credentials(&Clock::new()).keys().await.unwrap();
}

#[tokio::test]
async fn a_command_may_go_on_in_the_next_line() {
    let script = format!("[ \"$1\" = '--one' ] && [ \"$2\" = 'two#' ] || exit 3\n{}", keys("P1", ""));
    Program::with("lines", &script, "\n   --one\n  two#").credentials(&Clock::new()).keys().await.unwrap();
}

#[test]
fn a_command_that_cannot_be_taken_apart_is_told_by_its_place_and_not_quoted() {
    for (name, command) in
        [("quote", "/bin/hush 'hush"), ("double", "/bin/hush \"hush"), ("end", "hush hush\\"), ("none", "'' hush")]
    {
        let config = format!("[default]\ncredential_process = {command}");
        let files = SharedFiles::new(&format!("command-{name}"), &config, "");
        let parts = credentials_parts(&Aws::script([]), &Clock::new());
        let error = Credentials::from_settings(&settings(&files.variables(&[])), &parts).unwrap_err().to_string();
        assert!(error.contains("credential_process in [profile default]") && !error.contains("hush"), "{error}");
    }
}

#[tokio::test]
async fn the_program_gets_the_environment_that_was_handed_in_and_no_other() {
    let script = format!("[ \"$MARK\" = mark ] && [ -z \"$CARGO_PKG_NAME\" ] || exit 3\n{}", keys("P1", ""));
    assert!(std::env::var_os("CARGO_PKG_NAME").is_some(), "run by cargo");
    Program::new("environment", &script).credentials(&Clock::new()).keys().await.unwrap();
}

#[tokio::test]
async fn what_it_complains_of_is_told_without_what_may_be_a_secret() {
    let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    let script = format!(
        "echo 'hush on the output'; echo 'no session for AKIAIOSFODNN7EXAMPLE;\n  secret_access_key={secret} \
         token: hush-2 --password=hush-3 at {secret} \"SecretAccessKey\": \"hush-4\" log in anew' >&2; exit 7"
    );
    let error = Program::new("complaint", &script).failure().await;
    let text = format!("{error} {error:?}");
    assert!(error.temporary && text.contains("exit status: 7"), "{text}");
    assert!(text.contains("no session for AKIAIOSFODNN7EXAMPLE;") && text.contains("log in anew"), "{text}");
    assert!(!text.contains("hush") && !text.contains(secret), "{text}");
    let long = Program::new("long", "yes complaint | head -c 1000000 >&2; exit 1").failure().await;
    assert!(long.message.contains("complaint") && long.message.len() < 1000, "{}", long.message.len());
    let silent = Program::new("silent", "exit 1").failure().await;
    assert!(silent.message.contains("said nothing"), "{silent}");
}

#[tokio::test]
async fn what_it_prints_is_never_quoted_whatever_is_wrong_with_it() {
    let document = |more: &str| printing(&format!("{{\"SecretAccessKey\": \"hush\"{more}}}"));
    for (name, script, expected) in [
        ("no-json", printing("hush"), "aren't a JSON document"),
        ("html", printing("<html>hush</html>"), "aren't a JSON document"),
        ("nothing", "true".to_owned(), "aren't a JSON document"),
        ("cut", printing("{\"Version\": 1, \"SecretAccessKey\": \"hush"), "aren't a JSON document"),
        ("no-version", document(", \"AccessKeyId\": \"A\""), "\"Version\": 1"),
        ("version-2", document(", \"AccessKeyId\": \"A\", \"Version\": 2"), "\"Version\": 1"),
        ("no-id", document(", \"Version\": 1"), "lack a part"),
        ("odd-expiry", keys("A", ", \"Expiration\": \"hush\""), "unreadable expiry"),
        ("over", keys("A", ", \"Expiration\": \"2026-11-26T01:02:02Z\""), "expired already"),
        ("odd-keys", keys("A B", ""), "can't be used"),
        ("huge", "yes hush | head -c 10000000".to_owned(), "more than 65536 bytes"),
    ] {
        let error = Program::new(name, &script).failure().await;
        let text = format!("{error} {error:?}");
        assert!(
            text.contains(expected) && text.contains("credential_process of the profile default"),
            "{name}: {text}"
        );
        assert!(!text.contains("hush"), "{name}: {text}");
    }
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let files = SharedFiles::new("gone", "[default]\ncredential_process = /no/such/program --secret hush", "");
    let parts = credentials_parts(&Aws::script([]), &Clock::new());
    let credentials = Credentials::from_settings(&settings(&files.variables(&[])), &parts).unwrap();
    let error = credentials.keys().await.unwrap_err().to_string();
    assert!(error.contains("/no/such/program can't be started") && !error.contains("hush"), "{error}");
}

/// Time is paused, so that it runs ahead while the program does nothing.
#[tokio::test(start_paused = true)]
async fn a_program_that_does_not_end_is_given_up_after_a_minute() {
    let start = tokio::time::Instant::now();
    let error = Program::new("endless", "exec sleep 1000").failure().await;
    assert!(error.temporary && error.message.contains("didn't end within 60 s"), "{error}");
    assert_eq!(start.elapsed(), Duration::from_secs(60));
}

#[tokio::test]
async fn keys_are_asked_for_again_before_they_expire() {
    let next = TokenFile::new("next-document", "");
    let write = |id: &str, expires: &str| {
        let text = format!(
            "{{\"Version\":1,\"AccessKeyId\":\"{id}\",\"SecretAccessKey\":\"s\",\"Expiration\":\"{expires}\"}}"
        );
        std::fs::write(&next.0, text).unwrap();
    };
    let program = Program::new("again", &format!("cat '{}'", next.path()));
    let clock = Clock::new();
    write("P1", &clock.in_seconds(3600));
    let credentials = program.credentials(&clock);
    assert_eq!(credentials.keys().await.unwrap().access_key_id, "P1");
    write("P2", &clock.in_seconds(7200));
    assert_eq!(credentials.keys().await.unwrap().access_key_id, "P1");
    clock.wrong_by(3600 - 299);
    assert_eq!(credentials.keys().await.unwrap().access_key_id, "P2");
}

#[tokio::test]
async fn a_role_may_be_taken_on_with_the_keys_of_a_program() {
    let script = TokenFile::new("role-script", &keys("BASE", ""));
    let config = format!(
        "[default]\nrole_arn = arn:aws:iam::111122223333:role/r\nsource_profile = p\n\
         [profile p]\ncredential_process = /bin/sh '{}'",
        script.path()
    );
    let files = SharedFiles::new("role-process", &config, "");
    let clock = Clock::new();
    let aws = Aws::script([assumed_role("AssumeRole", "R1", &clock.in_seconds(3600))]);
    let settings = settings(&files.variables(&[("PATH", "/usr/bin:/bin")]));
    let credentials = Credentials::from_settings(&settings, &credentials_parts(&aws, &clock)).unwrap();
    assert_eq!(credentials.keys().await.unwrap().access_key_id, "R1");
    assert!(credentials.source().ends_with("through the credential_process of the profile p"));
    assert!(aws.seen()[0].header("authorization").unwrap().contains("Credential=BASE/"));
}
