//! Quoting of what people wrote, for messages to people. Owns nothing else.

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
