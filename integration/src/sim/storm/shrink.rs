//! Makes a failing history shorter while it still breaks the same rule: delta debugging over what happens (Zeller and
//! Hildebrandt: "Simplifying and Isolating Failure-Inducing Input").

use super::{History, Telling, tell};

/// The shortest history that was found, and what came of it. `progress` is told how many happenings are left.
pub fn shrink(history: &History, rule: &str, tries: usize, mut progress: impl FnMut(usize)) -> (History, Telling) {
    let mut best = history.clone();
    let mut kept = best.kept();
    let mut left = tries;
    let fails = |history: &History, left: &mut usize| -> bool {
        *left = left.saturating_sub(1);
        tell(history, false).broken.iter().any(|one| one.rule == rule)
    };
    let mut parts = 2;
    while kept.len() >= 2 && left > 0 {
        let size = kept.len().div_ceil(parts);
        let mut shorter = None;
        for at in 0..parts {
            let without: Vec<usize> =
                kept.iter().enumerate().filter(|(n, _)| n / size != at).map(|(_, number)| *number).collect();
            if without.len() == kept.len() || left == 0 {
                continue;
            }
            let candidate = history.clone().keeping(&without);
            if fails(&candidate, &mut left) {
                shorter = Some((candidate, without));
                break;
            }
        }
        match shorter {
            Some((candidate, without)) => {
                progress(without.len());
                (best, kept) = (candidate, without);
                parts = parts.saturating_sub(1).max(2);
            }
            None if size <= 1 => break,
            None => parts = (parts * 2).min(kept.len()),
        }
    }
    let telling = tell(&best, true);
    (best, telling)
}
