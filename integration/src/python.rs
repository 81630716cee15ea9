//! Python beside the tests: an environment with pinned packages, and scripts that are asked in JSON, a line each way.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::cache::Cache;
use crate::children::{Process, find_program, tied_to_us};
use crate::control_plane::build::run_with_progress;
use crate::error::{Context, Result, fail};
use crate::run_directory::RunDirectory;

/// The Python of an environment with what `python/moto-requirements.txt` pins. Blocks while it is made.
pub fn environment(cache: &Cache) -> Result<PathBuf> {
    let requirements = crate::directory().join("python/moto-requirements.txt");
    let environment = cache.built("moto", std::slice::from_ref(&requirements), |directory| {
        let Some(python) = find_program("python3") else {
            return fail(
                "python3 is needed (3.10 or newer) with its venv module in PATH, \
                 as from Debian's packages python3 and python3-venv",
            );
        };
        eprintln!("integration: installing moto, about half a minute the first time");
        let mut command = Command::new(python);
        command.args(["-m", "venv"]).arg(directory);
        run_with_progress(command, "making moto's Python environment")?;
        let mut command = Command::new(directory.join("bin/python"));
        command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"]);
        command.arg(&requirements);
        run_with_progress(command, "installing moto")
    })?;
    Ok(environment.join("bin/python"))
}

/// A running program that answers each line of JSON by one.
#[derive(Debug)]
pub struct Script {
    name: String,
    process: Process,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Script {
    /// Starts `python/NAME.py` by `python`; what it complains about goes to `NAME.log` in `directory`.
    pub fn start(python: &Path, name: &str, arguments: &[&str], directory: &RunDirectory) -> Result<Self> {
        let mut command = tied_to_us(python);
        command.arg(crate::directory().join(format!("python/{name}.py"))).args(arguments);
        Self::run(name, command, directory)
    }

    /// Starts any program that answers lines of JSON.
    pub fn run(name: &str, mut command: Command, directory: &RunDirectory) -> Result<Self> {
        let errors = std::fs::File::create(directory.file(&format!("{name}.log")))?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut process = Process::piped(name, command)?;
        directory.lists(process.pid())?;
        let requests = process.child().stdin.take().context(format!("no pipe to {name}"))?;
        let answers = process.child().stdout.take().context(format!("no pipe from {name}"))?;
        Ok(Self { name: name.to_owned(), process, requests, answers: BufReader::new(answers) })
    }

    /// Asks it, and waits for its answer.
    pub fn ask(&mut self, request: &Value) -> Result<Value> {
        writeln!(self.requests, "{request}")?;
        self.requests.flush()?;
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            let ended = self.process.ended()?.map(|status| format!(" ({status})")).unwrap_or_default();
            let name = &self.name;
            return fail(format!("{name} ended{ended}; its {name}.log in the run directory says why"));
        }
        Ok(serde_json::from_str(&line)?)
    }
}
