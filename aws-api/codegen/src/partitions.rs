//! The facts of AWS's partitions: which regions each has, and where our services are reached in them. Makes
//! `model/partitions.json` of botocore's partitions and endpoint rule sets, and `src/generated/partitions.rs` of that.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::botocore;
use crate::facts::Wanted;
use crate::names::variant;
use rules::{Resolved, RuleSet, Value, Values};

mod rules;

/// The partitions, in the order in which their patterns are tried.
pub type Partitions = Vec<Partition>;

/// One partition.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Partition {
    /// Its name, e.g. `aws-cn`.
    pub name: String,
    /// What a region's name begins with; a word and a number follow, with a dash before each.
    pub prefixes: Vec<String>,
    /// The regions that are known, and the names that stand for the whole partition (`aws-global`).
    pub regions: Vec<String>,
    /// By service.
    pub endpoints: BTreeMap<String, Endpoints>,
}

/// Where a service is reached in a partition.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Endpoints {
    /// What to sign for, where it isn't the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_region: Option<String>,
    /// The host, with `{region}` in it where each region has its own; no variant is a host that isn't offered.
    pub host: Option<String>,
    /// With FIPS.
    pub fips: Option<String>,
    /// With IPv6.
    pub dual_stack: Option<String>,
    /// With both.
    pub fips_dual_stack: Option<String>,
    /// The host that once served all regions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global: Option<Global>,
}

/// STS's host that once served all regions, when neither FIPS nor IPv6 is asked for.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Global {
    /// The host.
    pub host: String,
    /// What to sign for.
    pub signing_region: String,
    /// The names that it serves in any case.
    pub always: Vec<String>,
    /// The regions that it serves with `AWS_STS_REGIONAL_ENDPOINTS=legacy`.
    pub legacy: Vec<String>,
}

#[derive(Deserialize)]
struct Published {
    partitions: Vec<PublishedPartition>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PublishedPartition {
    id: String,
    region_regex: String,
    outputs: BTreeMap<String, Output>,
    regions: BTreeMap<String, Region>,
}

/// A region may have outputs of its own; none has any.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Region {
    #[serde(rename = "description")]
    _description: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Output {
    Flag(bool),
    Text(String),
}

/// The facts in botocore's data folder.
///
/// # Errors
/// When a file can't be read, or asks for what isn't supported.
pub fn extract(data: &Path, wanted: &Wanted) -> Result<Partitions, String> {
    let published: Published = botocore::read(&data.join("partitions.json"))?;
    let mut rules = BTreeMap::new();
    for (service, wanted) in wanted {
        let path = data.join(&wanted.model).join("endpoint-rule-set-1.json");
        rules.insert(service.as_str(), botocore::read::<RuleSet>(&path)?);
    }
    published.partitions.iter().map(|partition| facts(partition, &rules)).collect()
}

fn facts(partition: &PublishedPartition, rules: &BTreeMap<&str, RuleSet>) -> Result<Partition, String> {
    let mut endpoints = BTreeMap::new();
    for (service, rules) in rules {
        let found = Survey { partition, rules }.endpoints();
        endpoints
            .insert((*service).to_owned(), found.map_err(|error| format!("{service} in {}: {error}", partition.id))?);
    }
    Ok(Partition {
        name: partition.id.clone(),
        prefixes: prefixes(&partition.region_regex)?,
        regions: partition.regions.keys().cloned().collect(),
        endpoints,
    })
}

/// Asks the rules of one service for every region of a partition.
struct Survey<'a> {
    partition: &'a PublishedPartition,
    rules: &'a RuleSet,
}

