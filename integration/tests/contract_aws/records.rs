//! Records and zones.

use aws_api::route53::{self, ChangeAction, RRType};

use super::ground::Ground;

fn change(action: ChangeAction, name: &str, kind: RRType, values: &[&str]) -> route53::Change {
    let values = values.iter().map(|value| route53::ResourceRecord { value: (*value).into() }).collect();
    let set = route53::ResourceRecordSet {
        name: name.into(),
        r#type: kind,
        ttl: Some(60),
        resource_records: values,
        ..Default::default()
    };
    route53::Change { action, resource_record_set: set }
}

fn create(name: &str, kind: RRType, values: &[&str]) -> route53::Change {
    change(ChangeAction::Create, name, kind, values)
}

fn delete(name: &str, kind: RRType, values: &[&str]) -> route53::Change {
    change(ChangeAction::Delete, name, kind, values)
}

fn batch(zone: &str, changes: Vec<route53::Change>) -> route53::ChangeResourceRecordSets {
    route53::ChangeResourceRecordSets {
        hosted_zone_id: zone.into(),
        change_batch: route53::ChangeBatch { comment: None, changes },
    }
}

fn list(zone: &str) -> route53::ListResourceRecordSets {
    route53::ListResourceRecordSets { hosted_zone_id: zone.into(), ..Default::default() }
}

