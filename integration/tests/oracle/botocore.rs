//! botocore, asked by its script; seeds; and how a difference is told.

use std::hash::{BuildHasher, RandomState};
use std::path::Path;

use aws_api::Encoded;
use integration::cache::Cache;
use integration::python::{Script, environment};
use integration::run_directory::RunDirectory;
use integration::{Context, Result, fail};
use serde_json::{Value, json};

use super::generated::SERVICES;
use super::json::Case;

/// Cases of each operation with each seed.
const CASES: u64 = 300;
/// The seed that is always tried.
const SEED: u64 = 20_111_101;

/// A running botocore.
pub struct Botocore {
    script: Script,
}

impl Botocore {
    /// Starts one, after making the Python environment if it isn't there yet.
    pub fn start() -> Result<Self> {
        Self::with_facts(&integration::repository().join("aws-api/model"))
    }

    /// The same, for a client that was made from other facts.
    pub fn with_facts(facts: &Path) -> Result<Self> {
        let cache = Cache::open()?;
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

/// An operation of the client under test, in JSON. A request is `{"method", "path", "query", "content_type", "body"}`.
pub trait Subject {
    /// The request with an input.
    fn encode(&self, input: &Value) -> Result<Value, String>;
    /// What an answer holds.
    fn decode(&self, body: &[u8]) -> Result<Value, String>;
    /// The request for the page after an answer; null after the last one.
    fn next(&self, input: &Value, body: &[u8]) -> Result<Value, String>;
}

impl Subject for Case {
    fn encode(&self, input: &Value) -> Result<Value, String> {
        Ok(described(&(self.encode)(input)?))
    }

    fn decode(&self, body: &[u8]) -> Result<Value, String> {
        (self.decode)(body)
    }

    fn next(&self, input: &Value, body: &[u8]) -> Result<Value, String> {
        let next = self.next.ok_or("an operation without pages")?(input, body)?;
        Ok(next.as_ref().map_or(Value::Null, described))
    }
}

fn described(request: &Encoded) -> Value {
    json!({
        "method": request.method.as_str(), "path": request.path, "query": request.query,
        "content_type": request.content_type, "body": String::from_utf8_lossy(&request.body),
    })
}

/// Asks botocore to `order` cases for every operation that `wanted` picks, and compares each by `compare`: `Err` says
/// what is different.
pub fn compare(
    order: &str,
    wanted: impl Fn(&Case) -> bool,
    compare: impl Fn(&Case, &Value) -> Result<(), String>,
) -> Result<()> {
    let mut botocore = Botocore::start()?;
    let mut compared = false;
    for seed in seeds() {
        println!("{order}: seed {seed}");
        for (service, operations) in SERVICES {
            for (operation, case) in operations.iter().filter(|(_, case)| wanted(case)) {
                compare_cases(&mut botocore, order, (service, operation, seed), |it| compare(case, it))?;
                compared = true;
            }
        }
    }
    assert!(compared, "nothing was compared");
    Ok(())
}

/// Does so for one operation, which `place` names: service, operation and seed.
pub fn compare_cases(
    botocore: &mut Botocore,
    order: &str,
    place: (&str, &str, u64),
    compare: impl Fn(&Value) -> Result<(), String>,
) -> Result<()> {
    let (service, operation, seed) = place;
    let asked = json!({"do": order, "service": service, "operation": operation, "seed": seed, "count": CASES});
    let answer = botocore.ask(&asked)?;
    let cases = answer.as_array().context("a list of cases")?;
    // Some are left out where nothing can be told; most must be there.
    assert!(cases.len() as u64 > CASES / 2, "only {} cases of {operation}", cases.len());
    let failed: Vec<(&Value, String)> = cases.iter().filter_map(|it| Some((it, compare(it).err()?))).collect();
    if let Some((it, why)) = failed.iter().min_by_key(|(it, _)| it.to_string().len()) {
        panic!(
            "{operation} of {service} differs from botocore in {} of {} cases ({order}, ORACLE_SEED={seed}).\n\
             The shortest:\n{why}\nThe case: {it}",
            failed.len(),
            cases.len(),
        );
    }
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
