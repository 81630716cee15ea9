//! Names of the model turned into names of Rust.

/// The words of a name: `DNSName` is `DNS` and `Name`, `shutting-down` is `shutting` and `down`.
fn words(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let mut words: Vec<String> = Vec::new();
    let mut previous = None;
    for (place, &letter) in letters.iter().enumerate() {
        if !letter.is_alphanumeric() {
            previous = None;
            continue;
        }
        let next_is_lower = letters.get(place + 1).is_some_and(|next| next.is_lowercase());
        let starts = match previous {
            None => true,
            Some(before) => letter.is_uppercase() && (!char::is_uppercase(before) || next_is_lower),
        };
        if starts {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(letter);
        }
        previous = Some(letter);
    }
    words
}

/// Words that can be the name of a member but have a meaning of their own in Rust.
const KEYWORDS: [&str; 24] = [
    "abstract", "as", "async", "box", "const", "else", "enum", "final", "fn", "for", "if", "in", "let", "loop",
    "match", "move", "ref", "return", "static", "type", "use", "virtual", "where", "yield",
];

/// The name of a field.
pub fn field(name: &str) -> String {
    let snake = words(name).join("_").to_lowercase();
    if KEYWORDS.contains(&snake.as_str()) { format!("r#{snake}") } else { snake }
}

/// The name of an enumeration's variant. `Other` is taken: it holds the values that aren't known.
pub fn variant(value: &str) -> String {
    let name: String = words(value)
        .iter()
        .map(|word| {
            let mut letters = word.chars();
            let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
            first + &letters.as_str().to_lowercase()
        })
        .collect();
    if name == "Other" { "NamedOther".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::{field, variant};

    #[test]
    fn names_are_split_into_words() {
        for (name, wanted) in [
            ("InstanceIds", "instance_ids"),
            ("DNSName", "dns_name"),
            ("TTL", "ttl"),
            ("Ipv6Ranges", "ipv6_ranges"),
            ("CidrIpv4", "cidr_ipv4"),
            ("AWSRegion", "aws_region"),
            ("arn", "arn"),
            ("Type", "r#type"),
            ("Match", "r#match"),
        ] {
            assert_eq!(field(name), wanted);
        }
        for (value, wanted) in [
            ("shutting-down", "ShuttingDown"),
            ("AAAA", "Aaaa"),
            ("INSYNC", "Insync"),
            ("groupSet", "GroupSet"),
            ("ENABLE_FAILED", "EnableFailed"),
            ("other", "NamedOther"),
        ] {
            assert_eq!(variant(value), wanted);
        }
    }
}
