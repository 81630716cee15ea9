//! Rules for names, labels and addresses, with the API server's words.

use std::net::IpAddr;

use serde_json::Value;

use crate::sim::kube::status::Cause;

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start \
                     and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation \
                     is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
                         and must start and end with an alphanumeric character (e.g. 'example.com', regex used for \
                         validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

/// Lower case letters, digits and dashes, at most 63.
pub fn label(field: &str, name: &str) -> Option<Cause> {
    let bytes = name.as_bytes();
    let inner = bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-');
    let ends = [bytes.first(), bytes.last()].into_iter().flatten().all(u8::is_ascii_alphanumeric);
    let why = if name.len() > 63 {
        "must be no more than 63 characters"
    } else if name.contains('.') {
        "must not contain dots"
    } else if !inner || !ends || bytes.is_empty() {
        LABEL
    } else {
        return None;
    };
    Some(Cause::invalid(field, &name.into(), why))
}

/// Labels with dots between them, at most 253.
pub fn subdomain(field: &str, name: &str) -> Option<Cause> {
    let fits = name.len() <= 253 && name.split('.').all(|part| label(field, part).is_none() || part.len() > 63);
    if name.len() > 253 {
        return Some(Cause::invalid(field, &name.into(), "must be no more than 253 characters"));
    }
    (!fits).then(|| Cause::invalid(field, &name.into(), SUBDOMAIN))
}

/// What is wrong with the name, labels and annotations of an object.
pub fn metadata(value: &Value, name_rule: fn(&str, &str) -> Option<Cause>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let meta = &value["metadata"];
    let name = meta["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
    } else {
        causes.extend(name_rule("metadata.name", name));
    }
    for (key, value) in meta["labels"].as_object().into_iter().flatten() {
        causes.extend(qualified_name("metadata.labels", key));
        causes.extend(label_value("metadata.labels", value));
    }
    let annotations = meta["annotations"].as_object();
    let mut size = 0;
    for (key, value) in annotations.into_iter().flatten() {
        causes.extend(qualified_name("metadata.annotations", &key.to_lowercase()));
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > 256 * 1024 {
        let message = "may not be more than 262144 bytes".to_owned();
        causes.push(Cause { reason: "FieldValueTooLong", field: "metadata.annotations".into(), message });
    }
    causes
}

fn word(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()].into_iter().flatten().all(u8::is_ascii_alphanumeric);
    bytes.len() <= 63 && ends && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

fn qualified_name(field: &str, key: &str) -> Option<Cause> {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let fits = !name.is_empty() && word(name) && prefix.is_none_or(|prefix| subdomain(field, prefix).is_none());
    (!fits).then(|| {
        let why = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                   alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
                   '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
        Cause::invalid(field, &key.into(), why)
    })
}

fn label_value(field: &str, value: &Value) -> Option<Cause> {
    (!word(value.as_str().unwrap_or_default())).then(|| {
        let why = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and \
                   must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', \
                   regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
        Cause::invalid(field, value, why)
    })
}

/// An address that packets may be sent to.
pub fn endpoint_address(field: &str, text: &str) -> Option<Cause> {
    let why = match text.parse::<IpAddr>() {
        Err(_) => "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
        Ok(ip) if ip.is_unspecified() => "may not be unspecified (0.0.0.0)",
        Ok(ip) if ip.is_loopback() => "may not be in the loopback range (127.0.0.0/8, ::1/128)",
        Ok(ip) if link_local(ip) => "may not be in the link-local range (169.254.0.0/16, fe80::/10)",
        Ok(ip) if local_multicast(ip) => "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",
        Ok(_) => return None,
    };
    Some(Cause::invalid(field, &text.into(), why))
}

fn link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

fn local_multicast(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.octets().starts_with(&[224, 0, 0]),
        IpAddr::V6(ip) => ip.segments().first() == Some(&0xff02),
    }
}

/// A range of addresses.
pub fn range(field: &str, text: &str) -> Option<Cause> {
    let fits = text.split_once('/').is_some_and(|(address, bits)| {
        let longest = match address.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => 32,
            Ok(IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        bits.parse::<u8>().is_ok_and(|bits| bits <= longest)
    });
    let why = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
    (!fits).then(|| Cause::invalid(field, &text.into(), why))
}
