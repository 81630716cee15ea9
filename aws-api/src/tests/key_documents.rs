//! The document with keys, whatever bytes it is made of. An instance and a container's endpoint give the same one.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::kit::*;
use crate::key_document::KeyDocument;
use crate::{Credentials, Keys};

fn read(body: &[u8]) -> Result<Keys, String> {
    KeyDocument::parse(body)?.keys(beginning())
}

fn with(expiration: &str) -> String {
    format!(r#"{{"AccessKeyId":"A","SecretAccessKey":"s","Token":"t","Expiration":{expiration}}}"#)
}

/// Both sources' answers to a document.
async fn both(body: &[u8]) -> [Result<Arc<Keys>, String>; 2] {
    let answer = Step::Answer(200, vec![], body.to_vec().into());
    let container = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", "https://agent.example/keys")];
    let asked: [(&[(&str, &str)], Aws); 2] =
        [(&container, Aws::always(answer.clone())), (&[], Aws::script([ok("imds-token"), ok("role"), answer]))];
    let mut outcomes = Vec::new();
    for (variables, aws) in asked {
        let credentials = Credentials::from_settings(&settings(variables), &credentials_parts(&aws, &Clock::new()));
        outcomes.push(credentials.unwrap().keys().await.map_err(|error| error.message));
    }
    outcomes.try_into().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_document_that_is_not_utf_8_is_refused_even_where_nobody_reads_it() {
    let mut body = with("\"2030-01-01T00:00:00Z\"").into_bytes();
    body.truncate(body.len() - 1);
    for more in [&b",\"LastUpdated\":\"\xff\xff\"}"[..], b",\"\xff\":1}", b"}\xff"] {
        let body = [body.as_slice(), more].concat();
        assert_eq!(read(&body).unwrap_err(), "aren't text");
        for outcome in both(&body).await {
            let message = outcome.unwrap_err();
            assert!(message.contains("text"), "{message}");
        }
    }
    let [container, instance] = both(&[body.as_slice(), b"}"].concat()).await;
    assert_eq!(container.unwrap(), instance.unwrap());
}

#[test]
fn only_one_json_document_with_all_parts_holds_keys() {
    for (body, why) in [
        ("", "aren't a JSON document"),
        ("\u{feff}{}", "aren't a JSON document"),
        ("{}{}", "aren't a JSON document"),
        ("{\"Token\":1}", "aren't a JSON document"),
        ("{\"Token\":\"a\",\"Token\":\"b\"}", "aren't a JSON document"),
        ("{\"Token\":\"a\0\"}", "aren't a JSON document"),
        ("{\"Token\":\"\\ud800\"}", "aren't a JSON document"),
        ("[\"A\",\"s\",\"t\",null,null,null]", "aren't a JSON document"),
        ("{}", "lack a part"),
        ("{\"accesskeyid\":\"A\"}", "lack a part"),
        ("{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"Token\":null}", "lack a part"),
    ] {
        assert_eq!(read(body.as_bytes()).unwrap_err(), why, "{body}");
    }
    for deep in ["[".repeat(1_000_000), format!("{{\"a\":{}", "{\"a\":".repeat(1_000_000))] {
        assert_eq!(read(deep.as_bytes()).unwrap_err(), "aren't a JSON document");
    }
}

#[test]
fn an_expiry_is_a_time_or_nothing() {
    let expires = |text: &str| read(with(text).as_bytes()).map(|keys| keys.expires.unwrap());
    assert_eq!(expires("null"), Ok(beginning() + Duration::from_secs(900)));
    assert_eq!(expires("\"1970-01-01T00:00:01Z\""), Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(1)));
    for text in ["\"-009999-01-02T01:59:59Z\"", "\"9999-12-30T22:00:00Z\""] {
        expires(text).unwrap();
    }
    for text in ["\"\"", "\"soon\"", "\"1795000000\"", "\"10000-01-01T00:00:00Z\"", "\"2026-02-29T00:00:00Z\""] {
        assert_eq!(expires(text).unwrap_err(), "have an unreadable expiry", "{text}");
    }
    assert_eq!(expires("1795000000").unwrap_err(), "aren't a JSON document");
}

#[test]
fn keys_that_cannot_be_part_of_a_request_are_refused() {
    for (part, value) in [("SecretAccessKey", ""), ("Token", "a b"), ("Token", "a\\u0000"), ("AccessKeyId", "\\u00fc")]
    {
        let mut document = serde_json::json!({"AccessKeyId": "A", "SecretAccessKey": "s", "Token": "t"});
        document[part] = serde_json::from_str(&format!("\"{value}\"")).unwrap();
        let why = read(document.to_string().as_bytes()).unwrap_err();
        assert!(why.starts_with("can't be used: the "), "{why}");
    }
}
