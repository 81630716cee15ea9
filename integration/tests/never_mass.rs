//! S6 of a real process: when most Services stop asking at once, what they have stays until a person agrees.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use std::time::Duration;

use integration::sim::check::wish;
use integration::sim::{Setting, World, simulate};

const SERVICES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

fn port(service: &str) -> u16 {
    7000 + u16::from(service.as_bytes()[0])
}

/// How many of the names are listed.
fn listed(world: &World) -> usize {
    let is_listed = |service: &&&str| {
        let hostname = format!("{service}.example.com");
        world.aws.look(|state| wish::listed(state, &hostname).iter().any(|(_, addresses)| !addresses.is_empty()))
    };
    SERVICES.iter().filter(is_listed).count()
}

/// All Services are served; then so many stop asking, some by their annotation and some by being deleted.
async fn stopped(world: &mut World, leave: usize) -> integration::Result<()> {
    world.run(1)?;
    for service in SERVICES {
        let hostname = format!("{service}.example.com");
        world.add_service(service, &[("UDP", port(service))], &[("hostname", &hostname), ("maxips", "2")])?;
    }
    let served = |world: &World| SERVICES.iter().all(|service| world.is_ready(service));
    world.until("all are served", Duration::from_secs(120), served).await?;
    world.pass(Duration::from_secs(30)).await?;
    for (n, service) in SERVICES.iter().take(leave).enumerate() {
        match n % 2 {
            0 => world.annotate(service, &[("hostname", None)])?,
            _ => world.delete_service(service)?,
        }
    }
    world.pass(Duration::from_secs(180)).await
}

#[test]
fn what_most_services_have_stays_until_a_person_agrees_and_goes_then() {
    let told = simulate(|| async {
        let mut world = World::new(&Setting::calm(1))?;
        stopped(&mut world, 6).await?;
        assert_eq!(listed(&world), 8);
        // A restart says nothing.
        world.stop_all();
        world.run(1)?;
        world.pass(Duration::from_secs(120)).await?;
        assert_eq!(listed(&world), 8);
        world.stop_all();
        world.arguments.push("--allow-mass-delete".to_owned());
        world.run(1)?;
        world.settle().await?;
        assert_eq!(listed(&world), 2);
        Ok(())
    });
    told.unwrap();
}

#[test]
fn what_a_handful_of_services_have_goes_by_itself() {
    let told = simulate(|| async {
        let mut world = World::new(&Setting::calm(1))?;
        stopped(&mut world, 5).await?;
        assert_eq!(listed(&world), 3);
        world.settle().await
    });
    told.unwrap();
}
