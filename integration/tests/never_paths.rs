//! Path independence: what a world has come to after any sequence of wishes is what the last wishes alone come to in a
//! world that is new.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use std::time::Duration;

use integration::sim::anew::anew;
use integration::sim::stories::STORIES;
use integration::sim::world::NAMESPACE;
use integration::sim::{Random, Setting, World, simulate};
use integration::{Result, fail};

/// The world comes to rest; so does one that is made anew with the same wishes. What differs.
async fn compared(world: &mut World) -> Result<()> {
    world.settle().await?;
    let mut other = anew(world, 2).await?;
    other.run(1)?;
    other.settle().await?;
    let differences = world.end_state().differences(&other.end_state());
    if differences.is_empty() { Ok(()) } else { fail(differences.join("\n")) }
}

#[test]
fn every_story_ends_as_its_last_wishes_do_in_a_new_world() {
    let mut broken = Vec::new();
    for story in STORIES {
        let told = simulate(|| async {
            let mut world = World::new(&Setting::calm(1))?;
            (story.prepare)(&mut world).await?;
            (story.act)(&mut world).await?;
            compared(&mut world).await
        });
        broken.extend(told.err().map(|error| format!("{}: {error}", story.name)));
    }
    assert!(broken.is_empty(), "{}", broken.join("\n\n"));
}

/// Services, each with ports of its own: where two want the same port, who came first may keep it, and that is a
/// matter of the way.
const SERVICES: [(&str, u16); 4] = [("a", 7000), ("b", 7100), ("c", 7200), ("d", 7300)];

/// A value of an annotation of that Service that can be understood, and one that can't.
fn value(random: &Random, service: &str, annotation: &str) -> (Option<String>, &'static str) {
    let pick = |values: &[&str]| {
        let value = values[random.below(values.len())];
        (!value.is_empty()).then(|| value.to_owned())
    };
    // `a` and `b` may share names and so nodes: their selectors must have nodes in common.
    let shares = service < "c";
    match annotation {
        "hostname" if shares => (
            pick(&["ab.example.com", "ab.example.com,x.example.com", &format!("{service}.example.com")]),
            "not a name!",
        ),
        "hostname" => {
            let (one, two) =
                (format!("{service}.example.com"), format!("{service}.example.com,*.{service}.example.com"));
            (pick(&[&one, &two, &format!("other-{service}.example.com.")]), "not a name!")
        }
        "selector" if shares => (pick(&["", "pool=odd"]), "=="),
        "selector" => (pick(&["", "pool=odd", "pool=even"]), "nonsense here"),
        "maxips" => (pick(&["", "1", "2", "3"]), "many"),
        "ttl" => (pick(&["", "30", "60s"]), "soon"),
        _ => (pick(&["", "198.51.100.0/24", "198.51.100.0/24,203.0.113.0/25"]), "everybody"),
    }
}

const ANNOTATIONS: [&str; 5] = ["hostname", "selector", "maxips", "ttl", "source-ranges"];

/// So many wishes after each other.
async fn wishes(world: &mut World, random: &Random, many: usize) -> Result<()> {
    let exists = |world: &World, name: &str| world.kube.look(|look| look.service(NAMESPACE, name).is_some());
    for _ in 0..many {
        let (name, port) = SERVICES[random.below(SERVICES.len())];
        if !exists(world, name) {
            let hostname = value(random, name, "hostname").0.unwrap_or_default();
            world.note(format!("{name} asks for {hostname}"));
            world.add_service(name, &[("UDP", port)], &[("hostname", &hostname)])?;
        } else {
            match random.below(10) {
                0 => world.delete_service(name)?,
                1 => world.annotate(name, &[("hostname", None)])?,
                2 | 3 => {
                    let (first, second) = (port + random.below(3) as u16, port + 5 + random.below(3) as u16);
                    world.set_ports(
                        name,
                        &[[("UDP", first), ("TCP", second)], [("TCP", first), ("UDP", second)]][random.below(2)],
                    )?;
                }
                _ => {
                    let annotation = ANNOTATIONS[random.below(ANNOTATIONS.len())];
                    let (good, bad) = value(random, name, annotation);
                    let value = if random.percent(20) { Some(bad) } else { good.as_deref() };
                    world.note(format!("{name}: {annotation} {value:?}"));
                    world.annotate(name, &[(annotation, value)])?;
                }
            }
        }
        // Often too soon for what was begun to be over.
        let pause = [0, 200, 1_500, 4_000, 20_000, 45_000][random.below(6)];
        world.pass(Duration::from_millis(pause)).await?;
    }
    // What can't be understood leaves all as it was, so the last wishes can be.
    for (name, _) in SERVICES.into_iter().filter(|(name, _)| exists(world, name)) {
        for annotation in ANNOTATIONS {
            let asks = world.kube.look(|look| {
                let prefix = integration::sim::check::wish::PREFIX;
                look.service(NAMESPACE, name)?.annotations.get(&format!("{prefix}{annotation}")).cloned()
            });
            if let Some(bad) = asks.filter(|value| *value == self::value(random, name, annotation).1) {
                world.note(format!("{name}: no longer {annotation} {bad}"));
                let good = value(random, name, annotation).0;
                world.annotate(name, &[(annotation, good.as_deref())])?;
            }
        }
    }
    Ok(())
}

fn walked(seed: u64) -> Result<()> {
    let mut lines = Vec::new();
    let end = simulate(|| async {
        let random = Random::new(seed).fork("wishes");
        let mut world = World::new(&Setting { nodes: 4, ..Setting::calm(seed) })?;
        world.run(1)?;
        wishes(&mut world, &random, 12).await?;
        let end = compared(&mut world).await;
        lines = world.story();
        end
    });
    if end.is_err() && std::env::var_os("TELL").is_some() {
        println!("==== seed {seed}\n{}", lines.join("\n"));
    }
    end
}

#[test]
fn any_sequence_of_wishes_ends_as_the_last_ones_do_in_a_new_world() {
    // More of them, or one alone: `SEEDS=1000..2000`.
    let seeds = std::env::var("SEEDS").ok().and_then(|text| {
        let (from, to) = text.split_once("..")?;
        Some(from.parse().ok()?..to.parse().ok()?)
    });
    let next = std::sync::Mutex::new(seeds.unwrap_or(1..41_u64));
    let broken = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let Some(seed) = next.lock().unwrap().next() else { return };
                    if let Err(error) = walked(seed) {
                        broken.lock().unwrap().push(format!("seed {seed}:\n{error}"));
                    }
                }
            });
        }
    });
    let broken = broken.into_inner().unwrap();
    assert!(broken.is_empty(), "{}", broken.join("\n\n"));
}
