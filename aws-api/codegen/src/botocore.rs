//! Extracts facts from the models that botocore publishes. Takes names and forms, never documentation; fails on
//! whatever the generator couldn't speak rather than leaving it out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::marker::PhantomData;
use std::path::Path;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};

use crate::facts::{Facts, List, Member, Operation, Pages, Place, Protocol, Type, WantedService};

/// Shapes of Route 53 whose values may come with a path before them.
const RESOURCE_IDS: [&str; 3] = ["ResourceId", "ChangeId", "DelegationSetId"];

#[derive(Deserialize)]
struct Model {
    metadata: Metadata,
    operations: BTreeMap<String, ModelOperation>,
    shapes: BTreeMap<String, Shape>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    api_version: String,
    protocol: Protocol,
}

#[derive(Deserialize)]
struct ModelOperation {
    http: Http,
    input: Option<Reference>,
    output: Option<Reference>,
    #[serde(default)]
    errors: Vec<Reference>,
    authtype: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Http {
    method: String,
    request_uri: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    shape: String,
    location_name: Option<String>,
    query_name: Option<String>,
    location: Option<String>,
    result_wrapper: Option<String>,
    timestamp_format: Option<String>,
    xml_namespace: Option<Namespace>,
    #[serde(default)]
    flattened: bool,
    #[serde(default)]
    xml_attribute: bool,
    #[serde(default)]
    streaming: bool,
}

#[derive(Deserialize)]
struct Namespace {
    uri: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    required: Vec<String>,
    members: Option<Ordered<Reference>>,
    member: Option<Reference>,
    #[serde(default, rename = "enum")]
    values: Vec<String>,
    #[serde(default)]
    flattened: bool,
    #[serde(default)]
    sensitive: bool,
    timestamp_format: Option<String>,
    payload: Option<String>,
    error: Option<ErrorFacts>,
}

#[derive(Deserialize)]
struct ErrorFacts {
    code: Option<String>,
}

#[derive(Deserialize)]
struct Paginators {
    pagination: BTreeMap<String, Paginator>,
}

#[derive(Deserialize)]
struct Paginator {
    input_token: OneOrMore,
    output_token: OneOrMore,
    more_results: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn list(&self) -> Vec<String> {
        match self {
            OneOrMore::One(one) => vec![one.clone()],
            OneOrMore::More(more) => more.clone(),
        }
    }
}

/// A JSON object in its own order: the order of elements matters in a request body.
struct Ordered<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Ordered<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered(entries))
            }
        }
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

/// Extracts one service's facts from botocore's data folder.
///
/// # Errors
/// When a file can't be read, something that is wanted isn't in the model, or the model asks for what the
/// generator doesn't speak.
pub fn extract(data: &Path, wanted: &WantedService) -> Result<Facts, String> {
    let [model_file, pages_file] =
        ["service-2.json", "paginators-1.json"].map(|file| format!("{}/{file}", wanted.model));
    let model: Model = read(&data.join(&model_file))?;
    let paginators: Paginators = read(&data.join(&pages_file))?;
    facts(&model, &paginators, wanted, format!("botocore {}: {model_file}, {pages_file}", version(data)?))
}

/// The version of the botocore that a data folder belongs to.
fn version(data: &Path) -> Result<String, String> {
    let path = data.join("../__init__.py");
    let text = fs::read_to_string(&path).map_err(|error| {
        format!("{}: {error}; the data folder must be the one of an installed botocore", path.display())
    })?;
    let version = text.lines().find_map(|line| line.strip_prefix("__version__ = "));
    let version = version.ok_or_else(|| format!("{} doesn't tell botocore's version", path.display()))?;
    Ok(version.trim().trim_matches(['\'', '"']).to_owned())
}

