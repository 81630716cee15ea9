//! Names of records: how they are written, compared and ordered.

use std::fmt::Write as _;
use std::sync::Arc;

/// What a record set is found by. Ordered as Route 53 lists: by the reversed labels of the name, then by type, then by
/// set identifier.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey(Arc<Parts>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Parts {
    order: String,
    kind: String,
    set: Option<String>,
    name: String,
}

impl RecordKey {
    /// The key of a record; `None` when the name is none.
    pub fn new(name: &str, kind: &str, set: Option<&str>) -> Option<RecordKey> {
        let name = normal(name).ok()?;
        Some(RecordKey::of_normal(name, kind, set))
    }

    pub(crate) fn of_normal(name: String, kind: &str, set: Option<&str>) -> RecordKey {
        RecordKey(Arc::new(Parts { order: reversed(&name), kind: kind.to_owned(), set: set.map(str::to_owned), name }))
    }

    /// The name as Route 53 writes it: lower case, `\052` for `*`, with the trailing dot.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The name as people write it: `*` for `\052`.
    pub fn plain_name(&self) -> String {
        self.0.name.replace("\\052", "*")
    }

    /// Its type.
    pub fn kind(&self) -> &str {
        &self.0.kind
    }

    /// Its set identifier.
    pub fn set(&self) -> Option<&str> {
        self.0.set.as_deref()
    }
}

fn reversed(name: &str) -> String {
    let mut labels: Vec<&str> = name.trim_end_matches('.').split('.').collect();
    labels.reverse();
    labels.join(".") + "."
}

/// A name in Route 53's own form: lower case, whatever isn't `a-z0-9-_` as three octal digits, with the trailing dot.
///
/// # Errors
/// What is wrong with it, in Route 53's words.
pub(crate) fn normal(name: &str) -> Result<String, &'static str> {
    let mut out = String::with_capacity(name.len() + 1);
    let mut bytes = name.bytes();
    let (mut label, mut total) = (0, 0);
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'.' => {
                if label == 0 {
                    return Err("DomainLabelEmpty (Domain label is empty)");
                }
                (label, total) = (0, total + 1);
                out.push('.');
                continue;
            }
            b'\\' => {
                let digits = [bytes.next(), bytes.next(), bytes.next()];
                let number = digits.into_iter().try_fold(0_u32, |number, digit| {
                    digit
                        .filter(|digit| (b'0'..=b'7').contains(digit))
                        .map(|digit| number * 8 + u32::from(digit - b'0'))
                });
                match number.and_then(|number| u8::try_from(number).ok()) {
                    Some(byte) => byte,
                    None => return Err("InvalidEscapeSequence (Not a three-digit octal escape)"),
                }
            }
            byte => byte,
        };
        (label, total) = (label + 1, total + 1);
        if label > 63 {
            return Err("DomainLabelTooLong (Domain label is too long)");
        }
        match byte.to_ascii_lowercase() {
            plain @ (b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_') => out.push(plain.into()),
            b' '..=b'~' | 0x80.. | 0..=0x1f | 0x7f => {
                // Writing to a String doesn't fail.
                let _ = write!(out, "\\{byte:03o}");
            }
        }
    }
    if label > 0 {
        out.push('.');
        total += 1;
    }
    if total > 255 {
        return Err("DomainNameTooLong (Domain name is too long)");
    }
    if out.is_empty() || out == "." {
        return Err("DomainNameEmpty (Domain name is empty)");
    }
    Ok(out)
}

/// Whether a name in normal form lies in a zone.
pub(crate) fn is_within(name: &str, zone: &str) -> bool {
    name == zone || name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.'))
}