impl Survey<'_> {
    fn endpoints(&self) -> Result<Endpoints, String> {
        let real = |region: &&String| !region.ends_with("-global");
        let model = self.partition.regions.keys().find(real).ok_or("no region")?;
        let plain = self.ask(model, false, false, false)?;
        let signing_region = plain.as_ref().and_then(|found| found.signing_region.clone());
        let template = |fips, dual_stack| -> Result<Option<String>, String> {
            let found = self.ask(model, fips, dual_stack, false)?;
            if found.as_ref().is_some_and(|found| found.signing_region != signing_region) {
                return Err("the variants are signed for different regions".into());
            }
            Ok(found.map(|found| found.host.replace(model.as_str(), "{region}")))
        };
        let mut endpoints = Endpoints {
            host: template(false, false)?,
            fips: template(true, false)?,
            dual_stack: template(false, true)?,
            fips_dual_stack: template(true, true)?,
            signing_region,
            global: None,
        };
        let mut global: Option<Global> = None;
        for region in self.partition.regions.keys() {
            for (fips, dual_stack, legacy) in (0..8).map(|bits| (bits & 1 > 0, bits & 2 > 0, bits & 4 > 0)) {
                let found = self.ask(region, fips, dual_stack, legacy)?;
                if found == endpoints.of(region, fips, dual_stack) {
                    continue;
                }
                let Some(Resolved { host, signing_region: Some(signing_region) }) = found else {
                    return Err(format!("{region} is an exception that isn't supported"));
                };
                let global = global.get_or_insert_with(|| Global {
                    host: host.clone(),
                    signing_region: signing_region.clone(),
                    always: Vec::new(),
                    legacy: Vec::new(),
                });
                if fips || dual_stack || (&global.host, &global.signing_region) != (&host, &signing_region) {
                    return Err(format!("{region} is an exception that isn't supported"));
                }
                if !legacy {
                    global.always.push(region.clone());
                } else if !global.always.contains(region) {
                    global.legacy.push(region.clone());
                }
            }
        }
        endpoints.global = global;
        Ok(endpoints)
    }

    fn ask(&self, region: &str, fips: bool, dual_stack: bool, legacy: bool) -> Result<Option<Resolved>, String> {
        let values: Values = [
            ("Region".to_owned(), Value::Text(region.to_owned())),
            ("UseFIPS".to_owned(), Value::Flag(fips)),
            ("UseDualStack".to_owned(), Value::Flag(dual_stack)),
            ("UseGlobalEndpoint".to_owned(), Value::Flag(legacy)),
        ]
        .into();
        let outputs = self.partition.outputs.iter().map(|(name, output)| {
            let value = match output {
                Output::Flag(flag) => Value::Flag(*flag),
                Output::Text(text) => Value::Text(text.clone()),
            };
            (name.clone(), value)
        });
        let outputs = Value::Record(outputs.collect());
        let found = self.rules.resolve(&values, &|_| Some(outputs.clone()))?;
        // Signed for the region: that is so without saying.
        Ok(found.map(|found| Resolved {
            signing_region: found.signing_region.filter(|signing| signing != region || !found.host.contains(region)),
            ..found
        }))
    }
}

impl Endpoints {
    fn of(&self, region: &str, fips: bool, dual_stack: bool) -> Option<Resolved> {
        let template = match (fips, dual_stack) {
            (false, false) => &self.host,
            (true, false) => &self.fips,
            (false, true) => &self.dual_stack,
            (true, true) => &self.fips_dual_stack,
        };
        let host = template.as_ref()?.replace("{region}", region);
        Some(Resolved { host, signing_region: self.signing_region.clone() })
    }
}

/// What the names begin with that `regex` matches, if it has the form of all of them: `^(us|eu)\-\w+\-\d+$`.
fn prefixes(regex: &str) -> Result<Vec<String>, String> {
    let odd = || format!("the pattern {regex} of regions isn't supported");
    let middle = regex.strip_prefix('^').and_then(|it| it.strip_suffix(r"\-\w+\-\d+$")).ok_or_else(odd)?;
    let mut prefixes = vec![String::new()];
    for part in middle.split(r"\-") {
        let choices = part.strip_prefix('(').and_then(|it| it.strip_suffix(')')).unwrap_or(part);
        let plain = |choice: &str| !choice.is_empty() && choice.bytes().all(|byte| byte.is_ascii_lowercase());
        if !choices.split('|').all(plain) || (choices == part && choices.contains('|')) {
            return Err(odd());
        }
        let longer = |prefix: &String, choice| match prefix.as_str() {
            "" => String::from(choice),
            prefix => format!("{prefix}-{choice}"),
        };
        prefixes = prefixes.iter().flat_map(|prefix| choices.split('|').map(move |c| longer(prefix, c))).collect();
    }
    Ok(prefixes)
}

