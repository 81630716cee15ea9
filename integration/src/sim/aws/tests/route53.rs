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

#[tokio::test(start_paused = true)]
async fn bad_records_are_refused_and_nothing_of_their_batch_happens() {
    let kit = Kit::with(|options| options.throttling = false);
    kit.aws.set_policy(super::kit::US, super::super::Policy::anything());
    let long = format!("{}.example.com", "x".repeat(64));
    let quoted = format!("\"{}\"", "x".repeat(256));
    let a = "a.example.com";
    let bad = [
        (a, RRType::A, vec!["192.0.2.256"]),
        (a, RRType::A, vec!["2001:db8::1"]),
        (a, RRType::Aaaa, vec!["192.0.2.1"]),
        (a, RRType::A, vec!["192.0.2.1", "192.0.2.1"]),
        (a, RRType::A, vec![]),
        (a, RRType::Txt, vec!["unquoted"]),
        (a, RRType::Txt, vec![quoted.as_str()]),
        (a, RRType::Txt, vec!["\"a\"\"b\""]),
        (a, RRType::Cname, vec!["b.", "c."]),
        (a, RRType::Mx, vec!["mail.example.com"]),
        (a, RRType::Srv, vec!["1 2 mail.example.com"]),
        (a, RRType::Caa, vec!["0 issue letsencrypt.org"]),
        ("a.example.org", RRType::A, vec!["192.0.2.1"]),
        ("notexample.com", RRType::A, vec!["192.0.2.1"]),
        ("a..example.com", RRType::A, vec!["192.0.2.1"]),
        (&long, RRType::A, vec!["192.0.2.1"]),
        ("example.com", RRType::Cname, vec!["b.example.com"]),
    ];
    for (name, kind, values) in bad {
        let good = change(ChangeAction::Create, "good.example.com", RRType::A, &["192.0.2.1"]);
        let batch = vec![good, change(ChangeAction::Create, name, kind.clone(), &values)];
        assert_eq!(kit.code(kit.batch(batch).await), "InvalidChangeBatch", "{name} {kind:?} {values:?}");
    }
    let good = [
        ("a.example.com", RRType::Txt, vec!["\"a\" \"b\\\"c\""]),
        ("mx.example.com", RRType::Mx, vec!["10 mail.example.com"]),
        ("_s._tcp.example.com", RRType::Srv, vec!["1 2 3 mail.example.com"]),
        ("caa.example.com", RRType::Caa, vec!["0 issue \"letsencrypt.org\""]),
        ("c.example.com", RRType::Cname, vec!["d.example.org"]),
    ];
    for (name, kind, values) in good {
        kit.batch(vec![change(ChangeAction::Create, name, kind, &values)]).await.unwrap();
    }
    let beside = change(ChangeAction::Create, "c.example.com", RRType::A, &["192.0.2.1"]);
    assert_eq!(kit.code(kit.batch(vec![beside]).await), "InvalidChangeBatch");
    let nameless = change(ChangeAction::Create, "x.example.com", RRType::Other("ABC".into()), &["1"]);
    assert_eq!(kit.code(kit.batch(vec![nameless]).await), "InvalidInput");
    assert_eq!(kit.code(kit.batch(vec![]).await), "InvalidInput");
    let mut timeless = change(ChangeAction::Create, "x.example.com", RRType::A, &["192.0.2.1"]);
    timeless.resource_record_set.ttl = None;
    assert_eq!(kit.code(kit.batch(vec![timeless]).await), "InvalidChangeBatch");
    for kind in ["NS", "SOA"] {
        let record = kit.aws.look(|state| state.record(&kit.zone, "example.com", kind).cloned()).unwrap();
        let values: Vec<&str> = record.values.iter().map(String::as_str).collect();
        let mut delete = change(ChangeAction::Delete, "example.com", RRType::Other(kind.into()), &values);
        delete.resource_record_set.ttl = record.ttl.map(i64::from);
        assert_eq!(kit.code(kit.batch(vec![delete]).await), "InvalidChangeBatch", "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_refusal_names_each_bad_change() {
    let kit = Kit::new();
    let create = |name: &str, value: &str| change(ChangeAction::Create, name, RRType::A, &[value]);
    let batch = vec![create("a.example.com", "1"), create("b.example.com", "192.0.2.1"), create("c.example.org", "2")];
    let error = kit.batch(batch).await.unwrap_err();
    assert!(error.message.contains("'1'") && error.message.contains("c.example.org"), "{error}");
    assert!(!error.message.contains("b.example.com"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn batches_records_and_zones_have_limits() {
    let kit = Kit::with(|options| {
        options.throttling = false;
        options.limits.records_per_zone = 1010;
    });
    let address = |number: usize| format!("10.0.{}.{}", number / 250, number % 250);
    let values: Vec<String> = (0..401).map(address).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let create = |name: &str, values: &[&str]| change(ChangeAction::Create, name, RRType::A, values);
    let upsert = |name: &str, values: &[&str]| change(ChangeAction::Upsert, name, RRType::A, values);
    assert_eq!(kit.code(kit.batch(vec![create("a.example.com", &values)]).await), "InvalidChangeBatch");
    kit.batch(vec![create("a.example.com", &values[..400]), create("b.example.com", &values[..400])]).await.unwrap();
    // UPSERT counts twice.
    let twice = vec![upsert("a.example.com", &values[..400]), upsert("b.example.com", &values[..101])];
    assert_eq!(kit.code(kit.batch(twice).await), "InvalidChangeBatch");
    kit.batch(vec![upsert("a.example.com", &values[..400]), upsert("b.example.com", &values[..100])]).await.unwrap();
    let text = format!("\"{}\"", "x".repeat(254));
    let texts: Vec<_> = (0..126)
        .map(|number| change(ChangeAction::Create, &format!("t{number}.example.com"), RRType::Txt, &[&text]))
        .collect();
    assert_eq!(kit.code(kit.batch(texts.clone()).await), "InvalidChangeBatch");
    kit.batch(texts[..125].to_vec()).await.unwrap();
    let many: Vec<_> = (0..1000).map(|number| create(&format!("n{number}.example.com"), &values[..1])).collect();
    assert_eq!(kit.code(kit.batch(many).await), "InvalidChangeBatch");
}

#[tokio::test(start_paused = true)]
async fn a_change_is_in_sync_after_a_while() {
    use std::time::Duration;
    let kit = Kit::new();
    kit.aws.set_policy(super::kit::US, super::super::Policy::anything());
    let create = change(ChangeAction::Create, "a.example.com", RRType::A, &["192.0.2.1"]);
    let info = kit.batch(vec![create]).await.unwrap();
    assert_eq!(info.status, route53::ChangeStatus::Pending);
    let ask = route53::GetChange { id: info.id };
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert_eq!(kit.client.send(&ask).await.unwrap().change_info.status, route53::ChangeStatus::Pending);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(kit.client.send(&ask).await.unwrap().change_info.status, route53::ChangeStatus::Insync);
    assert_eq!(kit.refused(&route53::GetChange { id: "C9".into() }).await, "NoSuchChange");
}

#[tokio::test(start_paused = true)]
async fn a_zone_is_busy_gone_or_made_anew() {
    use std::time::Duration;
    let kit = Kit::with(|options| options.zone_busy = Duration::from_secs(1));
    let create = |name: &str| change(ChangeAction::Create, name, RRType::A, &["192.0.2.1"]);
    kit.batch(vec![create("a.example.com")]).await.unwrap();
    assert_eq!(kit.code(kit.batch(vec![create("b.example.com")]).await), "PriorRequestNotComplete");
    tokio::time::sleep(Duration::from_secs(1)).await;
    kit.batch(vec![create("b.example.com")]).await.unwrap();
    kit.aws.delete_zone(Actor::Person, &kit.zone).unwrap();
    assert_eq!(kit.code(kit.batch(vec![create("c.example.com")]).await), "NoSuchHostedZone");
    let list = route53::ListResourceRecordSets { hosted_zone_id: kit.zone.clone(), ..Default::default() };
    assert_eq!(kit.refused(&list).await, "NoSuchHostedZone");
    let anew = kit.aws.create_zone(Actor::Person, "example.com", false).unwrap();
    assert_ne!(anew, kit.zone);
    let counts = kit.aws.counts();
    let count = counts[&(Creator::Us, "record a.example.com. A".to_owned())];
    assert_eq!((count.creates, count.deletes), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn zones_are_listed_in_pages_private_ones_too() {
    let kit = Kit::with(|options| options.page = Some(2));
    for name in ["a.org", "b.org", "c.org"] {
        kit.aws.create_zone(Actor::Person, name, name == "c.org").unwrap();
    }
    let pages = kit.client.pages(route53::ListHostedZones::default()).await.unwrap();
    assert_eq!(pages.iter().map(|page| page.hosted_zones.len()).collect::<Vec<_>>(), [2, 2]);
    assert!(pages[0].hosted_zones[0].id.starts_with("/hostedzone/Z"));
    let private = route53::ListHostedZones {
        hosted_zone_type: Some(route53::HostedZoneType::PrivateHostedZone),
        ..Default::default()
    };
    let zones = kit.client.send(&private).await.unwrap().hosted_zones;
    assert_eq!(zones.iter().map(|zone| zone.name.as_str()).collect::<Vec<_>>(), ["c.org."]);
    assert_eq!(zones[0].config.as_ref().unwrap().private_zone, Some(true));
}

#[tokio::test(start_paused = true)]
async fn weighted_records_and_aliases_are_shown_as_they_were_made() {
    use super::super::state::RecordSet;
    let kit = Kit::new();
    let other = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let weighted = RecordSet {
        ttl: Some(60),
        values: vec!["192.0.2.1".into()],
        other: other(&[("Weight", "10")]),
        creator: Creator::Person,
    };
    kit.aws.put_record_set(Actor::Person, &kit.zone, "w.example.com", "A", Some("one"), weighted.clone()).unwrap();
    let alias = RecordSet {
        ttl: None,
        values: Vec::new(),
        other: other(&[
            ("AliasTarget/HostedZoneId", "Z1"),
            ("AliasTarget/DNSName", "lb.example.org."),
            ("AliasTarget/EvaluateTargetHealth", "false"),
        ]),
        creator: Creator::Person,
    };
    kit.aws.put_record_set(Actor::Person, &kit.zone, "al.example.com", "A", None, alias).unwrap();
    let list = route53::ListResourceRecordSets {
        hosted_zone_id: kit.zone.clone(),
        start_record_name: Some("al.example.com".into()),
        ..Default::default()
    };
    let sets = kit.client.send(&list).await.unwrap().resource_record_sets;
    assert_eq!(sets[0].alias_target.as_ref().unwrap().dns_name, "lb.example.org.");
    assert_eq!((sets[1].set_identifier.as_deref(), sets[1].weight), (Some("one"), Some(10)));
    let plain = change(ChangeAction::Create, "w.example.com", RRType::A, &["192.0.2.1"]);
    assert_eq!(kit.code(kit.batch(vec![plain]).await), "InvalidChangeBatch");
    let typeless = route53::ListResourceRecordSets {
        hosted_zone_id: kit.zone.clone(),
        start_record_type: Some(RRType::A),
        ..Default::default()
    };
    assert_eq!(kit.refused(&typeless).await, "InvalidInput");
}
