//! The table.

/// What a figure counts.
#[derive(Clone, Copy, Debug)]
pub enum Unit {
    Seconds,
    Bytes,
    Number,
}

/// A figure of both sides, the smaller the better.
#[derive(Clone, Debug)]
pub struct Line {
    pub what: String,
    pub unit: Unit,
    pub ours: f64,
    pub sdk: f64,
    /// How many times the SDK's figure should be at least of ours.
    pub aim: Option<f64>,
}

fn shown(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Seconds if value >= 1.0 => format!("{value:.1} s"),
        Unit::Seconds if value >= 1e-3 => format!("{:.2} ms", value * 1e3),
        Unit::Seconds => format!("{:.2} us", value * 1e6),
        Unit::Bytes if value >= 1024.0 * 1024.0 => format!("{:.2} MiB", value / 1024.0 / 1024.0),
        Unit::Bytes => format!("{:.1} KiB", value / 1024.0),
        Unit::Number => format!("{value:.0}"),
    }
}

/// Prints the lines, and whether each is what was aimed at.
pub fn print(lines: &[Line]) {
    println!("{:<52} {:>11} {:>11} {:>11}  {:>6}", "", "aws-api", "SDK", "ratio", "aim");
    for Line { what, unit, ours, sdk, aim } in lines {
        let ratio = sdk / ours;
        let (aim, verdict) = match aim {
            Some(aim) => (format!("1 : {aim}"), if ratio >= *aim { "PASS" } else { "SHORT" }),
            None => (String::new(), ""),
        };
        let line = format!(
            "{what:<52} {:>11} {:>11} {:>11}  {aim:>6}  {verdict}",
            shown(*unit, *ours),
            shown(*unit, *sdk),
            format!("1 : {ratio:.1}"),
        );
        println!("{}", line.trim_end());
    }
}
