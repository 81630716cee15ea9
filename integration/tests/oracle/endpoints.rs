//! Endpoints: for every region that botocore knows, and for some to come, with and without FIPS and dual-stack and with
//! STS's regional and legacy endpoints, URL and signing region of each service are botocore's; and for some of them with
//! an endpoint of one's own. Where botocore has none for one of the services ours is an error, as a configuration is
//! for all of them.
//!
//! EC2's and Route 53's are taken from botocore's endpoint rules, to which a client adds nothing; STS's from a client,
//! which decides there what "legacy" is, but for two kinds of cases, where the rules are asked, too:
//!
//! | deliberate difference | reason |
//! |-|-|
//! | botocore's clients refuse dual-stack in aws-iso-e and aws-iso-f | by `endpoints.json`, which is older than the rules; these know the hosts, and for EC2 and Route 53 as well |
//! | `aws-global` with FIPS or dual-stack is signed for `aws-global`, by a client for us-east-1 | the rules say so; no host answers there anyway |
//! | Route 53 at an endpoint of one's own is signed for its partition's one region, by a client for the client's region | it accepts no other region |
//! | FIPS or dual-stack with an endpoint of one's own is an error, as the rules have it; a client ignores the two | a wish is not dropped in silence |

use std::collections::BTreeMap;

use aws_api::config::Endpoint;
use aws_api::{Config, Service};
use integration::{Context, Result};
use serde_json::{Value, json};

use super::botocore::{Botocore, same_value};

/// The endpoints of all services by our configuration; `Err` with why there are none.
fn ours(case: &Value) -> Result<Value, String> {
    let flag = |name: &str| case[name].to_string();
    let regional = if case["legacy"] == true { "legacy" } else { "regional" };
    let mut environment = BTreeMap::from([
        ("AWS_USE_FIPS_ENDPOINT".to_owned(), flag("fips")),
        ("AWS_USE_DUALSTACK_ENDPOINT".to_owned(), flag("dual_stack")),
        ("AWS_STS_REGIONAL_ENDPOINTS".to_owned(), regional.to_owned()),
    ]);
    if let Some(url) = case["url"].as_str() {
        environment.insert("AWS_ENDPOINT_URL".to_owned(), url.to_owned());
    }
    let config = Config::from_environment(&environment, case["region"].as_str()).map_err(|error| error.to_string())?;
    let endpoint = |service| {
        let Endpoint { url, signing_region } = config.endpoint(service);
        json!({ "url": url, "signing_region": signing_region })
    };
    Ok(json!({
        "ec2": endpoint(Service::Ec2), "route53": endpoint(Service::Route53), "sts": endpoint(Service::Sts),
    }))
}

#[test]
fn endpoints_are_those_of_botocores_resolver() -> Result<()> {
    let answer = Botocore::start()?.ask(&json!({"do": "endpoints"}))?;
    let cases = answer["cases"].as_array().context("a list of cases")?;
    let mut differences = Vec::new();
    let mut refused = 0;
    for case in cases {
        let expected = &case["expected"];
        let offered = ["ec2", "route53", "sts"].iter().all(|service| expected[service].is_object());
        let place = format!(
            "{} fips={} dual_stack={} legacy={} url={}",
            case["region"], case["fips"], case["dual_stack"], case["legacy"], case["url"]
        );
        match ours(case) {
            Ok(ours) if offered => differences.extend(same_value(&place, &ours, expected).err()),
            Ok(ours) => differences.push(format!("{place}:\n  ours     {ours}\n  botocore {expected}")),
            Err(error) if offered => differences.push(format!("{place}: ours is an error: {error}")),
            Err(_) => refused += 1,
        }
    }
    println!("{} cases of {} regions, {refused} refused by both", cases.len(), answer["regions"]);
    assert!(differences.is_empty(), "{} of {}:\n{}", differences.len(), cases.len(), differences.join("\n"));
    assert!(cases.len() > 300 && refused > 0 && answer["partitions"].as_u64() >= Some(8), "too little was compared");
    Ok(())
}
