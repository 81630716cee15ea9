//! The demo as a person starts it: on the simulators, with no other program in reach than those of any system.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Output};

use integration::children::find_program;
use integration::{Context, Result};

/// Runs the demo with no Go, no Python, no cargo and nothing built before in reach.
fn demo(name: &str, arguments: &[&str]) -> Result<Output> {
    demo_of(integration::daemon::binary_like_us()?, name, arguments)
}

/// The same with another program in the daemon's place.
fn demo_of(daemon: PathBuf, name: &str, arguments: &[&str]) -> Result<Output> {
    let place = Place::new(name)?;
    let programs = place.0.join("bin");
    std::fs::create_dir_all(&programs)?;
    for program in ["sh", "kill", "setpriv"] {
        if let Some(path) = find_program(program) {
            std::os::unix::fs::symlink(path, programs.join(program))?;
        }
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command.args(arguments).env_clear().env("PATH", programs).env("HOME", &place.0);
    command.env("EXTERNAL_IPS_BIN", daemon).env("EXTERNAL_IPS_CACHE", place.0.join("cache"));
    Ok(command.output()?)
}

/// A directory of the test's own.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Result<Place> {
        let path = std::env::temp_dir().join(format!("external-ips-demo-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Place(path))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The table's block of a Service: what each of its lines says, by the first word.
struct Block(Vec<(String, String)>);

impl Block {
    /// All blocks of a Service, in the order in which they were shown.
    fn all(shown: &str, service: &str) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut within = false;
        for line in shown.lines() {
            if let Some(name) = line.strip_prefix("  Service ") {
                within = name == service;
                blocks.extend(within.then(|| Block(Vec::new())));
            } else if let Some((what, value)) =
                line.strip_prefix("    ").filter(|_| within).and_then(|line| line.trim().split_once(' '))
            {
                blocks.last_mut().unwrap().0.push((what.to_owned(), value.trim().to_owned()));
            } else {
                within = false;
            }
        }
        blocks
    }

    fn of<'a>(&'a self, what: &str) -> Vec<&'a str> {
        self.0.iter().filter(|(name, _)| name == what).map(|(_, value)| value.as_str()).collect()
    }

    /// The word after another one, in each line of a kind.
    fn after(&self, what: &str, word: &str) -> BTreeSet<&str> {
        let lines = self.of(what).into_iter();
        lines.filter_map(|line| line.split_whitespace().skip_while(|one| *one != word).nth(1)).collect()
    }
}

/// What the checker says at the end: changes and requests judged, violations.
fn verdict(shown: &str) -> Result<(u64, u64, u64)> {
    let line = shown.lines().rfind(|line| line.starts_with("checker: ")).context("the checker's line")?;
    let numbers: Vec<u64> =
        line.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect();
    let [changes, requests, violations] = numbers[..] else { panic!("{line}") };
    Ok((changes, requests, violations))
}

#[test]
fn the_story_is_told_without_any_other_program_and_the_table_shows_it() -> Result<()> {
    let output = demo("story", &["--once"])?;
    let shown = text(&output);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    for leader in ["a", "b"] {
        assert!(shown.contains(&format!("  {leader}  the Lease: leads now")), "{shown}");
    }
    let game = Block::all(&shown, "demo/udp-server");
    let turn = Block::all(&shown, "demo/turn");
    assert_eq!((game.len(), turn.len()), (2, 2), "{shown}");
    for (block, nodes, rules) in [
        (&game[0], 2, vec!["6315/UDP"]),
        (&game[1], 3, vec!["6316/UDP"]),
        (&turn[0], 3, vec!["3478/TCP", "3478/UDP"]),
        (&turn[1], 3, vec!["3478/TCP", "3478/UDP"]),
    ] {
        let (public, private) = (block.after("node", "public"), block.after("node", "private"));
        assert_eq!(public.len(), nodes, "{shown}");
        let published: BTreeSet<&str> = block.of("externalIPs")[0].split(' ').collect();
        assert_eq!(published, private, "{shown}");
        let listed: BTreeSet<&str> = block
            .of("record")
            .iter()
            .filter_map(|line| line.split_once(" A "))
            .flat_map(|(_, all)| all.split(' '))
            .collect();
        assert_eq!(listed, public, "{shown}");
        let open: Vec<&str> = block.of("rule").iter().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(open, rules.repeat(nodes), "{shown}");
        assert!(block.of("Ready")[0].starts_with("True (Synced)"), "{shown}");
    }
    let (changes, requests, violations) = verdict(&shown)?;
    assert!(changes > 50 && requests > 50 && violations == 0, "{shown}");
    assert!(shown.trim_end().ends_with(" 0 violations"), "{shown}");
    Ok(())
}

#[test]
fn under_random_faults_no_rule_is_broken_and_everything_comes_to_rest() -> Result<()> {
    let output = demo("chaos", &["--chaos", "--once", "--seconds", "10", "--seed", "1"])?;
    let shown = text(&output);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    let met = shown.lines().rfind(|line| line.contains(" faults met so far")).context("the board")?;
    let met = met.split(", ").find_map(|part| part.strip_suffix(" faults met so far")).context("faults")?;
    assert!(met.parse::<u64>()? > 0, "{shown}");
    // The last board: each Service is served, listed where it is published, and open there.
    let board: Vec<&str> = shown.lines().collect();
    let heading = board.iter().rposition(|line| line.starts_with("  SERVICE ")).context("the table")?;
    let rows: Vec<&&str> = board[heading + 1..].iter().take_while(|line| line.starts_with("  chaos/")).collect();
    assert_eq!(rows.len(), 5, "{shown}");
    for row in rows {
        let columns: Vec<&str> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        let [_, _, listed, nodes, open, ready] = columns[..] else { panic!("{row}") };
        let count = nodes.split(' ').count();
        assert_eq!((listed.split(' ').count(), open), (count, format!("{count}/{count}").as_str()), "{row}\n{shown}");
        assert!(ready.starts_with("True"), "{row}\n{shown}");
    }
    let (changes, requests, violations) = verdict(&shown)?;
    assert!(changes > 50 && requests > 50 && violations == 0, "{shown}");
    Ok(())
}

#[test]
fn a_replica_that_ends_by_itself_is_told_at_once_with_what_it_wrote() -> Result<()> {
    let program = Place::new("program")?;
    let daemon = program.0.join("daemon");
    std::fs::write(&daemon, "#!/bin/sh\necho no way\nexit 3\n")?;
    std::fs::set_permissions(&daemon, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let output = demo_of(daemon, "ends", &["--once"])?;
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("the replica a ended by itself (exit status: 3)"), "{}", text(&output));
    assert!(text(&output).contains("no way"), "{}", text(&output));
    Ok(())
}

#[test]
fn what_can_t_be_is_refused_with_what_to_do() -> Result<()> {
    for (arguments, told) in [
        (&["--real", "--chaos"][..], "cannot be used with"),
        (&["--seed", "1"], "--chaos"),
        (&["--seconds", "5"], "--chaos"),
        (&["--chaos", "--seconds", "0"], "1..=86400"),
    ] {
        let output = demo("refused", arguments)?;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output));
        assert!(text(&output).contains(told), "{arguments:?}: {}", text(&output));
    }
    Ok(())
}
