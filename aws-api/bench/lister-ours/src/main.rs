//! Lists instances and hosted zones.

use std::error::Error;

use aws_api::Client;
use aws_api::ec2::DescribeInstances;
use aws_api::route53::ListHostedZones;

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(list())
}

async fn list() -> Result<(), Box<dyn Error>> {
    let client = Client::from_env().await?;
    for page in client.pages(DescribeInstances::default()).await? {
        for instance in page.reservations.iter().flat_map(|reservation| &reservation.instances) {
            let id = instance.instance_id.as_deref().unwrap_or_default();
            println!("{id} {}", instance.public_ip_address.as_deref().unwrap_or("-"));
        }
    }
    for page in client.pages(ListHostedZones::default()).await? {
        for zone in page.hosted_zones {
            println!("{} {}", zone.id, zone.name);
        }
    }
    Ok(())
}
