//! Programs built by cargo, as the test that runs them was.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::control_plane::build::run_with_progress;
use crate::error::{Context, Result};

/// Builds a program of `package` (`what` as cargo takes it: `--bin NAME` or `--example NAME`) of this workspace with
/// this program's profile into its target directory, and returns where it lies there. Blocks.
pub fn build(package: &str, what: &[&str; 2]) -> Result<PathBuf> {
    build_with(package, what, &[])
}

/// The same with more arguments of cargo's.
pub fn build_with(package: &str, what: &[&str; 2], more: &[&str]) -> Result<PathBuf> {
    let directory = profile_directory()?;
    let mut command = command();
    command.current_dir(crate::repository()).args(["build", "--quiet", "--package", package]).args(what).args(more);
    if directory.file_name().is_some_and(|name| name == "release") {
        command.arg("--release");
    }
    if let Some(target) = directory.parent() {
        command.arg("--target-dir").arg(target);
    }
    let [kind, name] = what;
    run_with_progress(command, &format!("building {name} (cargo build --package {package})"))?;
    let folder = if *kind == "--example" { directory.join("examples") } else { directory };
    Ok(folder.join(name))
}

/// The directory `target/PROFILE` of this program: a test is in `deps` of it, the demo in itself.
pub fn profile_directory() -> Result<PathBuf> {
    let us = std::env::current_exe()?;
    let directory = us.ancestors().skip(1).find(|path| path.file_name().is_some_and(|name| name != "deps"));
    Ok(directory.context("this program has no directory")?.to_owned())
}

/// cargo, without what the cargo that runs this program has told it.
pub fn command() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.stdin(Stdio::null());
    // What cargo tells a test about itself would make build scripts (ring's) run anew, and then again for the next test.
    let about_us = ["CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_BIN_", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE"];
    for (name, _) in std::env::vars_os() {
        if about_us.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command
}
