//! Times as people write them in the `ttl` annotation: whole seconds, or a duration in the syntax of Go.

/// A TTL is a 31-bit number (RFC 2181, 8).
const MAX: u128 = 2_147_483_647;

const SECOND: u128 = 1_000_000_000;

/// More digits than this in one number are nothing that anybody means, and would not fit.
const MAX_DIGITS: usize = 20;

/// The seconds in `60`, `90s`, `5m` or `1h30m`; `None` where it isn't such a time, or not a whole number of seconds
/// from 1 to 2147483647.
pub(super) fn seconds(text: &str) -> Option<u32> {
    let nanoseconds = match digits(text) {
        ("", _) => go_duration(text)?,
        (number, "") => whole(number)?.checked_mul(SECOND)?,
        _ => go_duration(text)?,
    };
    let seconds = nanoseconds / SECOND;
    let valid = nanoseconds % SECOND == 0 && (1..=MAX).contains(&seconds);
    valid.then(|| u32::try_from(seconds).ok()).flatten()
}

/// `1h30m`, `1.5m`, `1000ms`: numbers with units, as time.ParseDuration of Go reads them; in nanoseconds.
fn go_duration(text: &str) -> Option<u128> {
    let mut rest = text;
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (number, behind) = digits(rest);
        let (fraction, behind) = behind.strip_prefix('.').map_or(("", behind), digits);
        if number.is_empty() && fraction.is_empty() {
            return None;
        }
        let unit_end = behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at_checked(unit_end)?;
        let unit = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => SECOND,
            "m" => 60 * SECOND,
            "h" => 3600 * SECOND,
            _ => return None,
        };
        let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let parts = whole(fraction)?.checked_mul(unit)?.checked_div(scale)?;
        total = total.checked_add(whole(number)?.checked_mul(unit)?)?.checked_add(parts)?;
        rest = behind;
    }
    Some(total)
}

/// The digits at the start, and what is behind them.
fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn whole(digits: &str) -> Option<u128> {
    match digits.len() {
        0 => Some(0),
        1..=MAX_DIGITS => digits.parse().ok(),
        _ => None,
    }
}
