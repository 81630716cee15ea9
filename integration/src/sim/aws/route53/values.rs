//! What the values of a record must look like, by type. Types that aren't here are taken as they are: NAPTR, PTR, DS,
//! TLSA, SSHFP, SVCB, HTTPS.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::names::normal;

/// All types that Route 53 has.
pub(super) const TYPES: &[&str] = &[
    "SOA", "A", "TXT", "NS", "CNAME", "MX", "NAPTR", "PTR", "SRV", "SPF", "AAAA", "CAA", "DS", "TLSA", "SSHFP", "SVCB",
    "HTTPS",
];

/// What is wrong with a value.
pub(super) fn fault(kind: &str, value: &str) -> Option<String> {
    let what = match kind {
        "A" if value.parse::<Ipv4Addr>().is_err() => "ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address)",
        "AAAA" if value.parse::<Ipv6Addr>().is_err() => {
            "AAAARRDATAIllegalIPv6Address (Value is not a valid IPv6 address)"
        }
        "CNAME" | "NS" | "PTR" => normal(value).err()?,
        "TXT" | "SPF" => text_fault(value)?,
        "MX" => fields_fault(value, 1)?,
        "SRV" => fields_fault(value, 3)?,
        "CAA" => caa_fault(value)?,
        _ => return None,
    };
    Some(format!("Invalid Resource Record: 'FATAL problem: {what} encountered with '{value}''"))
}

/// Quoted strings of 255 characters at most, with blanks between; 4,000 characters in all.
fn text_fault(value: &str) -> Option<&'static str> {
    const BAD: &str = "InvalidCharacterString (Value should be enclosed in quotation marks)";
    const LONG: &str = "CharacterStringTooLong (Value is too long)";
    if value.len() > 4000 {
        return Some(LONG);
    }
    let mut rest = value.trim();
    if rest.is_empty() {
        return Some(BAD);
    }
    while !rest.is_empty() {
        let Some(inner) = rest.strip_prefix('"') else { return Some(BAD) };
        let (mut length, mut end, mut escaped) = (0, None, false);
        for (at, letter) in inner.char_indices() {
            match letter {
                _ if escaped => escaped = false,
                '\\' => {
                    escaped = true;
                    continue;
                }
                '"' => {
                    end = Some(at);
                    break;
                }
                letter if !letter.is_ascii() => return Some("InvalidCharacterString (Value is not ASCII)"),
                _ => {}
            }
            length += 1;
        }
        if length > 255 {
            return Some(LONG);
        }
        let Some(after) = end.and_then(|end| inner.get(end + 1..)) else { return Some(BAD) };
        rest = after.trim_start();
        if !rest.is_empty() && rest.len() == after.len() {
            return Some(BAD);
        }
    }
    None
}

/// So many numbers up to 65535, then a name.
fn fields_fault(value: &str, numbers: usize) -> Option<&'static str> {
    const BAD: &str = "InvalidRRDATA (Value has the wrong fields)";
    let fields: Vec<&str> = value.split_whitespace().collect();
    match fields.split_last() {
        Some((name, rest)) if rest.len() == numbers && rest.iter().all(|field| field.parse::<u16>().is_ok()) => {
            if *name == "." { None } else { normal(name).err() }
        }
        _ => Some(BAD),
    }
}

fn caa_fault(value: &str) -> Option<&'static str> {
    const BAD: &str = "CAARRDATAInvalid (Value should be flags, tag and a quoted value)";
    let mut fields = value.splitn(3, ' ');
    let flags = fields.next().is_some_and(|flags| flags.parse::<u8>().is_ok());
    let tag = fields.next().is_some_and(|tag| !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_alphanumeric()));
    let quoted = fields.next().is_some_and(|text| text.len() >= 2 && text.starts_with('"') && text.ends_with('"'));
    if flags && tag && quoted { None } else { Some(BAD) }
}
