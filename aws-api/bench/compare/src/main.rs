//! Measures aws-api against the AWS SDK and prints one table. See the README.

use std::path::Path;

use calls::Failure;
use table::{Line, Unit};

mod allocations;
mod builds;
mod table;
mod times;

const HELP: &str = "\
Measures aws-api against the AWS SDK.

  (nothing)  time and allocations of calls
  --builds   also: both listing programs, built from nothing with two jobs; takes as long as the SDK takes to build
  --small    also: both built with the daemon's own profile (opt-level s, fat LTO), which takes longer still";

fn main() -> Result<(), Failure> {
    let (mut with_builds, mut with_small) = (false, false);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--builds" => with_builds = true,
            "--small" => with_small = true,
            "--help" | "-h" => {
                println!("{HELP}");
                return Ok(());
            }
            other => return Err(format!("{other:?} isn't an argument\n{HELP}").into()),
        }
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("this package stands in no workspace")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _context = runtime.enter();
    calls::same::check()?;

    let mut lines: Vec<Line> = Vec::new();
    if with_builds {
        lines.extend(builds::lines(workspace, "release")?);
    }
    if with_small {
        lines.extend(builds::lines(workspace, "small")?);
    }
    lines.extend(builds::crates(workspace)?);
    lines.extend(times::lines()?);
    lines.extend(allocations::lines(workspace)?);
    table::print(&lines);
    Ok(())
}

/// A figure of both, without an aim.
fn line(what: impl Into<String>, unit: Unit, ours: f64, sdk: f64) -> Line {
    Line { what: what.into(), unit, ours, sdk, aim: None }
}
