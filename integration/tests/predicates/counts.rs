//! What a history with a crash may do more than one without.

use integration::sim::aws::state::Count;
use integration::sim::check::counts::{Counts, exceeds, storms};

use crate::town::history;

fn counts(creates: u32, deletes: u32, writes: usize) -> Counts {
    Counts { things: [("record quake.example.com. A".to_owned(), Count { creates, deletes })].into(), writes, told: 0 }
}

#[test]
fn nothing_may_be_made_or_taken_away_more_than_once_more() {
    let usual = counts(1, 1, 0);
    assert!(exceeds(&usual, &counts(2, 2, 0)).is_empty());
    assert!(exceeds(&usual, &counts(0, 0, 0)).is_empty());
    assert_eq!(exceeds(&usual, &counts(3, 1, 0)).len(), 1);
    assert_eq!(exceeds(&usual, &counts(1, 3, 0)).len(), 1);
    assert_eq!(exceeds(&Counts::default(), &counts(2, 2, 0)).len(), 2);
}

#[test]
fn each_fault_may_cost_three_writes() {
    let usual = counts(0, 0, 10);
    assert!(storms(&usual, &counts(0, 0, 13), 1).is_empty());
    assert!(!storms(&usual, &counts(0, 0, 14), 1).is_empty());
    assert!(storms(&usual, &counts(0, 0, 16), 2).is_empty());
    assert!(!storms(&usual, &counts(0, 0, 11), 0).is_empty());
    let told = |told| Counts { told, ..usual.clone() };
    assert!(storms(&usual, &told(12), 1).is_empty());
    assert!(!storms(&usual, &told(13), 1).is_empty());
}

#[test]
fn a_thing_is_known_by_its_name_on_all_nodes_together() {
    history(async |town| {
        town.asks("quake", 6315, &[]);
        town.serve("quake", 6315, &["n1", "n2"]);
        let before = town.world.counts();
        let count = |what: &str, counts: &Counts| {
            let found: Vec<_> = counts.things.iter().filter(|(name, _)| name.contains(what)).collect();
            assert_eq!(found.len(), 1, "{what}: {:?}", counts.things);
            *found[0].1
        };
        assert_eq!(count("rule ", &before), Count { creates: 2, deletes: 0 });
        assert_eq!(count("group ", &before).creates, 2);
        assert_eq!(count("addresses of games/quake", &before), Count { creates: 2, deletes: 0 });
        town.publish("quake", &["n2"]);
        town.close("n1", 6315);
        town.list("quake", &["n2"]);
        let since = town.world.counts().since(&before);
        assert_eq!(count("rule ", &since), Count { creates: 0, deletes: 1 });
        assert_eq!(count("addresses of games/quake", &since), Count { creates: 0, deletes: 1 });
        assert_eq!(count(" A", &since), Count { creates: 1, deletes: 1 });
    });
}
