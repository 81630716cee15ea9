//! L6: end states differ where the daemon has done something else, and only there.

use integration::sim::check::ends::EndState;

use crate::town::{Town, history};

fn end(tell: impl AsyncFnOnce(&mut Town)) -> EndState {
    let mut end = EndState::default();
    history(async |town| {
        town.asks("quake", 6315, &[("maxips", "2")]);
        town.asks("doom", 6316, &[("maxips", "1")]);
        tell(town).await;
        end = town.world.end_state();
    });
    end
}

type Deed = fn(&Town);

fn served() -> EndState {
    end(async |town| town.serve("quake", 6315, &["n1", "n2"]))
}

#[test]
fn other_nodes_and_another_way_there_are_the_same_end() {
    assert_eq!(served(), end(async |town| town.serve("quake", 6315, &["n3", "n2"])));
    let detour = end(async |town| {
        town.serve("quake", 6315, &["n1", "n2"]);
        town.pass(10).await;
        town.list("quake", &["n2"]);
        town.publish("quake", &["n2"]);
        town.close("n1", 6315);
        town.pass(10).await;
        town.open("n1", 6315);
        town.list("quake", &["n1", "n2"]);
        town.publish("quake", &["n1", "n2"]);
    });
    assert_eq!(served().differences(&detour), Vec::<String>::new());
    assert_eq!(served(), detour);
}

#[test]
fn each_thing_that_is_missing_or_left_shows() {
    let others: [(&str, Deed); 7] = [
        ("fewer nodes", |town| town.serve("quake", 6315, &["n1"])),
        ("nothing", |_| {}),
        ("not published", |town| {
            town.open("n1", 6315);
            town.open("n2", 6315);
            town.list("quake", &["n1", "n2"]);
        }),
        ("a rule too many", |town| {
            town.serve("quake", 6315, &["n1", "n2"]);
            town.open("n1", 9999);
        }),
        ("a group too many", |town| {
            town.serve("quake", 6315, &["n1", "n2"]);
            town.open("n3", 9999);
            town.close("n3", 9999);
        }),
        ("a name too many", |town| {
            town.serve("quake", 6315, &["n1", "n2"]);
            town.list("doom", &["n1"]);
        }),
        ("closed", |town| {
            town.serve("quake", 6315, &["n1", "n2"]);
            town.close("n2", 6315);
        }),
    ];
    for (what, tell) in others {
        let other = end(async |town| tell(town));
        assert_ne!(served(), other, "{what}");
        assert!(!served().differences(&other).is_empty(), "{what}");
    }
}

#[test]
fn one_service_can_be_left_out() {
    let other = end(async |town| {
        town.serve("quake", 6315, &["n1", "n2"]);
        town.serve("doom", 6316, &["n1"]);
    });
    assert_ne!(served(), other);
    assert_eq!(served().without("games/doom"), other.without("games/doom"));
}
