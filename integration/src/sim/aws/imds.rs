//! The instance metadata service, version 2: tokens, region, the role's keys. Answers are text.

use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::sim::event::Actor;

use super::answer::{Refusal, Result};
use super::request::Request;
use super::route53::timestamp;
use super::sts;
use super::world::World;

const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";

/// The answer's text and, for a token, its life.
pub(super) fn answer(
    world: &mut World,
    actor: Actor,
    request: &Request,
    now: SystemTime,
) -> Result<(String, Option<String>)> {
    let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
    let path = request.id.as_str();
    if request.operation == "PutToken" {
        let life = header(TTL).and_then(|text| text.parse::<u64>().ok()).filter(|life| (1..=21_600).contains(life));
        let Some(life) = life.filter(|_| path == "/latest/api/token") else {
            return Err(Refusal::new(400, "Bad Request", "the life of a token is 1 to 21600 seconds"));
        };
        let token = format!("imds-{:016x}-{}", world.random.next(), world.number());
        world.identities.imds_tokens.insert(token.clone(), now + Duration::from_secs(life));
        return Ok((token, Some(life.to_string())));
    }
    let token = header("x-aws-ec2-metadata-token").and_then(|token| world.identities.imds_tokens.get(token));
    if token.is_none_or(|until| now >= *until) {
        return Err(Refusal::new(401, "Unauthorized", "no token, or one that is over"));
    }
    let nothing = || Refusal::new(404, "Not Found", path.to_owned());
    if path == "/latest/meta-data/placement/region" {
        return Ok((world.options.region.clone(), None));
    }
    let role = world.identities.instance_role.clone().ok_or_else(nothing)?;
    match path.strip_prefix(ROLES).ok_or_else(nothing)? {
        "" => Ok((role, None)),
        asked if asked == role => {
            let arn = format!("arn:aws:iam::{}:role/{role}", world.options.account);
            let policy = world.identities.roles.get(&arn).map(|role| role.policy.clone()).ok_or_else(nothing)?;
            let (assumed, life) = (
                format!("arn:aws:sts::{}:assumed-role/{role}/instance", world.options.account),
                world.options.key_life,
            );
            let made = sts::keys(world, &assumed, policy, actor, now, life);
            let document = json!({
                "Code": "Success",
                "LastUpdated": timestamp(now),
                "Type": "AWS-HMAC",
                "AccessKeyId": made.access_key,
                "SecretAccessKey": made.secret,
                "Token": made.token,
                "Expiration": timestamp(made.expires),
            });
            Ok((document.to_string(), None))
        }
        _ => Err(nothing()),
    }
}
