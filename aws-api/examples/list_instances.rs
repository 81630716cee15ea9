//! Lists the instances of the region: `AWS_REGION=eu-west-1 cargo run -p aws-api --example list_instances`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = aws_api::Client::from_env().await?;
    for page in client.pages(aws_api::ec2::DescribeInstances::default()).await? {
        for instance in page.reservations.iter().flat_map(|reservation| &reservation.instances) {
            let address = instance.public_ip_address.as_deref().unwrap_or("-");
            println!("{} {address}", instance.instance_id.as_deref().unwrap_or_default());
        }
    }
    Ok(())
}
