//! Extraction from a small model made up for it. Its members are in alphabetical order, since a `Value` may sort them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use serde_json::{Value, json};

use super::*;

fn model(protocol: &str) -> Value {
    json!({
        "metadata": {"apiVersion": "2000-01-01", "protocol": protocol},
        "operations": {
            "List": {
                "http": {"method": "POST", "requestUri": "/"},
                "input": {"shape": "ListRequest"},
                "output": {"shape": "ListResult", "resultWrapper": "Wrapped"},
                "errors": [{"shape": "Plain"}, {"shape": "Coded"}],
                "authtype": "none"
            }
        },
        "shapes": {
            "Plain": {"type": "structure", "members": {}},
            "Coded": {"type": "structure", "members": {}, "error": {"code": "Code.Of.Its.Own"}},
            "ListRequest": {"type": "structure", "required": ["Zulu"], "members": {
                "Alpha": {"shape": "Text", "locationName": "alphaName"},
                "Names": {"shape": "Texts", "locationName": "Name"},
                "Password": {"shape": "Hush"},
                "Query": {"shape": "Text", "locationName": "x", "queryName": "asItIs"},
                "Zulu": {"shape": "Text"}
            }},
            "ListResult": {"type": "structure", "members": {
                "At": {"shape": "Time"},
                "Kind": {"shape": "Kind", "locationName": "kind"},
                "NextToken": {"shape": "Text"}
            }},
            "Text": {"type": "string"},
            "Hush": {"type": "string", "sensitive": true},
            "Time": {"type": "timestamp"},
            "Kind": {"type": "string", "enum": ["a", "b"]},
            "Texts": {"type": "list", "member": {"shape": "Text", "locationName": "item"}}
        }
    })
}

fn extracted(model: Value, wanted: Value) -> Result<Facts, String> {
    let pages = json!({"pagination": {"List": {"input_token": "Alpha", "output_token": "NextToken"}}});
    let mut wish = json!({"model": "x", "operations": [{"name": "List", "mutates": true}]});
    wish.as_object_mut().unwrap().extend(wanted.as_object().unwrap().clone());
    facts(
        &serde_json::from_value(model).unwrap(),
        &serde_json::from_value(pages).unwrap(),
        &serde_json::from_value(wish).unwrap(),
        "botocore 1.2.3".into(),
    )
}

