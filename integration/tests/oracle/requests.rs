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

use super::botocore::{compare, same_text, same_value};
use super::json::Case;

/// Our request against botocore's.
pub fn same_request(ours: &aws_api::Encoded, expected: &Value) -> Result<(), String> {
    let text = |name: &str| expected[name].as_str().unwrap_or_default();
    same_text("the method", ours.method.as_str(), text("method"))?;
    same_text("the path", &ours.path, text("path"))?;
    same_text("the query string", &ours.query, text("query"))?;
    let body = String::from_utf8_lossy(&ours.body);
    same_text("the body", &body, text("body"))?;
    let mut headers = expected["headers"].clone();
    if body.starts_with('<') && headers == json!({}) {
        headers = json!({"content-type": "application/xml"});
    }
    let ours = ours.content_type.map_or_else(|| json!({}), |it| json!({ "content-type": it }));
    same_value("headers", &ours, &headers)
}

fn encoded_is_expected(_: &str, case: &Case, it: &Value) -> Result<(), String> {
    same_request(&(case.encode)(&it["input"])?, &it["expected"])
}

/// The parameters of a form or query string in the order of their names.
fn sorted(parameters: &str) -> String {
    let mut all: Vec<&str> = parameters.split('&').collect();
    all.sort_unstable();
    all.join("&")
}

#[test]
fn requests_are_what_botocore_sends() -> Result<()> {
    compare("requests", |_| true, encoded_is_expected)
}

#[test]
fn the_next_page_is_asked_for_as_botocore_does() -> Result<()> {
    compare(
        "pages",
        |case| case.next.is_some(),
        |_, case, it| {
            let next = case.next.ok_or("no pages")?;
            let body = it["body"].as_str().unwrap_or_default();
            match (next(&it["input"], body.as_bytes())?, &it["expected"]) {
                (None, Value::Null) => Ok(()),
                (Some(mut request), expected @ Value::Object(_)) => {
                    let mut expected = expected.clone();
                    for part in ["query", "body"] {
                        expected[part] = json!(sorted(expected[part].as_str().unwrap_or_default()));
                    }
                    request.query = sorted(&request.query);
                    request.body = sorted(&String::from_utf8_lossy(&request.body)).into();
                    same_request(&request, &expected)
                }
                (ours, expected) => Err(format!("another page: ours {}, botocore {expected}", ours.is_some())),
            }
        },
    )
}
