//! Finds in the crate's source every type that can be shown and could hold a secret.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What can't hold a secret, as it can't hold text that isn't in the source.
const PLAIN: &[&str] = &[
    "Arc",
    "AtomicU64",
    "Duration",
    "Instant",
    "Mutex",
    "Option",
    "RandomState",
    "StaticStr",
    "SystemTime",
    "Timestamp",
    "Vec",
    "bool",
    "crate",
    "f64",
    "i64",
    "pub",
    "sync",
    "tokio",
    "u16",
    "u32",
    "u64",
    "usize",
];

struct Type {
    /// File and name, e.g. `secret::Keys`.
    name: String,
    /// What its members are made of.
    words: BTreeSet<String>,
    /// The generator says that it holds a secret.
    marked: bool,
    generated: bool,
}

/// Types that implement `Debug` or `Display` and hold text (of generated ones: a secret, by the model).
pub fn types_that_could_show_a_secret() -> BTreeSet<String> {
    let mut types = Vec::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut types);
    assert!(types.len() > 60, "only {} types were found: is this still how the source looks?", types.len());
    // A type is plain when all of its members are.
    let mut plain: BTreeSet<String> = PLAIN.iter().map(|&word| word.to_owned()).collect();
    let mut marked: BTreeSet<String> = types.iter().filter(|it| it.marked).map(|it| it.name.clone()).collect();
    loop {
        let before = (plain.len(), marked.len());
        for it in &types {
            let short = it.name.rsplit("::").next().unwrap();
            let mut namesakes = types.iter().filter(|other| other.name.rsplit("::").next() == Some(short));
            if namesakes.all(|it| it.words.is_subset(&plain)) {
                plain.insert(short.to_owned());
            }
            // Names of one service: those of others don't meet them.
            let module = it.name.strip_suffix(short).unwrap();
            if it.generated && it.words.iter().any(|word| marked.contains(&format!("{module}{word}"))) {
                marked.insert(it.name.clone());
            }
        }
        if before == (plain.len(), marked.len()) {
            break;
        }
    }
    let shown = |it: &&Type| if it.generated { marked.contains(&it.name) } else { !it.words.is_subset(&plain) };
    types.iter().filter(shown).map(|it| it.name.clone()).collect()
}

fn read(folder: &Path, module: &str, into: &mut Vec<Type>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if name == "tests" {
            continue;
        }
        let module = if name == "mod" { module.to_owned() } else { format!("{module}{name}::") };
        if path.is_dir() {
            read(&path, &module, into);
        } else if path.extension().is_some_and(|it| it == "rs") {
            types(&std::fs::read_to_string(&path).unwrap(), &module, into);
        }
    }
}

/// The types of a file that can be shown.
fn types(text: &str, module: &str, into: &mut Vec<Type>) {
    let shown: BTreeSet<&str> = text.lines().filter_map(implemented).collect();
    let mut derived = false;
    let lines: Vec<&str> = text.lines().collect();
    for (place, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        if code.starts_with("#[derive(") {
            derived = code.contains("Debug");
        }
        let Some((enumeration, name)) = defined(code) else {
            if !code.starts_with("#[") && !code.starts_with("///") {
                derived = false;
            }
            continue;
        };
        // The pattern of a macro: enumerations of AWS's words.
        if !(std::mem::take(&mut derived) || shown.contains(name)) || name.starts_with('$') {
            continue;
        }
        let indent = &line[..line.len() - code.len()];
        let ends = [format!("{indent}}}"), format!("{indent})")];
        let end = match line.ends_with([';', '}']) {
            true => place,
            false => place + lines[place..].iter().position(|it| ends.iter().any(|end| it.starts_with(end))).unwrap(),
        };
        let definition = &lines[place..=end];
        into.push(Type {
            name: format!("{module}{name}"),
            words: words(definition, name, enumeration),
            marked: definition.iter().any(|it| it.contains("Secret: `Debug` doesn't show it")),
            generated: module.starts_with("generated::"),
        });
    }
}

/// The type that a line begins to implement `Debug` or `Display` for.
fn implemented(line: &str) -> Option<&str> {
    let (what, name) = line.trim_start().strip_prefix("impl")?.split_once(" for ")?;
    let shows = what.ends_with("Debug") || what.ends_with("Display");
    shows.then(|| name.split(['<', ' ', '{']).next()).flatten()
}

/// Whether a line defines an enumeration, and the name of what it defines.
fn defined(code: &str) -> Option<(bool, &str)> {
    let code = match code.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(' ')?.1,
        Some(rest) => rest.trim_start(),
        None => code,
    };
    let (enumeration, rest) = match (code.strip_prefix("struct "), code.strip_prefix("enum ")) {
        (Some(rest), _) => (false, rest),
        (_, Some(rest)) => (true, rest),
        _ => return None,
    };
    Some((enumeration, rest.split(['<', '(', ' ', ';', '{']).next().unwrap_or_default()))
}

/// What the members are made of.
fn words(definition: &[&str], name: &str, enumeration: bool) -> BTreeSet<String> {
    let mut kinds = String::new();
    for (number, line) in definition.iter().enumerate() {
        let code = line.trim_start();
        if code.starts_with("//") || code.starts_with("#[") {
            continue;
        }
        // Of a member, or a variant, what follows its name.
        let kind = if number == 0 {
            let start = code.find(name).map_or(0, |start| start + name.len());
            let rest = code.get(start..).unwrap_or_default();
            // What its type parameters are isn't known.
            rest.split_once('(').filter(|(between, _)| !between.contains('{')).map_or("", |(_, kind)| kind)
        } else if let Some((_, kind)) = code.split_once(": ") {
            kind
        } else if enumeration && let Some((_, kind)) = code.split_once('(') {
            kind
        } else {
            ""
        };
        kinds += &format!(" {}", kind.replace("&'static str", "StaticStr").replace("&'a ", ""));
    }
    let words = kinds.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[test]
fn the_source_is_read_as_it_is_written() {
    let mut found = Vec::new();
    let text = "#[derive(Clone, Debug)]\npub struct A {\n    /// b: C\n    pub b: Option<Secret>,\n    c: &'static str,\n}\n\
                #[derive(Clone)]\nstruct Unseen(String);\n#[derive(Debug)]\n#[non_exhaustive]\npub(crate) enum B {\n    Plain,\n    Text(String),\n}\n\
                struct C(Mutex<u32>);\nimpl fmt::Debug for C {\n}\n";
    types(text, "m::", &mut found);
    let found: BTreeMap<_, _> = found.iter().map(|it| (it.name.as_str(), it.words.iter().cloned().collect())).collect();
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let wanted = [
        ("m::A", words(&["Option", "Secret", "StaticStr"])),
        ("m::B", words(&["String"])),
        ("m::C", words(&["Mutex", "u32"])),
    ];
    assert_eq!(found, BTreeMap::from(wanted));
}
