//! Errors: where botocore finds a code in an answer, ours has the same code, message and request id; whatever the body
//! is, ours is an error and no crash. Texts are compared without the whitespace around them, which ours drops.
//!
//! What ours finds and botocore doesn't isn't compared:
//!
//! | deliberate difference | reason |
//! |-|-|
//! | a body that breaks off, or holds more than an error, is read as far as it goes | its code is there all the same; botocore has none, or crashes |
//! | the request id in the header `x-amzn-RequestId` counts for each service, where the body has none | AWS sends it there as well |
//! | a body without a code is no error of AWS's, whatever else it holds (botocore still takes a request id from it) | no service sends one |
//! | a code that is the number of the status (botocore's own for `<html>` and empty bodies) is no code | AWS said nothing |

use aws_api::Config;
use bytes::Bytes;
use http::Response;
use integration::Result;
use serde_json::Value;

use super::botocore::{compare, same_text};
use super::json::Case;
use super::signatures::{Account, client};

fn error_is_expected(case: &Case, it: &Value) -> Result<(), String> {
    let mut answer = Response::builder().status(it["status"].as_u64().unwrap_or_default() as u16);
    for (name, value) in it["headers"].as_object().into_iter().flatten() {
        answer = answer.header(name, value.as_str().unwrap_or_default());
    }
    let body = match &it["body"] {
        Value::String(text) => text.clone().into_bytes(),
        bytes => serde_json::from_value(bytes.clone()).map_err(|error| error.to_string())?,
    };
    let answer = answer.body(Bytes::from(body.clone())).map_err(|error| error.to_string())?;
    let mut config = Config::new("eu-west-1").map_err(|error| error.to_string())?;
    config.max_attempts = 1;
    let (client, _) = client(config, &Account::default(), answer);
    let Err(error) = super::signatures::run((case.send)(&client, &it["input"])?) else {
        return Err("ours is a success".to_owned());
    };
    let expected = &it["expected"];
    let text = |name: &str| expected[name].as_str().unwrap_or_default().trim();
    let shown = |why| format!("{why}\nbody: {}", String::from_utf8_lossy(&body));
    let code = error.code.as_deref().unwrap_or_default();
    if !text("code").is_empty() {
        same_text("the code", code, text("code")).map_err(shown)?;
        same_text("the message", &error.message, text("message")).map_err(shown)?;
        if !text("request_id").is_empty() {
            let request_id = error.request_id.as_deref().unwrap_or_default();
            same_text("the request id", request_id, text("request_id")).map_err(shown)?;
        }
    }
    Ok(())
}

#[test]
fn errors_are_read_as_botocore_reads_them() -> Result<()> {
    compare("errors", |_| true, error_is_expected)
}
