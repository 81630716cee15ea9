//! Lists instances and hosted zones.

use std::error::Error;

use aws_config::BehaviorVersion;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(list())
}

async fn list() -> Result<(), Box<dyn Error>> {
    let https = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(https).load().await;
    let mut pages = aws_sdk_ec2::Client::new(&config).describe_instances().into_paginator().send();
    while let Some(page) = pages.next().await {
        for instance in page?.reservations().iter().flat_map(|reservation| reservation.instances()) {
            let id = instance.instance_id().unwrap_or_default();
            println!("{id} {}", instance.public_ip_address().unwrap_or("-"));
        }
    }
    let mut pages = aws_sdk_route53::Client::new(&config).list_hosted_zones().into_paginator().send();
    while let Some(page) = pages.next().await {
        for zone in page?.hosted_zones() {
            println!("{} {}", zone.id(), zone.name());
        }
    }
    Ok(())
}
