//! Adding an operation is one line in `aws-api/model/operations.json` and a run of the generator: done here with a copy
//! of the crate, for operations that aren't in use, of each protocol; and they are compared with botocore as those
//! in use are.

use std::path::{Path, PathBuf};
use std::process::Command;

use integration::cache::Cache;
use integration::children::tied_to_us;
use integration::python::{Script, environment};
use integration::run_directory::RunDirectory;
use integration::{Context, Result, fail};
use serde_json::{Value, json};

use super::answers::answer_is_expected;
use super::botocore::{Botocore, Subject, compare_cases, seeds};
use super::requests::{encoded_is_expected, next_is_expected};

/// Service, operation that isn't in use, whether it has pages.
const ADDED: [(&str, &str, bool); 6] = [
    ("ec2", "DescribeVpcs", true),
    ("ec2", "DescribeNetworkInterfaces", true),
    ("route53", "GetHostedZone", false),
    // Two parts of the path, one of them a value of an enumeration.
    ("route53", "GetHostedZoneLimit", false),
    // Required parameters in the query string.
    ("route53", "TestDNSAnswer", false),
    ("sts", "GetAccessKeyInfo", false),
];

/// A copy of what the generator reads, writes and is made of; in the target directory, so that what is built of it
/// is kept.
struct Copy {
    root: PathBuf,
    target: PathBuf,
}

impl Copy {
    fn new() -> Result<Self> {
        let target = integration::cargo::profile_directory()?.join("adding-an-operation");
        let root = target.join("copy");
        let repository = integration::repository();
        if root.exists() {
            std::fs::remove_dir_all(&root)?;
        }
        for directory in ["aws-api/model", "aws-api/src", "aws-api/codegen"] {
            copy(&repository.join(directory), &root.join(directory))?;
        }
        for file in ["Cargo.lock", "rustfmt.toml", "aws-api/Cargo.toml", "aws-api/README.md"] {
            copy(&repository.join(file), &root.join(file))?;
        }
        copy(&repository.join("integration/tests/oracle/added"), &root.join("integration/tests"))?;
        copy(&repository.join("integration/tests/oracle/json.rs"), &root.join("integration/tests/oracle/json.rs"))?;
        // The workspace without its other packages.
        let manifest = std::fs::read_to_string(repository.join("Cargo.toml"))?;
        let (workspace, package) = manifest.split_once("[package]").context("[package]")?;
        let profiles = package.split_once("[profile.").context("profiles")?.1;
        let kept =
            workspace.lines().filter(|line| !line.starts_with("members") && !line.starts_with("default-members"));
        let kept = kept.collect::<Vec<_>>().join("\n");
        let members = r#"members = ["aws-api", "aws-api/codegen", "integration/tests"]"#;
        let kept = kept.replace("[workspace]\n", &format!("[workspace]\n{members}\n"));
        std::fs::write(root.join("Cargo.toml"), format!("{kept}\n[profile.{profiles}"))?;
        Ok(Self { root, target: target.join("target") })
    }

    fn cargo(&self, arguments: &[&str]) -> Result<()> {
        let mut command = integration::cargo::command();
        command.current_dir(&self.root).arg("--offline").args(arguments);
        command.env("CARGO_TARGET_DIR", &self.target);
        succeed(command)
    }

    /// One more line in the list.
    fn add(&self, service: &str, operation: &str) -> Result<()> {
        let path = self.root.join("aws-api/model/operations.json");
        let list = std::fs::read_to_string(&path)?;
        assert!(!list.contains(&format!("\"{operation}\"")), "{operation} is in use: choose another one");
        let (before, after) = list.split_once(&format!("\n  \"{service}\": {{")).context("the service")?;
        let line = format!("\n      {{\"name\": \"{operation}\", \"mutates\": false}},");
        let after = after.replacen("\"operations\": [", &format!("\"operations\": [{line}"), 1);
        std::fs::write(path, format!("{before}\n  \"{service}\": {{{after}"))?;
        Ok(())
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        std::fs::create_dir_all(to)?;
        for entry in std::fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    std::fs::create_dir_all(to.parent().context("a parent")?)?;
    std::fs::copy(from, to)?;
    Ok(())
}

fn succeed(mut command: Command) -> Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    fail(format!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// An operation of the copy.
struct Added<'a> {
    program: &'a std::sync::Mutex<Script>,
    service: &'a str,
    operation: &'a str,
}

impl Added<'_> {
    fn ask(&self, input: &Value, body: Option<&[u8]>) -> Result<Value, String> {
        let body = body.map(String::from_utf8_lossy);
        let request = json!({"service": self.service, "operation": self.operation, "input": input, "body": body});
        let answer = self.program.lock().unwrap().ask(&request).map_err(|error| error.to_string())?;
        match answer.get("error") {
            Some(error) => Err(error.as_str().unwrap_or_default().to_owned()),
            None => Ok(answer["ok"].clone()),
        }
    }
}

impl Subject for Added<'_> {
    fn encode(&self, input: &Value) -> Result<Value, String> {
        self.ask(input, None)
    }

    fn decode(&self, body: &[u8]) -> Result<Value, String> {
        Ok(self.ask(&Value::Null, Some(body))?["value"].take())
    }

    fn next(&self, input: &Value, body: &[u8]) -> Result<Value, String> {
        Ok(self.ask(input, Some(body))?["next"].take())
    }
}

#[test]
fn adding_an_operation_is_one_line_and_a_run_of_the_generator() -> Result<()> {
    let copy = Copy::new()?;
    for (service, operation, _) in ADDED {
        copy.add(service, operation)?;
    }
    let cache = Cache::open()?;
    let python = environment(&cache)?;
    let data = {
        let mut command = tied_to_us(&python);
        command.args(["-c", "import botocore; print(botocore.__path__[0])"]);
        PathBuf::from(String::from_utf8(command.output()?.stdout)?.trim()).join("data")
    };
    let data = data.to_string_lossy();
    copy.cargo(&["run", "--quiet", "--package", "aws-api-codegen", "--", "extract", "--from", &data])?;
    copy.cargo(&["run", "--quiet", "--package", "aws-api-codegen", "--", "generate"])?;
    copy.cargo(&["build", "--quiet", "--package", "added"])?;

    let directory = RunDirectory::create(&cache, "added")?;
    let program = tied_to_us(copy.target.join("debug/added"));
    let program = std::sync::Mutex::new(Script::run("added", program, &directory)?);
    let mut botocore = Botocore::with_facts(&copy.root.join("aws-api/model"))?;
    for seed in seeds() {
        println!("adding: seed {seed}");
        for (service, operation, pages) in ADDED {
            let it = Added { program: &program, service, operation };
            let place = (service, operation, seed);
            compare_cases(&mut botocore, "requests", place, |case| encoded_is_expected(&it, case))?;
            compare_cases(&mut botocore, "answers", place, |case| answer_is_expected(&it, case))?;
            if pages {
                compare_cases(&mut botocore, "pages", place, |case| next_is_expected(&it, case))?;
            }
        }
    }
    Ok(())
}