/// The facts as JSON, with each list, and each service, on a line of its own.
///
/// # Errors
/// None that is known.
pub fn to_json(partitions: &Partitions) -> Result<String, serde_json::Error> {
    let mut blocks = Vec::new();
    for partition in partitions {
        let Partition { name, prefixes, regions, endpoints } = partition;
        let mut services = Vec::new();
        for (service, endpoints) in endpoints {
            services.push(format!("      \"{service}\": {}", serde_json::to_string(endpoints)?));
        }
        blocks.push(format!(
            "  {{\n    \"name\": {},\n    \"prefixes\": {},\n    \"regions\": {},\n    \"endpoints\": {{\n{}\n    }}\n  }}",
            serde_json::to_string(name)?,
            serde_json::to_string(prefixes)?,
            serde_json::to_string(regions)?,
            services.join(",\n"),
        ));
    }
    Ok(format!("[\n{}\n]\n", blocks.join(",\n")))
}

/// The code of the facts, not yet formatted.
///
/// # Errors
/// When the facts lack a service.
pub fn render(partitions: &Partitions) -> Result<String, Box<dyn std::error::Error>> {
    let mut out = String::from(
        "//! AWS's partitions. Generated by `aws-api-codegen generate` from `model/partitions.json`: change that, not \
         this.\n\nuse std::fmt;\n\nuse crate::partition::{Facts, Global, Hosts};\n\n",
    );
    out += "/// A part of AWS with accounts, domains and ARNs of its own.\n\
            #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]\n#[non_exhaustive]\n\
            pub enum Partition {\n";
    for Partition { name, .. } in partitions {
        writeln!(out, "/// `{name}`.\n{},", variant(name))?;
    }
    out += "}\n\nimpl fmt::Display for Partition {\nfn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {\n\
            f.write_str(match self {\n";
    for Partition { name, .. } in partitions {
        writeln!(out, "Partition::{} => \"{name}\",", variant(name))?;
    }
    out += "})\n}\n}\n\nimpl Partition {\n/// All of them, in the order in which their patterns of regions are tried.\n\
            pub(crate) const ALL: &[Partition] = &[";
    for Partition { name, .. } in partitions {
        write!(out, "Partition::{},", variant(name))?;
    }
    out += "];\n\n/// What is known of it.\npub(crate) fn facts(self) -> &'static Facts {\nmatch self {\n";
    for Partition { name, .. } in partitions {
        writeln!(out, "Partition::{} => &{},", variant(name), constant(name))?;
    }
    out += "}\n}\n}\n\n";
    for Partition { name, prefixes, regions, endpoints } in partitions {
        writeln!(out, "static {}: Facts = Facts {{", constant(name))?;
        writeln!(out, "prefixes: &{prefixes:?},\nregions: &{regions:?},")?;
        for service in ["ec2", "route53", "sts"] {
            let Endpoints { signing_region, host, fips, dual_stack, fips_dual_stack, global } =
                endpoints.get(service).ok_or_else(|| format!("{name} has no {service}"))?;
            writeln!(out, "{service}: Hosts {{ signing_region: {signing_region:?}, host: {host:?}, fips: {fips:?},")?;
            writeln!(out, "dual_stack: {dual_stack:?}, fips_dual_stack: {fips_dual_stack:?},")?;
            match global {
                None => out += "global: None },\n",
                Some(Global { host, signing_region, always, legacy }) => {
                    writeln!(out, "global: Some(Global {{ host: {host:?}, signing_region: {signing_region:?},")?;
                    writeln!(out, "always: &{always:?}, legacy: &{legacy:?} }}) }},")?;
                }
            }
        }
        out += "};\n\n";
    }
    Ok(out)
}

fn constant(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_of_regions_is_a_list_of_beginnings() {
        assert_eq!(prefixes(r"^(us|eu)\-\w+\-\d+$").unwrap(), ["us", "eu"]);
        assert_eq!(prefixes(r"^us\-gov\-\w+\-\d+$").unwrap(), ["us-gov"]);
        assert_eq!(prefixes(r"^eusc\-(de|fr)\-\w+\-\d+$").unwrap(), ["eusc-de", "eusc-fr"]);
        for odd in [r"^\w+\-\d+$", r"^us|eu\-\w+\-\d+$", r"^u.\-\w+\-\d+$", r"us\-\w+\-\d+$", r"^us\-\w+\-\d+"] {
            assert!(prefixes(odd).unwrap_err().contains(odd));
        }
    }

    #[test]
    fn a_region_with_outputs_of_its_own_is_not_overlooked() {
        let region = r#"{"description": "x", "dnsSuffix": "y"}"#;
        assert!(serde_json::from_str::<Region>(region).is_err());
    }
}
