//! The facts of a service, as `model/*.json` holds them: what code is generated from. Owns their form on disk;
//! knows neither botocore nor Rust.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// `model/operations.json`: what is wanted of each service, by the service's key (`ec2`, `route53`, `sts`).
pub type Wanted = BTreeMap<String, WantedService>;

/// What is wanted of one service.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedService {
    /// Folder of the published model, e.g. `ec2/2016-11-15`.
    pub model: String,
    /// The operations.
    pub operations: Vec<WantedOperation>,
    /// Structures of which only some members are wanted. Members that aren't named are skipped when read.
    #[serde(default)]
    pub members: BTreeMap<String, Vec<String>>,
    /// Members of answers that AWS always sends although the published model doesn't say so: an answer without
    /// them must not pass for one that found nothing.
    #[serde(default)]
    pub required: BTreeMap<String, Vec<String>>,
    /// Enumerations of which only some values are wanted by name; the others stay readable as text.
    #[serde(default)]
    pub enums: BTreeMap<String, Vec<String>>,
    /// Enumerations that are plain text to us.
    #[serde(default)]
    pub strings: Vec<String>,
    /// Shapes that hold secrets, beside those that the published model marks.
    #[serde(default)]
    pub secrets: Vec<String>,
}

/// One operation that is wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedOperation {
    /// Its name.
    pub name: String,
    /// Whether it may change anything at AWS.
    pub mutates: bool,
}

/// The protocols in use.
#[derive(Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// EC2's own form of the query protocol.
    Ec2,
    /// The query protocol.
    Query,
    /// REST with XML bodies.
    RestXml,
}

/// One service.
#[derive(Serialize, Deserialize)]
pub struct Facts {
    /// Where the facts are from: botocore's version and the files of its data folder.
    pub source: String,
    /// Version of the API.
    pub api_version: String,
    /// Protocol on the wire.
    pub protocol: Protocol,
    /// Namespace of request bodies, for `rest-xml`.
    pub xml_namespace: Option<String>,
    /// By name.
    pub operations: Vec<Operation>,
    /// The structures that the operations reach, but for the operations' own inputs and outputs.
    pub structures: BTreeMap<String, Vec<Member>>,
    /// The enumerations that the operations reach.
    pub enums: BTreeMap<String, Vec<String>>,
}

/// One operation.
#[derive(Serialize, Deserialize)]
pub struct Operation {
    /// Its name.
    pub name: String,
    /// Whether it may change anything.
    pub mutates: bool,
    /// Whether it is sent without a signature.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unsigned: bool,
    /// HTTP method.
    pub method: String,
    /// Path with `{labels}`.
    pub uri: String,
    /// Name of the root element of the request body, for `rest-xml` operations with a body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_root: Option<String>,
    /// Name of the root element of the answer.
    pub root: String,
    /// Name of the element within the root that holds the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrapper: Option<String>,
    /// How its pages follow each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<Pages>,
    /// The error codes that are modelled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// Members of the input. Written apart, one a line.
    #[serde(skip_serializing)]
    pub input: Vec<Member>,
    /// Members of the output; none when the answer holds nothing. Written apart, one a line.
    #[serde(skip_serializing)]
    pub output: Vec<Member>,
}

/// How pages follow each other.
#[derive(Serialize, Deserialize)]
pub struct Pages {
    /// Member of the output that says whether there are more; else there are more while there is a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<String>,
    /// Pairs: member of the input, member of the output that it is taken from.
    pub tokens: Vec<(String, String)>,
}

/// One member of a structure.
#[derive(Clone, Serialize, Deserialize)]
pub struct Member {
    /// Its name in the model.
    pub name: String,
    /// What it holds.
    #[serde(rename = "type")]
    pub kind: Type,
    /// Its name in a form, where that differs from its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<String>,
    /// Its name in XML, where that differs from its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xml: Option<String>,
    /// Where it travels, when not in the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Whether it must be there.
    #[serde(default, skip_serializing_if = "is_false")]
    pub required: bool,
    /// Whether it must not be shown.
    #[serde(default, skip_serializing_if = "is_false")]
    pub secret: bool,
    /// Whether only what follows the last slash counts (`/hostedzone/Z1` is sent as `Z1`).
    #[serde(default, skip_serializing_if = "is_false")]
    pub resource_id: bool,
}

impl Member {
    /// Its name in a form.
    pub fn form(&self) -> &str {
        self.form.as_deref().unwrap_or(&self.name)
    }

    /// Its name in XML.
    pub fn xml(&self) -> &str {
        self.xml.as_deref().unwrap_or(&self.name)
    }
}

/// Places of a member outside of the body, with its name there.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In the path.
    Label(String),
    /// In the query string.
    Query(String),
}

/// What a member holds.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// An instant in ISO 8601 form.
    Timestamp,
    /// One of an enumeration's values.
    Enum(String),
    /// A structure.
    Structure(String),
    /// A list.
    List(Box<List>),
}

/// A list.
#[derive(Clone, Serialize, Deserialize)]
pub struct List {
    /// What it holds.
    pub of: Type,
    /// Name of each entry's element in XML; a flattened list has none and repeats the member's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// What follows the member's name in a form, before the number: `member` in the query protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<String>,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// Reads a JSON file.
pub fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, String> {
    let text = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display()))
}

impl Facts {
    /// The facts as JSON, with one member, and one list of values, on each line, so that a change is seen.
    pub fn to_json(&self) -> Result<String, String> {
        self.write().map_err(|error| error.to_string())
    }

    fn write(&self) -> Result<String, Box<dyn std::error::Error>> {
        let json = serde_json::to_string::<str>;
        let mut out = String::from("{\n");
        writeln!(out, "  \"source\": {},", json(&self.source)?)?;
        writeln!(out, "  \"api_version\": {},", json(&self.api_version)?)?;
        writeln!(out, "  \"protocol\": {},", serde_json::to_string(&self.protocol)?)?;
        writeln!(out, "  \"xml_namespace\": {},", serde_json::to_string(&self.xml_namespace)?)?;
        let mut operations = Vec::new();
        for operation in &self.operations {
            let mut lists = Vec::new();
            for (key, members) in [("input", &operation.input), ("output", &operation.output)] {
                lists.push(format!("{}: {}", json(key)?, members_json(members, 6)?));
            }
            let head = serde_json::to_string(operation)?;
            let head = head.strip_prefix('{').and_then(|head| head.strip_suffix('}')).unwrap_or(&head);
            operations.push(format!("    {{{head},\n      {}}}", lists.join(",\n      ")));
        }
        writeln!(out, "  \"operations\": [\n{}\n  ],", operations.join(",\n"))?;
        let mut structures = Vec::new();
        for (name, members) in &self.structures {
            structures.push(format!("    {}: {}", json(name)?, members_json(members, 4)?));
        }
        writeln!(out, "  \"structures\": {{\n{}\n  }},", structures.join(",\n"))?;
        let mut enums = Vec::new();
        for (name, values) in &self.enums {
            enums.push(format!("    {}: {}", json(name)?, serde_json::to_string(values)?));
        }
        writeln!(out, "  \"enums\": {{\n{}\n  }}\n}}", enums.join(",\n"))?;
        Ok(out)
    }
}

fn members_json(members: &[Member], indent: usize) -> Result<String, serde_json::Error> {
    if members.is_empty() {
        return Ok("[]".into());
    }
    let lines = members.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
    let pad = " ".repeat(indent);
    Ok(format!("[\n{pad}  {}\n{pad}]", lines.join(&format!(",\n{pad}  "))))
}
