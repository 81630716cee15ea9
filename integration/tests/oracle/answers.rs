//! Answers: documents made from the model, with all that XML allows around and within the values, are read as botocore
//! reads them, restricted to the members that are kept. A list that is absent and one that is empty are one.
//!
//! | deliberate difference | reason |
//! |-|-|
//! | a required member that isn't there is an error; botocore leaves it out | a broken answer must not pass for one that found nothing |
//! | so is a page that says there are more and not where | the same |
//!
//! Not made here, as AWS sends none of it: whitespace around `true` and `false` and around an enumeration's value (read
//! by us, wrong or kept in botocore), entries of a list under another name (skipped by us, entries to botocore), a
//! member that is there twice, and times that are numbers.

use integration::Result;
use serde_json::Value;

use super::botocore::{Subject, compare, same_value};

pub fn answer_is_expected(subject: &impl Subject, it: &Value) -> Result<(), String> {
    let body = it["body"].as_str().unwrap_or_default();
    match (subject.decode(body.as_bytes()), it["lacks"].as_str()) {
        (Ok(value), None) => same_value("answer", &value, &it["value"]),
        (Ok(_), Some(lacks)) => Err(format!("{lacks} isn't there, and nothing was said")),
        (Err(error), None) => Err(format!("ours is an error: {error}")),
        (Err(error), Some(_)) if error.contains("lacks") => Ok(()),
        (Err(error), Some(lacks)) => Err(format!("{lacks} isn't there, but the error is: {error}")),
    }
}

#[test]
fn answers_are_read_as_botocore_reads_them() -> Result<()> {
    compare("answers", |_| true, answer_is_expected)
}
