#![allow(clippy::unwrap_used)]

use super::*;
use crate::metrics::Metrics;

const STAT: &str = "7 (ex) t) ernal) S 1 7 7 0 -1 4194560 1000 0 0 0 250 50 0 0 20 0 5 0 12345 1000000 500 1";

#[test]
fn the_accounts_of_a_process_are_read_whatever_its_command_is_called() {
    let stats = parse_process(STAT, "Name:\tx\nVmRSS:\t    2048 kB\n", "cpu 1 2\nbtime 1700000000\n", 9).unwrap();
    let expected =
        ProcessStats { cpu_seconds: 3.0, resident_bytes: 2 << 20, open_fds: 9, start_seconds: 1_700_000_123.45 };
    assert_eq!(stats, expected);
}

#[test]
fn accounts_that_are_not_as_documented_are_left_out() {
    for (stat, status, boot) in [
        ("", "VmRSS: 1 kB", "btime 1"),
        ("7 (x) S 1", "VmRSS: 1 kB", "btime 1"),
        (STAT, "", "btime 1"),
        (STAT, "VmRSS: x", "btime 1"),
        (STAT, "VmRSS: 1 kB", ""),
    ] {
        assert_eq!(parse_process(stat, status, boot, 1), None);
    }
    let metrics = Metrics::default().with_process(|| None);
    assert!(!metrics.render(None).1.contains("process_"));
}
