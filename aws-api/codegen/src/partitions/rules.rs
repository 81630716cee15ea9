//! Evaluates the endpoint rule sets that botocore publishes, as far as the rule sets of our services go; whatever
//! else a rule asks for is an error.

use std::collections::BTreeMap;

use serde::Deserialize;

/// `endpoint-rule-set-1.json`.
#[derive(Deserialize)]
pub struct RuleSet {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Rule {
    Tree { conditions: Vec<Call>, rules: Vec<Rule> },
    Endpoint { conditions: Vec<Call>, endpoint: Endpoint },
    Error { conditions: Vec<Call>, error: String },
}

#[derive(Deserialize)]
struct Endpoint {
    url: Argument,
    #[serde(default)]
    properties: Properties,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Properties {
    #[serde(default)]
    auth_schemes: Vec<AuthScheme>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthScheme {
    name: String,
    signing_region: Option<String>,
}

#[derive(Deserialize)]
struct Call {
    #[serde(rename = "fn")]
    function: String,
    argv: Vec<Argument>,
    assign: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Argument {
    Reference {
        #[serde(rename = "ref")]
        name: String,
    },
    Call(Call),
    Flag(bool),
    Text(String),
}

/// What a rule works with.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A boolean.
    Flag(bool),
    /// Text.
    Text(String),
    /// Outputs of a partition.
    Record(BTreeMap<String, Value>),
}

/// The values that are set, by name.
pub type Values = BTreeMap<String, Value>;

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The host.
    pub host: String,
    /// What to sign for, where it isn't the region.
    pub signing_region: Option<String>,
}

/// What `aws.partition` finds, by region.
pub type Partitions<'a> = &'a dyn Fn(&str) -> Option<Value>;

impl RuleSet {
    /// Where the rules lead; `None` when they say that there is no such endpoint.
    ///
    /// # Errors
    /// When a rule asks for what isn't supported, or none fits.
    pub fn resolve(&self, values: &Values, partitions: Partitions<'_>) -> Result<Option<Resolved>, String> {
        match first(&self.rules, values, partitions)? {
            Some(Outcome::Endpoint(resolved)) => Ok(Some(resolved)),
            Some(Outcome::Refused) => Ok(None),
            None => Err("no endpoint rule fits".into()),
        }
    }
}

enum Outcome {
    Endpoint(Resolved),
    Refused,
}

/// What the first rule that fits leads to.
fn first(rules: &[Rule], values: &Values, partitions: Partitions<'_>) -> Result<Option<Outcome>, String> {
    for rule in rules {
        let (Rule::Tree { conditions, .. } | Rule::Endpoint { conditions, .. } | Rule::Error { conditions, .. }) = rule;
        let mut values = values.clone();
        if !hold(conditions, &mut values, partitions)? {
            continue;
        }
        let found = match rule {
            Rule::Tree { rules, .. } => first(rules, &values, partitions)?,
            Rule::Endpoint { endpoint, .. } => Some(Outcome::Endpoint(resolved(endpoint, &values)?)),
            Rule::Error { error, .. } if error.contains("not support") => Some(Outcome::Refused),
            Rule::Error { error, .. } => return Err(error.clone()),
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Whether all conditions hold; what they assign is set.
fn hold(conditions: &[Call], values: &mut Values, partitions: Partitions<'_>) -> Result<bool, String> {
    for condition in conditions {
        let value = call(condition, values, partitions)?;
        match value {
            None | Some(Value::Flag(false)) => return Ok(false),
            Some(value) => {
                if let Some(name) = &condition.assign {
                    values.insert(name.clone(), value);
                }
            }
        }
    }
    Ok(true)
}

fn call(call: &Call, values: &Values, partitions: Partitions<'_>) -> Result<Option<Value>, String> {
    let arguments = call.argv.iter().map(|it| argument(it, values, partitions)).collect::<Result<Vec<_>, _>>()?;
    Ok(match (call.function.as_str(), arguments.as_slice()) {
        ("isSet", [value]) => Some(Value::Flag(value.is_some())),
        ("not", [value]) => Some(Value::Flag(matches!(value, None | Some(Value::Flag(false))))),
        ("booleanEquals" | "stringEquals", [one, other]) => Some(Value::Flag(one == other)),
        ("aws.partition", [Some(Value::Text(region))]) => partitions(region),
        ("getAttr", [Some(Value::Record(record)), Some(Value::Text(name))]) => record.get(name).cloned(),
        (other, _) => return Err(format!("an endpoint rule calls {other}, which isn't supported that way")),
    })
}

fn argument(argument: &Argument, values: &Values, partitions: Partitions<'_>) -> Result<Option<Value>, String> {
    Ok(match argument {
        Argument::Reference { name } => values.get(name).cloned(),
        Argument::Call(inner) => call(inner, values, partitions)?,
        Argument::Flag(flag) => Some(Value::Flag(*flag)),
        Argument::Text(text) => Some(Value::Text(filled_in(text, values)?)),
    })
}

fn resolved(endpoint: &Endpoint, values: &Values) -> Result<Resolved, String> {
    let Argument::Text(url) = &endpoint.url else { return Err("an endpoint rule's URL isn't text".into()) };
    let url = filled_in(url, values)?;
    let host = url.strip_prefix("https://").filter(|host| !host.contains('/'));
    let host = host.ok_or_else(|| format!("the endpoint {url} isn't https and a host"))?.to_owned();
    let signing_region = match endpoint.properties.auth_schemes.as_slice() {
        [] => None,
        [AuthScheme { name, signing_region }] if name == "sigv4" => signing_region.as_deref(),
        _ => return Err(format!("the endpoint {url} isn't signed with sigv4 alone")),
    };
    let signing_region = signing_region.map(|region| filled_in(region, values)).transpose()?;
    Ok(Resolved { host, signing_region })
}

/// `text` with its `{Name}` and `{Name#attribute}` replaced.
fn filled_in(text: &str, values: &Values) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (place, after) = after.split_once('}').ok_or_else(|| format!("{text:?} has an open brace"))?;
        let value = match place.split_once('#') {
            None => values.get(place),
            Some((name, attribute)) => match values.get(name) {
                Some(Value::Record(record)) => record.get(attribute),
                _ => None,
            },
        };
        let Some(Value::Text(value)) = value else { return Err(format!("{text:?} needs {place}, which isn't set")) };
        out += before;
        out += value;
        rest = after;
    }
    Ok(out + rest)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn resolve(rules: &str, fips: bool) -> Result<Option<Resolved>, String> {
        let rules: RuleSet = serde_json::from_str(rules).unwrap();
        let values =
            [("Region".to_owned(), Value::Text("eu-west-1".into())), ("UseFIPS".to_owned(), Value::Flag(fips))];
        let partition = |region: &str| {
            let outputs = [
                ("name".to_owned(), Value::Text("aws".into())),
                ("supportsFIPS".to_owned(), Value::Flag(false)),
                ("dnsSuffix".to_owned(), Value::Text("amazonaws.com".into())),
            ];
            (region == "eu-west-1").then(|| Value::Record(outputs.into()))
        };
        rules.resolve(&values.into(), &partition)
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rules = r#"{"rules": [
            {"type": "tree", "conditions": [{"fn": "isSet", "argv": [{"ref": "Endpoint"}]}], "rules": []},
            {"type": "tree", "conditions": [{"fn": "aws.partition", "argv": [{"ref": "Region"}], "assign": "P"}],
             "rules": [
              {"type": "tree", "conditions": [{"fn": "booleanEquals", "argv": [{"ref": "UseFIPS"}, true]}], "rules": [
                {"type": "endpoint", "endpoint": {"url": "https://fips"}, "conditions": [
                  {"fn": "booleanEquals", "argv": [{"fn": "getAttr", "argv": [{"ref": "P"}, "supportsFIPS"]}, true]}]},
                {"type": "error", "conditions": [], "error": "this partition does not support FIPS"}]},
              {"type": "endpoint", "conditions": [], "endpoint": {"url": "https://x.{Region}.{P#dnsSuffix}",
               "properties": {"authSchemes": [{"name": "sigv4", "signingRegion": "{Region}"}]}}}]}]}"#;
        let plain = Resolved { host: "x.eu-west-1.amazonaws.com".into(), signing_region: Some("eu-west-1".into()) };
        assert_eq!(resolve(rules, false), Ok(Some(plain)));
        assert_eq!(resolve(rules, true), Ok(None));
    }

    #[test]
    fn what_isnt_supported_is_said() {
        for (rules, why) in [
            (r#"{"rules": []}"#, "no endpoint rule fits"),
            (r#"{"rules": [{"type": "error", "conditions": [], "error": "Missing Region"}]}"#, "Missing Region"),
            (
                r#"{"rules": [{"type": "error", "error": "", "conditions": [{"fn": "parseURL", "argv": ["x"]}]}]}"#,
                "parseURL",
            ),
            (r#"{"rules": [{"type": "endpoint", "conditions": [], "endpoint": {"url": "http://x"}}]}"#, "isn't https"),
            (r#"{"rules": [{"type": "endpoint", "conditions": [], "endpoint": {"url": "https://{X}"}}]}"#, "needs X"),
        ] {
            let error = resolve(rules, false).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