fn forms(facts: &Facts) -> Vec<(String, String)> {
    let input = &facts.operations[0].input;
    input.iter().map(|m| (m.name.clone(), m.form().to_owned())).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[test]
fn ec2_capitalises_location_names_in_forms_and_leaves_query_names() {
    let facts = extracted(model("ec2"), json!({})).unwrap();
    assert_eq!(
        forms(&facts),
        pairs(&[
            ("Alpha", "AlphaName"),
            ("Names", "Name"),
            ("Password", "Password"),
            ("Query", "asItIs"),
            ("Zulu", "Zulu"),
        ])
    );
    assert_eq!(facts.operations[0].input[0].xml(), "alphaName");
}

#[test]
fn query_keeps_location_names_and_names_list_entries() {
    let facts = extracted(model("query"), json!({})).unwrap();
    assert_eq!(forms(&facts)[0], ("Alpha".to_owned(), "alphaName".to_owned()));
    let list = |facts: &Facts| match &facts.operations[0].input[1].kind {
        Type::List(list) => (list.form.clone(), list.item.clone()),
        _ => panic!("not a list"),
    };
    assert_eq!(list(&facts), (Some("item".into()), Some("item".into())));
    assert_eq!(list(&extracted(model("ec2"), json!({})).unwrap()), (None, Some("item".into())));
    let mut plain = model("query");
    plain["shapes"]["Texts"]["member"].as_object_mut().unwrap().remove("locationName");
    assert_eq!(list(&extracted(plain, json!({})).unwrap()).0.as_deref(), Some("member"));
}

#[test]
fn names_of_types_begin_with_a_capital() {
    let mut model = model("ec2");
    model["shapes"]["kind"] = model["shapes"]["Kind"].clone();
    model["shapes"]["ListResult"]["members"]["Kind"]["shape"] = json!("kind");
    assert_eq!(extracted(model, json!({})).unwrap().enums.keys().collect::<Vec<_>>(), ["Kind"]);
}

#[test]
fn members_keep_the_order_of_the_model() {
    let shape: Shape =
        serde_json::from_str(r#"{"type": "structure", "members": {"Z": {"shape": "T"}, "A": {"shape": "T"}}}"#)
            .unwrap();
    let names: Vec<_> = shape.members.unwrap().0.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["Z", "A"]);
}

#[test]
fn an_operation_is_described_in_full() {
    let facts = extracted(model("query"), json!({})).unwrap();
    let operation = &facts.operations[0];
    assert!(operation.mutates && operation.unsigned);
    assert_eq!(operation.root, "ListResponse");
    assert_eq!(operation.wrapper.as_deref(), Some("Wrapped"));
    assert_eq!(operation.errors, ["Plain", "Code.Of.Its.Own"]);
    let pages = operation.pages.as_ref().unwrap();
    assert_eq!((pages.more.as_deref(), &pages.tokens), (None, &pairs(&[("Alpha", "NextToken")])));
    let flags: Vec<_> = operation.input.iter().map(|m| (m.required, m.secret)).collect();
    assert_eq!(flags, [(false, false), (false, false), (false, true), (false, false), (true, false)]);
    assert_eq!(facts.enums["Kind"], ["a", "b"]);
}

#[test]
fn wishes_narrow_what_is_taken() {
    let facts = extracted(
        model("ec2"),
        json!({
            "members": {"ListRequest": ["Zulu", "Alpha"], "ListResult": ["Kind", "NextToken"]},
            "required": {"ListResult": ["NextToken"]},
            "enums": {"Kind": ["b"]},
            "secrets": ["Text"]
        }),
    )
    .unwrap();
    let operation = &facts.operations[0];
    assert_eq!(operation.input.len(), 2);
    assert!(operation.input[0].secret);
    assert_eq!(operation.output.len(), 2);
    assert!(operation.output[1].required);
    assert_eq!(facts.enums["Kind"], ["b"]);
    let facts = extracted(model("ec2"), json!({"strings": ["Kind"]})).unwrap();
    assert!(facts.enums.is_empty());
}

#[test]
fn a_wish_for_what_is_not_there_is_an_error() {
    for (wish, said) in [
        (json!({"operations": [{"name": "Lost", "mutates": false}]}), "Lost isn't in x"),
        (json!({"members": {"ListResult": ["Lost"]}}), "ListResult has no member Lost"),
        (json!({"required": {"ListResult": ["Lost"]}}), "ListResult has no member Lost"),
        (json!({"members": {"Lost": []}}), "Lost is named, but no operation reaches it"),
        (json!({"strings": ["Lost"]}), "Lost is named, but no operation reaches it"),
        (json!({"enums": {"Kind": ["c"]}}), "ListResult.Kind: Kind has no value c"),
    ] {
        assert_eq!(extracted(model("ec2"), wish).err().as_deref(), Some(said));
    }
}

#[test]
fn what_the_generator_does_not_speak_is_refused() {
    for (place, value, said) in [
        ("/shapes/Time", json!({"type": "blob"}), "is a blob"),
        (
            "/shapes/Time",
            json!({"type": "timestamp", "timestampFormat": "rfc822"}),
            "is a timestamp in the form rfc822",
        ),
        ("/shapes/Time", json!({"type": "list", "member": {"shape": "Texts"}}), "is a list of lists"),
        ("/shapes/ListResult/members/At", json!({"shape": "Text", "location": "header"}), "travels in header"),
        (
            "/shapes/ListResult/members/At",
            json!({"shape": "Text", "xmlAttribute": true}),
            "is an attribute or a stream",
        ),
    ] {
        let mut model = model("ec2");
        *model.pointer_mut(place).unwrap() = value;
        let error = extracted(model, json!({})).err().unwrap();
        assert_eq!(error, format!("ListResult.At: {said}, which isn't supported"));
    }
}
