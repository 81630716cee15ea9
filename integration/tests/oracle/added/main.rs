//! Calls operations by name, for `adding.rs`: one JSON request a line in, one JSON answer a line out.
//!
//! Request: {"service", "operation", "input", "body"}. Answer: {"ok": result} or {"error": text}; the result is the
//! request with the input, or, with a body, what the body holds and the request for the next page.

mod oracle {
    pub mod generated;
    pub mod json;
}

use std::io::{BufRead, stdin};

use aws_api::Encoded;
use serde_json::{Value, json};

fn main() {
    for line in stdin().lock().lines().map_while(Result::ok) {
        let answer = serde_json::from_str(&line).map_err(|error| error.to_string()).and_then(|request| answer(&request));
        match answer {
            Ok(result) => println!("{}", json!({ "ok": result })),
            Err(error) => println!("{}", json!({ "error": error })),
        }
    }
}

fn answer(request: &Value) -> Result<Value, String> {
    let operations = oracle::generated::SERVICES.iter().find(|(name, _)| request["service"] == *name);
    let (_, operations) = operations.ok_or("no such service")?;
    let case = operations.iter().find(|(name, _)| request["operation"] == *name);
    let (_, case) = case.ok_or("no such operation")?;
    let Some(body) = request["body"].as_str() else {
        return Ok(described(&(case.encode)(&request["input"])?));
    };
    let value = (case.decode)(body.as_bytes())?;
    let next = match case.next {
        Some(next) if request["input"].is_object() => next(&request["input"], body.as_bytes())?,
        _ => None,
    };
    Ok(json!({ "value": value, "next": next.as_ref().map(described) }))
}

fn described(request: &Encoded) -> Value {
    json!({
        "method": request.method.as_str(), "path": request.path, "query": request.query,
        "content_type": request.content_type, "body": String::from_utf8_lossy(&request.body),
    })
}
