//! Requests: method, path, query string, headers and body are the same bytes as botocore's, which takes its whole way
//! from the parameters to the request for it. The parameters are given in the model's order, which is the order of
//! ours; so nothing is sorted. What is the same in two ways of writing, and made one before comparing:
//!
//! - `<A />` and `<A></A>` in an XML body;
//! - a CR in an XML body: botocore sends it as it is, so that it arrives as LF. Ours is `&#xD;`, as botocore itself
//!   does it for S3;
//! - an optional list that is empty: botocore is given none, as our types have one value for both;
//! - of a request for a next page alone: the order of the parameters, as botocore puts its token last.
//!
//! | deliberate difference | reason |
//! |-|-|
//! | we send `Content-Type: application/xml` with an XML body, botocore sends none | the protocol has it (Smithy's restXml), as do AWS's SDKs for Go and Rust |

use integration::Result;
use serde_json::{Value, json};

use super::botocore::{Subject, compare, same_text, same_value};

/// Our request against botocore's.
fn same_request(ours: &Value, expected: &Value) -> Result<(), String> {
    let text = |it: &Value, name: &str| it[name].as_str().unwrap_or_default().to_owned();
    for name in ["method", "path", "query", "body"] {
        same_text(&format!("the {name}"), &text(ours, name), &text(expected, name))?;
    }
    let mut headers = expected["headers"].clone();
    if text(ours, "body").starts_with('<') && headers == json!({}) {
        headers = json!({"content-type": "application/xml"});
    }
    let ours = ours["content_type"].as_str().map_or_else(|| json!({}), |it| json!({ "content-type": it }));
    same_value("headers", &ours, &headers)
}

pub fn encoded_is_expected(subject: &impl Subject, it: &Value) -> Result<(), String> {
    same_request(&subject.encode(&it["input"])?, &it["expected"])
}

pub fn next_is_expected(subject: &impl Subject, it: &Value) -> Result<(), String> {
    let body = it["body"].as_str().unwrap_or_default();
    let (mut ours, mut expected) = (subject.next(&it["input"], body.as_bytes())?, it["expected"].clone());
    if ours.is_null() || expected.is_null() {
        return same_value("the next request", &ours, &expected);
    }
    for request in [&mut ours, &mut expected] {
        for name in ["query", "body"] {
            let mut parameters: Vec<&str> = request[name].as_str().unwrap_or_default().split('&').collect();
            parameters.sort_unstable();
            request[name] = json!(parameters.join("&"));
        }
    }
    same_request(&ours, &expected)
}

#[test]
fn requests_are_what_botocore_sends() -> Result<()> {
    compare("requests", |_| true, encoded_is_expected)
}

#[test]
fn the_next_page_is_asked_for_as_botocore_does() -> Result<()> {
    compare("pages", |case| case.next.is_some(), next_is_expected)
}
