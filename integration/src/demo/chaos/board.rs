//! The screen: what broke, what happened, what holds, who leads, what the checker says.

use std::time::Duration;

use super::{Play, REPLICAS};
use crate::demo::simulated::verdict;
use crate::sim::event::Seam;

/// Faults of so long are shown.
const LATELY: Duration = Duration::from_secs(10);
/// Things that have happened are shown, the last ones.
pub(super) const TOLD: usize = 5;
/// Kinds of faults are shown for each of both.
const KINDS: usize = 6;

/// The lines. `table`: the Services.
pub(super) fn lines(play: &Play, table: &[String]) -> Vec<String> {
    let now = play.now();
    let began = play.began.unwrap_or(now);
    let since = |at: Duration| at.saturating_sub(began).as_secs_f64();
    let (seed, met) = (play.chaos.seed, play.world.tally.faults());
    let state = match play.over {
        true => format!("coming to rest, {} things to be done", play.world.flaws().len()),
        false => "under random faults".to_owned(),
    };
    let mut lines =
        vec![format!("{:>6.1} s  {state}, seed {seed}, {met} faults met so far", since(now)), String::new()];

    lines.push(format!("broke in the last {} s", LATELY.as_secs()));
    let lately = play.world.tally.met_since(now.saturating_sub(LATELY));
    for (seam, name) in [(Seam::Aws, "AWS"), (Seam::Kube, "Kubernetes")] {
        let all: Vec<_> = lately.iter().filter(|met| met.seam == seam).collect();
        let mut shown: Vec<String> = all.iter().take(KINDS).map(|met| format!("{} {}", met.what, met.count)).collect();
        let more: usize = all.iter().skip(KINDS).map(|met| met.count).sum();
        shown.extend((more > 0).then(|| format!("others {more}")));
        let shown = if shown.is_empty() { "-".to_owned() } else { shown.join(", ") };
        lines.push(format!("  {name:<12}{shown}"));
    }
    lines.push("happened".to_owned());
    lines.extend(play.told.iter().map(|(at, what)| format!("{:>6.1} s  {what}", since(*at))));
    lines.extend((play.told.len()..TOLD).map(|_| String::new()));
    lines.push("holds".to_owned());
    lines.extend_from_slice(table);
    let leader = match play.troupe.leader(&play.world) {
        Some(name) => name.to_owned(),
        None => match play.world.holder().split('_').next() {
            Some(gone) if !gone.is_empty() => format!("nobody, until the Lease of {gone} has run out"),
            _ => "nobody".to_owned(),
        },
    };
    let names = play.troupe.names().join(" ");
    lines.push(format!("leader: {leader}; {} of {REPLICAS} replicas run: {names}", play.troupe.living()));
    lines.push(verdict(&play.world).0);
    lines
}
