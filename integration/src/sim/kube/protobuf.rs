//! Bodies in Kubernetes's protobuf envelope, for the few kinds that `kubectl create` and `kubectl auth` send so.
//! Field numbers are those of the published `generated.proto` files.

use serde_json::{Map, Value, json};

/// How a field is read.
enum Kind {
    Text,
    Number,
    Flag,
    Message(&'static [Field]),
    List(&'static [Field]),
    Texts,
    /// From names to texts.
    Pairs,
    NumberOrText,
}

struct Field(u64, &'static str, Kind);

const META: &[Field] = &[
    Field(1, "name", Kind::Text),
    Field(2, "generateName", Kind::Text),
    Field(3, "namespace", Kind::Text),
    Field(5, "uid", Kind::Text),
    Field(6, "resourceVersion", Kind::Text),
    Field(11, "labels", Kind::Pairs),
    Field(12, "annotations", Kind::Pairs),
    Field(14, "finalizers", Kind::Texts),
];

const PORT: &[Field] = &[
    Field(1, "name", Kind::Text),
    Field(2, "protocol", Kind::Text),
    Field(3, "port", Kind::Number),
    Field(4, "targetPort", Kind::NumberOrText),
    Field(5, "nodePort", Kind::Number),
    Field(6, "appProtocol", Kind::Text),
];

const SERVICE: &[Field] = &[
    Field(1, "metadata", Kind::Message(META)),
    Field(
        2,
        "spec",
        Kind::Message(&[
            Field(1, "ports", Kind::List(PORT)),
            Field(2, "selector", Kind::Pairs),
            Field(3, "clusterIP", Kind::Text),
            Field(4, "type", Kind::Text),
            Field(5, "externalIPs", Kind::Texts),
            Field(7, "sessionAffinity", Kind::Text),
            Field(9, "loadBalancerSourceRanges", Kind::Texts),
            Field(10, "externalName", Kind::Text),
            Field(11, "externalTrafficPolicy", Kind::Text),
            Field(13, "publishNotReadyAddresses", Kind::Flag),
            Field(17, "ipFamilyPolicy", Kind::Text),
            Field(18, "clusterIPs", Kind::Texts),
            Field(19, "ipFamilies", Kind::Texts),
            Field(20, "allocateLoadBalancerNodePorts", Kind::Flag),
            Field(21, "loadBalancerClass", Kind::Text),
            Field(22, "internalTrafficPolicy", Kind::Text),
        ]),
    ),
];

const CONFIG_MAP: &[Field] = &[Field(1, "metadata", Kind::Message(META)), Field(2, "data", Kind::Pairs)];

const NAMESPACE: &[Field] = &[Field(1, "metadata", Kind::Message(META))];

const REVIEW: &[Field] = &[Field(
    2,
    "spec",
    Kind::Message(&[Field(
        1,
        "resourceAttributes",
        Kind::Message(&[
            Field(1, "namespace", Kind::Text),
            Field(2, "verb", Kind::Text),
            Field(3, "group", Kind::Text),
            Field(4, "version", Kind::Text),
            Field(5, "resource", Kind::Text),
            Field(6, "subresource", Kind::Text),
            Field(7, "name", Kind::Text),
        ]),
    )]),
)];

const MAGIC: &[u8] = b"k8s\0";

/// A body as JSON; `None`: it isn't in the envelope, or of a kind that isn't read.
pub(super) fn decode(body: &[u8]) -> Option<Value> {
    let envelope = body.strip_prefix(MAGIC)?;
    let mut kind = json!({});
    let mut raw: &[u8] = &[];
    for (number, value) in fields(envelope)? {
        match (number, value) {
            (1, Wire::Bytes(bytes)) => {
                kind = message(bytes, &[Field(1, "apiVersion", Kind::Text), Field(2, "kind", Kind::Text)])?;
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let known = match kind.get("kind").and_then(Value::as_str)? {
        "Service" => SERVICE,
        "ConfigMap" => CONFIG_MAP,
        "Namespace" => NAMESPACE,
        "SelfSubjectAccessReview" => REVIEW,
        _ => return None,
    };
    let mut object = message(raw, known)?;
    for name in ["apiVersion", "kind"] {
        object[name] = kind[name].clone();
    }
    Some(object)
}

enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut out = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        out |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(out);
        }
    }
    None
}

fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Wire<'_>)>> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let tag = number(&mut bytes)?;
        let length = match tag & 7 {
            0 => {
                out.push((tag >> 3, Wire::Number(number(&mut bytes)?)));
                continue;
            }
            1 => 8,
            5 => 4,
            2 => usize::try_from(number(&mut bytes)?).ok()?,
            _ => return None,
        };
        let (value, rest) = bytes.split_at_checked(length)?;
        bytes = rest;
        out.push((tag >> 3, Wire::Bytes(value)));
    }
    Some(out)
}

/// What is empty is left out: Go writes it all the same.
fn message(bytes: &[u8], known: &[Field]) -> Option<Value> {
    let mut out = Map::new();
    for (number, wire) in fields(bytes)? {
        let Some(Field(_, name, kind)) = known.iter().find(|field| field.0 == number) else { continue };
        let list = |out: &mut Map<String, Value>, item: Value| {
            let place = out.entry(*name).or_insert_with(|| json!([]));
            place.as_array_mut().into_iter().for_each(|items| items.push(item.clone()));
        };
        match (kind, wire) {
            (Kind::Text, Wire::Bytes(text)) if !text.is_empty() => {
                out.insert((*name).to_owned(), json!(std::str::from_utf8(text).ok()?));
            }
            (Kind::Number, Wire::Number(value)) if value != 0 => {
                out.insert((*name).to_owned(), json!(value));
            }
            (Kind::Flag, Wire::Number(value)) if value != 0 || *name == "allocateLoadBalancerNodePorts" => {
                out.insert((*name).to_owned(), json!(value != 0));
            }
            (Kind::Message(fields), Wire::Bytes(bytes)) => {
                out.insert((*name).to_owned(), message(bytes, fields)?);
            }
            (Kind::List(fields), Wire::Bytes(bytes)) => list(&mut out, message(bytes, fields)?),
            (Kind::Texts, Wire::Bytes(text)) => list(&mut out, json!(std::str::from_utf8(text).ok()?)),
            (Kind::Pairs, Wire::Bytes(bytes)) => {
                let pair = message(bytes, &[Field(1, "key", Kind::Text), Field(2, "value", Kind::Text)])?;
                let part = |name: &str| pair.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                let map = out.entry(*name).or_insert_with(|| json!({}));
                map[part("key")] = json!(part("value"));
            }
            (Kind::NumberOrText, Wire::Bytes(bytes)) => {
                let known =
                    [Field(1, "type", Kind::Number), Field(2, "number", Kind::Number), Field(3, "text", Kind::Text)];
                let either = message(bytes, &known)?;
                let value = if either.get("type").is_some() { &either["text"] } else { &either["number"] };
                if !value.is_null() {
                    out.insert((*name).to_owned(), value.clone());
                }
            }
            _ => {}
        }
    }
    Some(Value::Object(out))
}
