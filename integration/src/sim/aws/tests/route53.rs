//! Route 53's rules.

use aws_api::route53::{self, ChangeAction, RRType};

use super::kit::{Kit, change};
use crate::sim::event::{Actor, Creator};

#[tokio::test(start_paused = true)]
async fn a_batch_is_a_compare_and_swap() {
    let kit = Kit::new();
    let create = change(ChangeAction::Create, "*.example.com.", RRType::A, &["192.0.2.1", "192.0.2.2"]);
    kit.batch(vec![create.clone()]).await.unwrap();
    assert_eq!(kit.code(kit.batch(vec![create]).await), "InvalidChangeBatch");
    let record = kit.aws.look(|state| state.record(&kit.zone, "*.example.com", "A").cloned()).unwrap();
    assert_eq!((record.creator, record.ttl), (Creator::Us, Some(60)));
    kit.aws.put_record(Actor::Person, &kit.zone, "*.example.com", "A", 60, &["192.0.2.9"]).unwrap();
    let swap = vec![
        change(ChangeAction::Delete, "\\052.example.com", RRType::A, &["192.0.2.2", "192.0.2.1"]),
        change(ChangeAction::Create, "*.example.com.", RRType::A, &["192.0.2.3"]),
    ];
    assert_eq!(kit.code(kit.batch(swap).await), "InvalidChangeBatch");
    let swap = vec![
        change(ChangeAction::Delete, "\\052.EXAMPLE.com", RRType::A, &["192.0.2.9"]),
        change(ChangeAction::Create, "*.example.com.", RRType::A, &["192.0.2.3"]),
    ];
    kit.batch(swap).await.unwrap();
    let record = kit.aws.look(|state| state.record(&kit.zone, "*.example.com", "A").cloned()).unwrap();
    assert_eq!(record.values, ["192.0.2.3"]);
}

#[tokio::test(start_paused = true)]
async fn records_are_listed_by_reversed_names_in_pages() {
    let kit = Kit::with(|options| options.page = Some(2));
    for name in ["b.example.com", "a.z.example.com", "*.example.com", "a.b.example.com"] {
        kit.aws.put_record(Actor::Person, &kit.zone, name, "A", 60, &["192.0.2.1"]).unwrap();
    }
    let list = route53::ListResourceRecordSets { hosted_zone_id: kit.zone.clone(), ..Default::default() };
    let pages = kit.client.pages(list).await.unwrap();
    let names: Vec<String> =
        pages.iter().flat_map(|page| &page.resource_record_sets).map(|set| set.name.clone()).collect();
    assert_eq!(
        names,
        [
            "example.com.",
            "example.com.",
            "\\052.example.com.",
            "b.example.com.",
            "a.b.example.com.",
            "a.z.example.com."
        ]
    );
    assert_eq!(pages.len(), 3);
}
