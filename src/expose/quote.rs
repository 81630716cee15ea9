//! Quoting and shortening, for messages to people. Owns nothing else.

/// At most this many characters of a value are repeated in a message: Events hold 1,024 bytes, conditions are read
/// in a terminal.
const SHOWN: usize = 100;

/// The value in backticks, cut after 100 characters; control characters are replaced.
pub(super) fn quoted(value: &str) -> String {
    let mut shown: String = value.chars().take(SHOWN).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if value.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// At most `limit` bytes of `text`, cut between characters.
pub(crate) fn excerpt(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit.saturating_sub("…".len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", text.get(..end).unwrap_or_default())
}
