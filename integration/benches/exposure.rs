//! How long it takes from creating a Service to its addresses being published, on the real API server and moto, and
//! what a leader and a candidate need of memory.
//!
//! `cargo bench -p integration --bench exposure`. The baseline of the same run is what nobody can beat: a client that
//! knows the addresses beforehand creates the Service and writes them.

#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use integration::eventually::eventually;
use integration::world::{NewNode, World, external_ips};
use integration::{Context, Result};
use k8s_openapi::api::core::v1::Service;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

/// How many Services are created, one after the other.
const SERVICES: u16 = 20;

fn main() -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(bench())
}

async fn bench() -> Result<()> {
    let world = World::new().await?;
    for (number, zone) in ["a", "b", "c", "a", "b", "c"].into_iter().enumerate() {
        world.node(&number.to_string(), NewNode::default().zone(zone)).await?;
    }
    world.released_lease().await?;
    let leader = world.daemon("leader").await?.start().await?;
    leader.wait_for_log("it leads", |line| line.text("part") == "lease").await?;
    let candidate = world.daemon("candidate").await?.start().await?;
    eventually("the candidate is ready", || candidate.get("/readyz"), |(status, _)| *status == 200).await?;

    // The first one pays for connections and empty caches on all sides.
    by_hand(&world, 0).await?;
    by_daemon(&world, 0).await?;
    let (mut baseline, mut exposed) = (Vec::new(), Vec::new());
    for number in 1..=SERVICES {
        baseline.push(by_hand(&world, number).await?);
        exposed.push(by_daemon(&world, number).await?);
    }
    let (base_median, base_max) = median_and_max(&mut baseline)?;
    let (median, max) = median_and_max(&mut exposed)?;
    let ms = |d: Duration| d.as_secs_f64() * 1000.0;
    println!("{SERVICES} Services, created one after the other        median        max");
    println!("baseline: a client writes known addresses  {:>9.1} ms {:>7.1} ms", ms(base_median), ms(base_max));
    println!("created to externalIPs set by the daemon   {:>9.1} ms {:>7.1} ms", ms(median), ms(max));
    println!(
        "ratio to the baseline                      {:>9.1}    {:>7.1}",
        ratio(median, base_median),
        ratio(max, base_max)
    );
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!("resident memory of the leader              {:>9.1} MiB", mib(leader.resident_memory()?));
    println!("resident memory of the candidate           {:>9.1} MiB", mib(candidate.resident_memory()?));
    Ok(())
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

/// Creates a Service that the daemon ignores, and publishes an address on it.
async fn by_hand(world: &World, number: u16) -> Result<Duration> {
    let name = format!("by-hand-{number}");
    let service = world.example()?.name(&name).without_annotation("hostname").port("UDP", 20_000 + number).build();
    timed(world, &name, &service, async {
        let patch = Patch::Merge(json!({"spec": {"externalIPs": ["10.9.9.9"]}}));
        world.services().patch(&name, &PatchParams::default(), &patch).await?;
        Ok(())
    })
    .await
}

/// Creates a Service and waits for the daemon.
async fn by_daemon(world: &World, number: u16) -> Result<Duration> {
    let name = format!("exposed-{number}");
    let hostname = format!("{name}.{}", integration::world::DOMAIN);
    let service = world.example()?.name(&name).hostname(&hostname).port("UDP", 10_000 + number).build();
    timed(world, &name, &service, async { Ok(()) }).await
}

async fn timed(
    world: &World,
    name: &str,
    service: &Service,
    publish: impl Future<Output = Result<()>>,
) -> Result<Duration> {
    let began = Instant::now();
    world.services().create(&PostParams::default(), service).await.context("create a Service")?;
    publish.await?;
    loop {
        if !external_ips(&world.service(name).await?).is_empty() {
            return Ok(began.elapsed());
        }
        if began.elapsed() > Duration::from_secs(30) {
            return integration::fail(format!("{name} has no externalIPs after 30 s"));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn median_and_max(times: &mut [Duration]) -> Result<(Duration, Duration)> {
    times.sort();
    let median = times.get(times.len() / 2).copied().context("nothing was measured")?;
    Ok((median, times.last().copied().unwrap_or(median)))
}
