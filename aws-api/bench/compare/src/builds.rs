//! The two listing programs: how long they take to build, of how many crates they are, how large they come out.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use calls::Failure;

use crate::line;
use crate::table::{Line, Unit};

const OURS: &str = "lister-ours";
const SDK: &str = "lister-sdk";
/// The units of /proc/self/stat are hundredths of a second on all of Linux's architectures that Rust has.
const TICKS_PER_SECOND: f64 = 100.0;

/// Runs cargo in `workspace`; what it prints.
pub fn cargo(workspace: &Path, arguments: &[&str]) -> Result<String, Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let out = Command::new(cargo).args(arguments).current_dir(workspace).stderr(Stdio::inherit()).output()?;
    if !out.status.success() {
        return Err(format!("cargo {} failed", arguments.join(" ")).into());
    }
    Ok(String::from_utf8(out.stdout)?)
}

struct Built {
    wall: f64,
    cpu: f64,
    size: f64,
}

/// Builds `package` alone, into an empty directory.
fn build(workspace: &Path, package: &str, profile: &str) -> Result<Built, Failure> {
    let target = tempfile::tempdir()?;
    let directory = target.path().to_str().ok_or("the temporary directory's name isn't UTF-8")?;
    eprintln!("building {package}, profile {profile}, in {directory}");
    let (start, cpu) = (Instant::now(), cpu_of_children()?);
    cargo(
        workspace,
        &[
            "build",
            "--quiet",
            "--locked",
            "--offline",
            "--jobs",
            "2",
            "--profile",
            profile,
            "--package",
            package,
            "--target-dir",
            directory,
        ],
    )?;
    let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu_of_children()? - cpu);
    let size = fs::metadata(target.path().join(profile).join(package))?.len() as f64;
    eprintln!("{package}: {wall:.1} s, {cpu:.1} s of CPU, {size} bytes");
    Ok(Built { wall, cpu, size })
}

/// CPU seconds, user and system, of all children that have ended, and theirs.
fn cpu_of_children() -> Result<f64, Failure> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name, the second field, may hold anything: fields are counted from its end. These are the 16th and 17th.
    let (_, fields) = stat.rsplit_once(')').ok_or("/proc/self/stat isn't as expected")?;
    let mut ticks = 0.0;
    for field in fields.split_whitespace().skip(13).take(2) {
        ticks += field.parse::<f64>()?;
    }
    Ok(ticks / TICKS_PER_SECOND)
}

pub fn lines(workspace: &Path, profile: &str) -> Result<Vec<Line>, Failure> {
    cargo(workspace, &["fetch", "--quiet", "--locked"])?;
    let (ours, sdk) = (build(workspace, OURS, profile)?, build(workspace, SDK, profile)?);
    let faster = |what, ours, sdk| Line { aim: Some(5.0), ..line(what, Unit::Seconds, ours, sdk) };
    Ok(vec![
        faster(format!("build the lister, profile {profile}, 2 jobs: wall"), ours.wall, sdk.wall),
        faster(format!("build the lister, profile {profile}: CPU"), ours.cpu, sdk.cpu),
        Line {
            aim: Some(3.0),
            ..line(format!("the lister, profile {profile}, stripped"), Unit::Bytes, ours.size, sdk.size)
        },
    ])
}

/// How many crates the programs are of, themselves included.
pub fn crates(workspace: &Path) -> Result<Vec<Line>, Failure> {
    let count = |package: &str, edges: &str| -> Result<f64, Failure> {
        let out = cargo(workspace, &["tree", "--locked", "--prefix", "none", "--edges", edges, "--package", package])?;
        let crates: BTreeSet<&str> = out.lines().map(|line| line.trim_end_matches(" (*)")).collect();
        Ok(crates.len() as f64)
    };
    let mut lines = Vec::new();
    for (edges, what) in
        [("normal", "crates of the lister"), ("normal,build", "crates, those that only build included")]
    {
        lines.push(line(what, Unit::Number, count(OURS, edges)?, count(SDK, edges)?));
    }
    Ok(lines)
}