/// The records of a name: `A 60 192.0.2.1 192.0.2.2`.
async fn records(ground: &Ground, name: &str) -> String {
    let pages = ground.pages(list(&ground.zone)).await;
    let sets = pages.into_iter().flat_map(|page| page.resource_record_sets).filter(|set| set.name == name);
    let shown = sets.map(|set| {
        let mut values: Vec<String> = set.resource_records.into_iter().map(|record| record.value).collect();
        values.sort();
        format!("{} {} {}", set.r#type, set.ttl.unwrap_or_default(), values.join(" "))
    });
    let shown: Vec<String> = shown.collect();
    if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
}

pub const SWAPPING: &str = "\
create: done
the change: PENDING, /change/...
create again: 400 InvalidChangeBatch
swap: done
the record: A 60 192.0.2.3
swap from what it no longer is: 400 InvalidChangeBatch
the record is still: A 60 192.0.2.3
delete with another TTL: 400 InvalidChangeBatch
one bad change of three: 400 InvalidChangeBatch
nothing of it happened: none
swap to the same: done
delete in another order of values: done
delete again: 400 InvalidChangeBatch
replace what isn't there: done
replace what is there: done
the record by then: A 60 192.0.2.2
in a zone that isn't there: 404 NoSuchHostedZone
a change that there never was: 404 NoSuchChange
delete the zone's own NS record: 400 InvalidChangeBatch
";

pub async fn swapping(ground: &mut Ground) {
    let zone = ground.zone.clone();
    let a = |values: &[&str]| create("a.example.com", RRType::A, values);
    let minus = |values: &[&str]| delete("a.example.com", RRType::A, values);
    let info = ground.step("create", &batch(&zone, vec![a(&["192.0.2.1"])])).await.unwrap().change_info;
    let id = if info.id.starts_with("/change/") { "/change/..." } else { "something else" };
    ground.say("the change", format!("{}, {id}", info.status));
    ground.step("create again", &batch(&zone, vec![a(&["192.0.2.1"])])).await;
    ground.step("swap", &batch(&zone, vec![minus(&["192.0.2.1"]), a(&["192.0.2.3"])])).await;
    let there = records(ground, "a.example.com.").await;
    ground.say("the record", there);
    let stale = batch(&zone, vec![minus(&["192.0.2.1"]), a(&["192.0.2.4"])]);
    ground.step("swap from what it no longer is", &stale).await;
    let there = records(ground, "a.example.com.").await;
    ground.say("the record is still", there);
    let mut other = minus(&["192.0.2.3"]);
    other.resource_record_set.ttl = Some(61);
    ground.step("delete with another TTL", &batch(&zone, vec![other])).await;
    let three = vec![
        create("b.example.com", RRType::A, &["192.0.2.1"]),
        delete("c.example.com", RRType::A, &["192.0.2.1"]),
        create("d.example.com", RRType::A, &["192.0.2.1"]),
    ];
    ground.step("one bad change of three", &batch(&zone, three)).await;
    let there = records(ground, "b.example.com.").await;
    ground.say("nothing of it happened", there);
    let two = ["192.0.2.8", "192.0.2.9"];
    ground.get(&batch(&zone, vec![create("e.example.com", RRType::A, &two)])).await;
    let same = vec![delete("e.example.com", RRType::A, &two), create("e.example.com", RRType::A, &two)];
    ground.step("swap to the same", &batch(&zone, same)).await;
    let back = delete("e.example.com", RRType::A, &["192.0.2.9", "192.0.2.8"]);
    ground.step("delete in another order of values", &batch(&zone, vec![back.clone()])).await;
    ground.step("delete again", &batch(&zone, vec![back])).await;
    let replace = |value: &str| change(ChangeAction::Upsert, "f.example.com", RRType::A, &[value]);
    ground.step("replace what isn't there", &batch(&zone, vec![replace("192.0.2.1")])).await;
    ground.step("replace what is there", &batch(&zone, vec![replace("192.0.2.2")])).await;
    let there = records(ground, "f.example.com.").await;
    ground.say("the record by then", there);
    ground.step("in a zone that isn't there", &batch("Z00000000000000000000", vec![a(&["192.0.2.1"])])).await;
    ground.step("a change that there never was", &route53::GetChange { id: "C00000000000000000000".into() }).await;
    let own = ground.get(&list(&zone)).await.resource_record_sets.into_iter().find(|set| set.r#type == RRType::Ns);
    let own = route53::Change { action: ChangeAction::Delete, resource_record_set: own.unwrap() };
    ground.step("delete the zone's own NS record", &batch(&zone, vec![own])).await;
}

pub const BAD: &str = "\
a bad IPv4 address: 400 InvalidChangeBatch
IPv6 in an A record: 400 InvalidChangeBatch
IPv4 in an AAAA record: 400 InvalidChangeBatch
the same value twice: 400 InvalidChangeBatch
text without quotation marks: 400 InvalidChangeBatch
256 characters of text: 400 InvalidChangeBatch
a name of another zone: 400 InvalidChangeBatch
an empty label: 400 InvalidChangeBatch
a label of 64 characters: 400 InvalidChangeBatch
CNAME beside A: 400 InvalidChangeBatch
A beside CNAME: 400 InvalidChangeBatch
CNAME at the top: 400 InvalidChangeBatch
two values of a CNAME: 400 InvalidChangeBatch
no values: 400 InvalidChangeBatch
a type that there isn't: 400 InvalidInput
no changes: 400 InvalidInput
text with quotation marks: done
an IPv6 address: done
";

pub async fn bad(ground: &mut Ground) {
    let zone = ground.zone.clone();
    let long = format!("\"{}\"", "x".repeat(256));
    let label = format!("{}.example.com", "x".repeat(64));
    let there =
        vec![create("a.example.com", RRType::A, &["192.0.2.1"]), create("c.example.com", RRType::Cname, &["d.org"])];
    ground.get(&batch(&zone, there)).await;
    let steps = [
        ("a bad IPv4 address", create("a1.example.com", RRType::A, &["192.0.2.256"])),
        ("IPv6 in an A record", create("a2.example.com", RRType::A, &["2001:db8::1"])),
        ("IPv4 in an AAAA record", create("a3.example.com", RRType::Aaaa, &["192.0.2.1"])),
        ("the same value twice", create("a4.example.com", RRType::A, &["192.0.2.1", "192.0.2.1"])),
        ("text without quotation marks", create("a5.example.com", RRType::Txt, &["text"])),
        ("256 characters of text", create("a6.example.com", RRType::Txt, &[&long])),
        ("a name of another zone", create("a.example.org", RRType::A, &["192.0.2.1"])),
        ("an empty label", create("a..example.com", RRType::A, &["192.0.2.1"])),
        ("a label of 64 characters", create(&label, RRType::A, &["192.0.2.1"])),
        ("CNAME beside A", create("a.example.com", RRType::Cname, &["d.org"])),
        ("A beside CNAME", create("c.example.com", RRType::A, &["192.0.2.1"])),
        ("CNAME at the top", create("example.com", RRType::Cname, &["d.org"])),
        ("two values of a CNAME", create("a7.example.com", RRType::Cname, &["d.org", "e.org"])),
        ("no values", create("a8.example.com", RRType::A, &[])),
        ("a type that there isn't", create("a9.example.com", RRType::Other("ABC".into()), &["1"])),
    ];
    for (label, change) in steps {
        ground.step(label, &batch(&zone, vec![change])).await;
    }
    ground.step("no changes", &batch(&zone, vec![])).await;
    let good = create("b1.example.com", RRType::Txt, &["\"heritage=external-dns,external-dns/owner=c1\""]);
    ground.step("text with quotation marks", &batch(&zone, vec![good])).await;
    ground.step("an IPv6 address", &batch(&zone, vec![create("b2.example.com", RRType::Aaaa, &["2001:db8::1"])])).await;
}

pub const SIZES: &str = "\
a record of 400 values: done
a record of 401 values: 400 InvalidChangeBatch
a batch of 1,000 values: done
a batch of 1,001 values: 400 InvalidChangeBatch
replacing 500 values: done
replacing 501 values: 400 InvalidChangeBatch
32,000 characters: done
more than 32,000 characters: 400 InvalidChangeBatch
";

pub async fn sizes(ground: &mut Ground) {
    let zone = ground.zone.clone();
    let values: Vec<String> = (0..401).map(|number| format!("10.0.{}.{}", number / 250, number % 250)).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let one = |name: &str, values: &[&str]| batch(&zone, vec![create(name, RRType::A, values)]);
    ground.step("a record of 400 values", &one("a.example.com", &values[..400])).await;
    ground.step("a record of 401 values", &one("b.example.com", &values)).await;
    let many = |letter: char, action: ChangeAction, count: usize| {
        let changes = (0..count)
            .map(|number| change(action.clone(), &format!("{letter}{number}.example.com"), RRType::A, &values[..1]));
        batch(&zone, changes.collect())
    };
    ground.step("a batch of 1,000 values", &many('c', ChangeAction::Create, 1000)).await;
    ground.step("a batch of 1,001 values", &many('d', ChangeAction::Create, 1001)).await;
    ground.step("replacing 500 values", &many('c', ChangeAction::Upsert, 500)).await;
    ground.step("replacing 501 values", &many('c', ChangeAction::Upsert, 501)).await;
    let text = format!("\"{}\"", "x".repeat(248));
    let texts = |letter: char, count: usize| {
        let changes = (0..count).map(|number| create(&format!("{letter}{number}.example.com"), RRType::Txt, &[&text]));
        batch(&zone, changes.collect())
    };
    ground.step("32,000 characters", &texts('e', 128)).await;
    ground.step("more than 32,000 characters", &texts('f', 129)).await;
}

pub const LISTING: &str = "\
names in order: example.com. NS, example.com. SOA, \\052.example.com. A, a-b.example.com. A, b.example.com. A, b.example.com. TXT, a.b.example.com. A
pages of three: 3 3 1
from a name on: b.example.com. A
from a name and a type on: b.example.com. TXT
from * on: \\052.example.com. A
a type without a name: 400 InvalidInput
a zone that isn't there: 404 NoSuchHostedZone
zones: example.com. public 7, example.net. public 2
zones in pages of one: 1 1
private zones: 0
a name in capitals becomes: capital.example.com.
";

pub async fn listing(ground: &mut Ground) {
    let zone = ground.zone.clone();
    let a = |name: &str| create(name, RRType::A, &["192.0.2.1"]);
    let text = create("b.example.com", RRType::Txt, &["\"text\""]);
    let all = vec![a("b.example.com."), a("a.b.example.com"), a("*.example.com"), text, a("a-b.example.com")];
    ground.get(&batch(&zone, all)).await;
    let shown = |sets: &[route53::ResourceRecordSet]| {
        sets.iter().map(|set| format!("{} {}", set.name, set.r#type)).collect::<Vec<_>>().join(", ")
    };
    let names = shown(&ground.get(&list(&zone)).await.resource_record_sets);
    ground.say("names in order", names);
    let pages = ground.pages(route53::ListResourceRecordSets { max_items: Some("3".into()), ..list(&zone) }).await;
    let sizes: Vec<String> = pages.iter().map(|page| page.resource_record_sets.len().to_string()).collect();
    ground.say("pages of three", sizes.join(" "));
    let from = |name: Option<&str>, kind: Option<RRType>| route53::ListResourceRecordSets {
        start_record_name: name.map(str::to_owned),
        start_record_type: kind,
        max_items: Some("1".into()),
        ..list(&zone)
    };
    let first = shown(&ground.get(&from(Some("b.example.com"), None)).await.resource_record_sets);
    ground.say("from a name on", first);
    let first = shown(&ground.get(&from(Some("b.example.com."), Some(RRType::Txt))).await.resource_record_sets);
    ground.say("from a name and a type on", first);
    let first = shown(&ground.get(&from(Some("\\052.example.com."), None)).await.resource_record_sets);
    ground.say("from * on", first);
    ground.step("a type without a name", &from(None, Some(RRType::A))).await;
    ground.step("a zone that isn't there", &list("Z00000000000000000000")).await;
    let zones = ground.get(&route53::ListHostedZones::default()).await.hosted_zones;
    let mut shown: Vec<String> = zones
        .iter()
        .map(|zone| {
            let private = zone.config.as_ref().and_then(|config| config.private_zone) == Some(true);
            let place = if private { "private" } else { "public" };
            format!("{} {place} {}", zone.name, zone.resource_record_set_count.unwrap_or_default())
        })
        .collect();
    shown.sort();
    ground.say("zones", shown.join(", "));
    let pages = ground.pages(route53::ListHostedZones { max_items: Some("1".into()), ..Default::default() }).await;
    let sizes: Vec<String> = pages.iter().map(|page| page.hosted_zones.len().to_string()).collect();
    ground.say("zones in pages of one", sizes.join(" "));
    let private = route53::ListHostedZones {
        hosted_zone_type: Some(route53::HostedZoneType::PrivateHostedZone),
        ..Default::default()
    };
    let found = ground.get(&private).await.hosted_zones.len();
    ground.say("private zones", found);
    ground.get(&batch(&zone, vec![a("CAPITAL.example.com")])).await;
    let sets = ground.get(&list(&zone)).await.resource_record_sets;
    let name = sets.into_iter().map(|set| set.name).find(|name| name.eq_ignore_ascii_case("capital.example.com."));
    ground.say("a name in capitals becomes", name.unwrap());
}
