//! What the parts of the calls allocate, as the program `allocations` counts it.

use std::path::Path;

use calls::Failure;

use crate::builds::cargo;
use crate::line;
use crate::table::{Line, Unit};

/// What is shown, as `allocations` names it and as the table does.
const SHOWN: [(&str, &str, &str); 3] = [
    ("authorize", "Request", "build and sign AuthorizeSecurityGroupIngress"),
    ("instances", "Answer", "read the instances"),
    ("records", "Answer", "read the records"),
];

pub fn lines(workspace: &Path) -> Result<Vec<Line>, Failure> {
    let out = cargo(workspace, &["run", "--quiet", "--release", "--locked", "-p", "allocations"])?;
    let mut lines = Vec::new();
    for (call, part, what) in SHOWN {
        let (ours, sdk) = (find(&out, "ours", call, part)?, find(&out, "sdk", call, part)?);
        lines.push(line(format!("{what}: allocations"), Unit::Number, ours.0, sdk.0));
        lines.push(line(format!("{what}: most memory"), Unit::Bytes, ours.1, sdk.1));
    }
    Ok(lines)
}

fn find(out: &str, side: &str, call: &str, part: &str) -> Result<(f64, f64), Failure> {
    for line in out.lines() {
        if let [a, b, c, count, bytes] = line.split_whitespace().collect::<Vec<_>>()[..]
            && (a, b, c) == (side, call, part)
        {
            return Ok((count.parse()?, bytes.parse()?));
        }
    }
    Err(format!("the program `allocations` says nothing of {side} {call} {part}").into())
}
