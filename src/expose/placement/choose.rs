//! The choice among nodes that would all do: spread over zones, then over nodes, then the oldest, then by name.

use std::collections::{BTreeMap, VecDeque};

use super::super::nodes::Alive;

/// Adds nodes of `candidates` to `chosen` until there are `max`: each time one of the zone with the fewest chosen
/// nodes, of these the one with the least `load`, the oldest, the first by name.
pub(super) fn spread<'a>(
    chosen: &mut Vec<&'a Alive<'a>>,
    mut candidates: Vec<&'a Alive<'a>>,
    max: usize,
    load: impl Fn(&Alive<'_>) -> usize,
) {
    let rank = |alive: &Alive<'a>| (load(alive), alive.node.created, alive.node.name.as_str());
    candidates.sort_by(|a, b| rank(a).cmp(&rank(b)));
    let mut zones: BTreeMap<&str, VecDeque<&Alive<'a>>> = BTreeMap::new();
    for alive in candidates {
        zones.entry(&alive.instance.zone).or_default().push_back(alive);
    }
    let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
    for alive in chosen.iter() {
        *taken.entry(&alive.instance.zone).or_default() += 1;
    }
    while chosen.len() < max {
        let heads = zones.iter().filter_map(|(zone, queue)| Some((*zone, *queue.front()?)));
        let best = heads.min_by_key(|(zone, head)| (taken.get(zone).copied().unwrap_or(0), rank(head)));
        let Some((zone, head)) = best else { return };
        chosen.push(head);
        *taken.entry(zone).or_default() += 1;
        if let Some(queue) = zones.get_mut(zone) {
            queue.pop_front();
        }
    }
}
