//! What must not be seen: an UPSERT, a secret.

use std::time::Duration;

use integration::sim::event::{Actor, Call, Event, Seam};
use integration::sim::world::{NAMESPACE, SECRET};

use crate::town::{US, history};

#[test]
fn nobody_overwrites_a_record_whatever_it_is() {
    let call = |actor, target: &str| {
        let operation = "route53:ChangeResourceRecordSets".to_owned();
        Event::Called(Call { number: 1, actor, seam: Seam::Aws, operation, target: target.to_owned(), mutates: true })
    };
    history(async |town| {
        let see = |event| town.world.checker.see(Duration::from_secs(1), &event);
        see(call(Actor::Person, "Z1: UPSERT A a.example.com. 10 [198.51.100.1]"));
        see(call(US, "Z1: CREATE A a.example.com. 10 [198.51.100.1]"));
        assert!(!town.breaks("S4"));
        see(call(US, "Z1: CREATE A b.example.com. 10 [198.51.100.1], UPSERT A a.example.com. 10 [198.51.100.1]"));
        assert!(town.breaks("S4"));
    });
}

#[test]
fn no_secret_is_written_where_anybody_may_read_it() {
    history(async |town| {
        town.asks("a", 5000, &[]);
        town.world.annotate("a", &[("assigned", Some("10.0.0.1"))]).unwrap();
        assert!(!town.breaks("S12"));
        let hand = town.world.kube.by(US).as_manager("external-ips");
        hand.annotate(NAMESPACE, "a", &[("external-ips.alpha.openfresh.github.io/assigned", Some(SECRET))]).unwrap();
        assert!(town.breaks("S12"));
    });
}
