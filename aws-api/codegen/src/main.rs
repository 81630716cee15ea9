//! `aws-api-codegen extract` makes `model/*.json` from published models; `aws-api-codegen generate` makes
//! `src/generated/*.rs`, and what the fuzz targets in `fuzz` and the comparison in `integration/tests/oracle` know of
//! the operations, from `model/*.json`. Neither needs the network.

mod botocore;
mod facts;
mod names;
mod partitions;
mod render;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use facts::{Facts, Wanted};

#[derive(Parser)]
#[command(about = "Extracts the facts of AWS operations and generates the code of aws-api from them")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes model/*.json from the published models, for the operations that model/operations.json names
    Extract {
        /// botocore's data folder (`python -c 'import botocore; print(botocore.__path__[0])'`, then /data)
        #[arg(long)]
        from: PathBuf,
    },
    /// Makes src/generated/*.rs, the generated part of fuzz/ and integration/tests/oracle/generated/*.rs from model/*.json
    Generate,
}

fn main() -> ExitCode {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let done = match Args::parse().command {
        Command::Extract { from } => extract(&crate_folder, &from),
        Command::Generate => generate(&crate_folder),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn extract(crate_folder: &Path, data: &Path) -> Result<(), String> {
    let model = crate_folder.join("model");
    let wanted: Wanted = facts::read(&model.join("operations.json"))?;
    for (service, wanted) in &wanted {
        let facts = botocore::extract(data, wanted).map_err(|error| format!("{service}: {error}"))?;
        write(&model.join(format!("{service}.json")), &facts.to_json()?)?;
    }
    let partitions = partitions::extract(data, &wanted).map_err(|error| format!("partitions: {error}"))?;
    write(&model.join("partitions.json"), &partitions::to_json(&partitions).map_err(|error| error.to_string())?)
}

fn generate(crate_folder: &Path) -> Result<(), String> {
    for (file, code) in generated(crate_folder)? {
        write(&crate_folder.join(file), &code)?;
    }
    Ok(())
}

/// Where the generated code is, and what the fuzz targets and the tests of the package `integration` need beside it.
const CODE: &str = "src/generated";
const FUZZ: &str = "fuzz";
const ORACLE: &str = "../integration/tests/oracle/generated";

/// The generated files: path in the crate's folder, and content.
fn generated(crate_folder: &Path) -> Result<Vec<(String, String)>, String> {
    let model = crate_folder.join("model");
    let wanted: Wanted = facts::read(&model.join("operations.json"))?;
    let partitions = facts::read(&model.join("partitions.json"))?;
    let partitions = partitions::render(&partitions).map_err(|error| format!("partitions: {error}"))?;
    let mut files = vec![
        (format!("{CODE}/mod.rs"), render::index(wanted.keys())?),
        (format!("{CODE}/partitions.rs"), render::formatted(&partitions)?),
        (format!("{ORACLE}/mod.rs"), render::oracle::index(wanted.keys())?),
    ];
    let mut services: Vec<(String, Facts)> = Vec::new();
    for service in wanted.keys() {
        let facts: Facts = facts::read(&model.join(format!("{service}.json")))?;
        let failed = |error| format!("{service}: {error}");
        files.push((format!("{CODE}/{service}.rs"), render::service(service, &facts).map_err(failed)?));
        files.push((format!("{ORACLE}/{service}.rs"), render::oracle::service(service, &facts).map_err(failed)?));
        files.push((format!("{FUZZ}/dictionaries/{service}.dict"), render::fuzz::dictionary(&facts)?));
        for operation in &facts.operations {
            let seed = render::fuzz::answer(&facts, operation).map_err(failed)?;
            files.push((format!("{FUZZ}/seeds/{service}/{}.xml", operation.name), seed));
        }
        services.push((service.clone(), facts));
    }
    files.push((format!("{FUZZ}/dictionaries/errors.dict"), render::fuzz::error_dictionary(&services)?));
    files.push((format!("{FUZZ}/src/operations.rs"), render::fuzz::operations(&services)?));
    Ok(files)
}

fn write(path: &Path, content: &str) -> Result<(), String> {
    let made = path.parent().map_or(Ok(()), fs::create_dir_all);
    made.and_then(|()| fs::write(path, content)).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn crate_folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    #[test]
    fn the_committed_code_is_what_the_facts_give() {
        for (file, code) in generated(&crate_folder()).unwrap() {
            let committed = fs::read_to_string(crate_folder().join(&file)).unwrap();
            assert!(committed == code, "{file} is stale: cargo run -p aws-api-codegen -- generate");
        }
    }

    #[test]
    fn the_committed_facts_are_of_the_operations_that_are_asked_for() {
        let model = crate_folder().join("model");
        let wanted: Wanted = facts::read(&model.join("operations.json")).unwrap();
        for (service, wanted) in wanted {
            let facts: Facts = facts::read(&model.join(format!("{service}.json"))).unwrap();
            for (name, members) in &wanted.members {
                // Inputs and outputs go by their operation's name.
                if let Some(have) = facts.structures.get(name) {
                    let have: BTreeSet<_> = have.iter().map(|member| &member.name).collect();
                    assert_eq!(have, members.iter().collect(), "{name} in {service}.json is stale");
                }
            }
            let wanted: Vec<_> = wanted.operations.iter().map(|o| (o.name.as_str(), o.mutates)).collect();
            let have: Vec<_> = facts.operations.iter().map(|o| (o.name.as_str(), o.mutates)).collect();
            assert_eq!(have, wanted, "{service}.json is stale: cargo run -p aws-api-codegen -- extract");
        }
    }

    #[test]
    fn facts_survive_being_written_and_read() {
        let path = crate_folder().join("model/ec2.json");
        let facts: Facts = facts::read(&path).unwrap();
        assert_eq!(facts.to_json().unwrap(), fs::read_to_string(path).unwrap());
        let path = crate_folder().join("model/partitions.json");
        let partitions = facts::read(&path).unwrap();
        assert_eq!(partitions::to_json(&partitions).unwrap(), fs::read_to_string(path).unwrap());
    }
}
