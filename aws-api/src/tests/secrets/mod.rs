//! S12: no secret in anything that can be shown.

mod echoes;
mod printables;
mod source;

use std::sync::Arc;

use super::kit::*;
use crate::{Client, ClientParts, Credentials, Keys, Secret, ec2};

#[test]
fn a_secret_is_masked_wherever_it_stands() {
    let keys = Keys::new("AKIA-shown", "hush-1", Some("hush-2"), None).unwrap();
    let shown = format!("{keys:?} {keys:#?} {:?} {:?}", Secret::new("hush-3"), Some(vec![Secret::new("hush-4")]));
    assert!(!shown.contains("hush") && shown.contains("AKIA-shown"), "{shown}");
}

#[test]
fn keys_that_cannot_be_used_are_not_quoted() {
    for (secret, token) in [("hush\n", None), ("", None), ("hush", Some("hush\u{e9}")), ("hush", Some(""))] {
        let error = Keys::new("A", secret, token, None).unwrap_err();
        assert!(!error.contains("hush"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_and_what_they_fail_with_show_no_secret() {
    let clock = Clock::new();
    // An answer whose secrets stand where they don't belong.
    let body = "{\"Code\":\"Success\",\"AccessKeyId\":{\"hush-1\":1},\"SecretAccessKey\":\"hush-2\",\"Token\":\"hush-3";
    let odd = "{\"Code\":\"Success\",\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"hush 4\",\"Token\":\"hush-5\"}";
    for body in [body, odd] {
        let aws = Aws::script([ok("hush-6"), ok("role"), ok(body)]);
        let credentials = Credentials::from_settings(&settings(&[]), &credentials_parts(&aws, &clock)).unwrap();
        let error = credentials.keys().await.unwrap_err();
        let shown = format!("{error} {error:?} {credentials:?} {:?}", credentials.last_failure());
        assert!(!shown.contains("hush"), "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_shown_hides_signature_and_token() {
    let (aws, clock) = (Aws::script([ok(NO_GROUPS)]), Clock::new());
    let keys = Keys::new(ACCESS_KEY, SECRET_KEY, Some("hush-token"), None).unwrap();
    let credentials = Arc::new(Credentials::fixed(keys, clock.clone(), Arc::new(MOST)));
    let client = Client::new(ClientParts { credentials, ..parts(&aws, &clock) });
    client.send(&ec2::DescribeSecurityGroups::default()).await.unwrap();
    let shown = format!("{:?} {:?}", aws.seen()[0].headers, client);
    assert!(!shown.contains("hush-token") && !shown.contains("Signature=") && !shown.contains(SECRET_KEY), "{shown}");
    assert!(shown.contains("Sensitive"), "{shown}");
}
