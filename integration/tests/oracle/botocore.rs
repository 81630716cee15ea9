//! botocore, asked by its script; seeds; and how a difference is told.

use std::hash::{BuildHasher, RandomState};

use integration::cache::Cache;
use integration::python::{Script, environment};
use integration::run_directory::RunDirectory;
use integration::{Context, Result, fail};
use serde_json::{Value, json};

use super::generated::SERVICES;
use super::json::Case;

/// Cases of each operation with each seed.
const CASES: u64 = 250;
/// The seed that is always tried.
const SEED: u64 = 20_111_101;

/// A running botocore.
pub struct Botocore {
    script: Script,
}

impl Botocore {
    /// Starts one, after making the Python environment if it isn't there yet.
    pub fn start() -> Result<Self> {
        let cache = Cache::open()?;
        let facts = integration::repository().join("aws-api/model");
        let directory = RunDirectory::create(&cache, "oracle")?;
        let script = Script::start(&environment(&cache)?, "oracle", &[&facts.to_string_lossy()], &directory)?;
        Ok(Self { script })
    }

    /// Asks it.
    pub fn ask(&mut self, request: &Value) -> Result<Value> {
        let mut answer = self.script.ask(request)?;
        match answer.get("error") {
            Some(error) => fail(format!("python/oracle.py on {request}: {error}")),
            None => Ok(answer["ok"].take()),
        }
    }
}

/// The seeds to try.
pub fn seeds() -> Vec<u64> {
    match std::env::var("ORACLE_SEED") {
        Ok(seed) => vec![seed.parse().expect("ORACLE_SEED is a whole number")],
        // The second one is new each time.
        Err(_) => vec![SEED, RandomState::new().hash_one(()) >> 16],
    }
}

/// Asks botocore to `order` cases for every operation that `wanted` picks, and compares each by `compare`: `Err` says
/// what is different.
pub fn compare(
    order: &str,
    wanted: impl Fn(&Case) -> bool,
    compare: impl Fn(&str, &Case, &Value) -> Result<(), String>,
) -> Result<()> {
    let mut botocore = Botocore::start()?;
    let mut compared = 0;
    for seed in seeds() {
        println!("{order}: seed {seed}");
        for (service, operations) in SERVICES {
            for (operation, case) in operations.iter().filter(|(_, case)| wanted(case)) {
                let asked =
                    json!({"do": order, "service": service, "operation": operation, "seed": seed, "count": CASES});
                let answer = botocore.ask(&asked)?;
                let cases = answer.as_array().context("a list of cases")?;
                // Some are left out where they can't be told apart; most must be there.
                assert!(cases.len() as u64 > CASES / 2, "only {} cases of {operation}", cases.len());
                let failed = cases.iter().filter_map(|it| Some((it, compare(service, case, it).err()?)));
                let failed: Vec<(&Value, String)> = failed.collect();
                compared += cases.len();
                let Some((it, why)) = failed.iter().min_by_key(|(it, _)| it.to_string().len()) else { continue };
                panic!(
                    "{operation} of {service} differs from botocore in {} of {} cases ({order}, ORACLE_SEED={seed}).\n\
                     The shortest:\n{why}\nThe case: {it}",
                    failed.len(),
                    cases.len(),
                );
            }
        }
    }
    assert!(compared > 0, "nothing was compared");
    Ok(())
}

/// Where two texts part, with what is around.
pub fn same_text(what: &str, ours: &str, theirs: &str) -> Result<(), String> {
    if ours == theirs {
        return Ok(());
    }
    let (a, b): (Vec<char>, Vec<char>) = (ours.chars().collect(), theirs.chars().collect());
    let at = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let around = |text: &[char]| text.iter().skip(at.saturating_sub(40)).take(100).collect::<String>();
    Err(format!("{what} differs at character {at}:\n  ours     {:?}\n  botocore {:?}", around(&a), around(&b)))
}

/// Where two values part.
pub fn same_value(place: &str, ours: &Value, theirs: &Value) -> Result<(), String> {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            for name in a.keys().chain(b.keys()) {
                let nothing = Value::Null;
                let [ours, theirs] = [a, b].map(|it| it.get(name).unwrap_or(&nothing));
                same_value(&format!("{place}.{name}"), ours, theirs)?;
            }
            Ok(())
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            (0..).zip(a.iter().zip(b)).try_for_each(|(n, (a, b))| same_value(&format!("{place}[{n}]"), a, b))
        }
        _ if ours == theirs => Ok(()),
        _ => Err(format!("{place}:\n  ours     {ours}\n  botocore {theirs}")),
    }
}

#[test]
fn the_facts_are_of_the_botocore_that_is_pinned() -> Result<()> {
    let versions = Botocore::start()?.ask(&json!({"do": "versions"}))?;
    let version = versions["botocore"].as_str().context("a version")?;
    let pins = std::fs::read_to_string(integration::directory().join("python/moto-requirements.txt"))?;
    assert!(pins.lines().any(|pin| pin == format!("botocore=={version}")), "botocore {version} isn't what is pinned");
    for (service, _) in SERVICES {
        let source = versions["sources"][service].as_str().context("the facts don't say where they are from")?;
        assert!(
            source.starts_with(&format!("botocore {version}: ")),
            "{service}.json is from {source}: aws-api-codegen extract"
        );
    }
    Ok(())
}