fn facts(model: &Model, paginators: &Paginators, wanted: &WantedService, source: String) -> Result<Facts, String> {
    let mut extractor =
        Extractor { model, wanted, structures: BTreeMap::new(), enums: BTreeMap::new(), seen: BTreeSet::new() };
    let mut operations = Vec::new();
    let mut namespace = None;
    for wish in &wanted.operations {
        let name = &wish.name;
        let source = model.operations.get(name).ok_or_else(|| format!("{name} isn't in {}", wanted.model))?;
        let output = source.output.as_ref();
        let has_body = match &source.input {
            Some(input) => extractor.members(&input.shape)?.iter().any(|member| member.place.is_none()),
            None => false,
        };
        let request_root = match (&source.input, model.metadata.protocol) {
            (Some(input), Protocol::RestXml) if has_body => {
                namespace = namespace.or_else(|| input.xml_namespace.as_ref().map(|n| n.uri.clone()));
                Some(input.location_name.clone().unwrap_or_else(|| input.shape.clone()))
            }
            _ => None,
        };
        let root = match (output, model.metadata.protocol) {
            (Some(output), Protocol::RestXml) => output.shape.clone(),
            _ => format!("{name}Response"),
        };
        let pages = paginators.pagination.get(name).map(|paginator| Pages {
            more: paginator.more_results.clone(),
            tokens: paginator.input_token.list().into_iter().zip(paginator.output_token.list()).collect(),
        });
        let mut errors = Vec::new();
        for error in &source.errors {
            let code = extractor.shape(&error.shape)?.error.as_ref().and_then(|error| error.code.clone());
            errors.push(code.unwrap_or_else(|| error.shape.clone()));
        }
        operations.push(Operation {
            name: name.clone(),
            mutates: wish.mutates,
            unsigned: source.authtype.as_deref() == Some("none"),
            method: source.http.method.clone(),
            uri: source.http.request_uri.clone(),
            request_root,
            root,
            wrapper: output.and_then(|output| output.result_wrapper.clone()),
            pages,
            errors,
            input: match &source.input {
                Some(input) => extractor.members(&input.shape)?,
                None => Vec::new(),
            },
            output: match output {
                Some(output) => extractor.members(&output.shape)?,
                None => Vec::new(),
            },
        });
    }
    extractor.check_wishes()?;
    Ok(Facts {
        source,
        api_version: model.metadata.api_version.clone(),
        protocol: model.metadata.protocol,
        xml_namespace: namespace,
        operations,
        structures: extractor.structures,
        enums: extractor.enums,
    })
}

struct Extractor<'a> {
    model: &'a Model,
    wanted: &'a WantedService,
    structures: BTreeMap<String, Vec<Member>>,
    enums: BTreeMap<String, Vec<String>>,
    seen: BTreeSet<String>,
}

impl Extractor<'_> {
    fn shape(&self, name: &str) -> Result<&Shape, String> {
        self.model.shapes.get(name).ok_or_else(|| format!("the model lacks the shape {name}"))
    }

    /// The wanted members of a structure, in the model's order.
    fn members(&mut self, name: &str) -> Result<Vec<Member>, String> {
        self.seen.insert(name.to_owned());
        let model = self.model;
        let shape = model.shapes.get(name).ok_or_else(|| format!("the model lacks the shape {name}"))?;
        let Some(Ordered(all)) = &shape.members else {
            return Err(format!("{name} isn't a structure"));
        };
        if shape.payload.is_some() {
            return Err(format!("{name} has a payload member, which isn't supported"));
        }
        let wanted = self.wanted.members.get(name);
        let promised = self.wanted.required.get(name);
        if let Some(odd) =
            wanted.iter().chain(&promised).copied().flatten().find(|wish| !all.iter().any(|(name, _)| name == *wish))
        {
            return Err(format!("{name} has no member {odd}"));
        }
        let mut members = Vec::new();
        for (member, reference) in all {
            if wanted.is_none_or(|wanted| wanted.contains(member)) {
                let required =
                    shape.required.contains(member) || promised.is_some_and(|promised| promised.contains(member));
                members.push(
                    self.member(member, reference, required).map_err(|error| format!("{name}.{member}: {error}"))?,
                );
            }
        }
        Ok(members)
    }

    fn member(&mut self, name: &str, reference: &Reference, required: bool) -> Result<Member, String> {
        let shape = self.shape(&reference.shape)?;
        let secret = shape.sensitive || self.wanted.secrets.contains(&reference.shape);
        let flattened = shape.flattened || reference.flattened;
        let own_name = reference.location_name.as_deref();
        let place = match reference.location.as_deref() {
            None => None,
            Some("uri") => Some(Place::Label(own_name.unwrap_or(name).to_owned())),
            Some("querystring") => Some(Place::Query(own_name.unwrap_or(name).to_owned())),
            Some(other) => return Err(format!("travels in {other}, which isn't supported")),
        };
        if reference.xml_attribute || reference.streaming {
            return Err("is an attribute or a stream, which isn't supported".into());
        }
        let form = match self.model.metadata.protocol {
            Protocol::Ec2 => match (reference.query_name.as_deref(), own_name) {
                (Some(query), _) => Some(query.to_owned()),
                (None, Some(own)) => Some(capitalised(own)),
                (None, None) => None,
            },
            Protocol::Query => own_name.map(str::to_owned),
            Protocol::RestXml => None,
        };
        let kind = self.kind(reference, flattened)?;
        if secret && !matches!(kind, Type::String) {
            return Err("is a secret other than text, which isn't supported".into());
        }
        Ok(Member {
            name: name.to_owned(),
            kind,
            form: form.filter(|form| form != name),
            xml: own_name.filter(|own| *own != name && place.is_none()).map(str::to_owned),
            resource_id: place.is_some() && RESOURCE_IDS.contains(&reference.shape.as_str()),
            place,
            required,
            secret,
        })
    }

    fn kind(&mut self, reference: &Reference, flattened: bool) -> Result<Type, String> {
        let name = &reference.shape;
        self.seen.insert(name.clone());
        let model = self.model;
        let shape = model.shapes.get(name).ok_or_else(|| format!("the model lacks the shape {name}"))?;
        Ok(match shape.kind.as_str() {
            "string" if shape.values.is_empty() || self.wanted.strings.contains(name) => Type::String,
            "string" => {
                let wanted = self.wanted.enums.get(name);
                if let Some(odd) = wanted.iter().copied().flatten().find(|wish| !shape.values.contains(wish)) {
                    return Err(format!("{name} has no value {odd}"));
                }
                let values = shape.values.iter().filter(|value| wanted.is_none_or(|wanted| wanted.contains(value)));
                let name = capitalised(name);
                self.enums.insert(name.clone(), values.cloned().collect());
                Type::Enum(name)
            }
            "integer" | "long" => Type::Integer,
            "boolean" => Type::Boolean,
            "timestamp" => match shape.timestamp_format.as_deref().or(reference.timestamp_format.as_deref()) {
                None | Some("iso8601") => Type::Timestamp,
                Some(other) => {
                    return Err(format!("is a timestamp in the form {other}, which isn't supported"));
                }
            },
            "structure" => {
                let capitalised = capitalised(name);
                if !self.structures.contains_key(&capitalised) {
                    // In place before its members are looked at, so that a cycle ends here.
                    self.structures.insert(capitalised.clone(), Vec::new());
                    let members = self.members(name)?;
                    self.structures.insert(capitalised.clone(), members);
                }
                Type::Structure(capitalised)
            }
            "list" => {
                let entry = shape.member.as_ref().ok_or_else(|| format!("{name} is a list of nothing"))?;
                let of = self.kind(entry, false)?;
                if matches!(of, Type::List(_)) {
                    return Err("is a list of lists, which isn't supported".into());
                }
                let item = entry.location_name.as_deref().unwrap_or("member");
                if flattened && entry.location_name.is_some() {
                    return Err("is a flattened list with names of its own, which isn't supported".into());
                }
                let in_form = self.model.metadata.protocol == Protocol::Query && !flattened;
                Type::List(Box::new(List {
                    of,
                    item: (!flattened).then(|| item.to_owned()),
                    form: in_form.then(|| item.to_owned()),
                }))
            }
            other => return Err(format!("is a {other}, which isn't supported")),
        })
    }

    /// A wish that names nothing is a mistake in `operations.json`.
    fn check_wishes(&self) -> Result<(), String> {
        let wishes = self.wanted.members.keys().chain(self.wanted.enums.keys());
        let wishes = wishes.chain(self.wanted.required.keys()).chain(&self.wanted.strings).chain(&self.wanted.secrets);
        match wishes.into_iter().find(|wish| !self.seen.contains(*wish)) {
            Some(odd) => Err(format!("{odd} is named, but no operation reaches it")),
            None => Ok(()),
        }
    }
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Reads a model's file, which may be compressed.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let mut text = Vec::new();
    let compressed = path.with_extension("json.gz");
    let (path, read) = if compressed.exists() {
        let read = File::open(&compressed).and_then(|file| flate2::read::GzDecoder::new(file).read_to_end(&mut text));
        (compressed.as_path(), read)
    } else {
        (path, File::open(path).and_then(|mut file| file.read_to_end(&mut text)))
    };
    read.map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
