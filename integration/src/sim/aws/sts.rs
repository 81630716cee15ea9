//! STS: GetCallerIdentity, AssumeRole, AssumeRoleWithWebIdentity. Temporary keys end.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::sim::event::Actor;

use super::answer::{Refusal, Result, Xml, refuse};
use super::form::Form;
use super::identity::Principal;
use super::policy::{Facts, Policy};
use super::route53::timestamp;
use super::world::{Caller, World};

/// Keys that were just made.
pub(super) struct TemporaryKeys {
    pub access_key: String,
    pub secret: String,
    pub token: String,
    pub expires: SystemTime,
}

/// Makes temporary keys that may do what `policy` allows.
pub(super) fn keys(
    world: &mut World,
    arn: &str,
    policy: Arc<Policy>,
    actor: Actor,
    now: SystemTime,
    life: Duration,
) -> TemporaryKeys {
    let number = world.number();
    let drawn = world.random.next();
    let made = TemporaryKeys {
        access_key: format!("ASIA{number:016}"),
        secret: format!("secret-{drawn:016x}-{number}"),
        token: format!("token-{:016x}-{number}", world.random.next()),
        expires: now + life,
    };
    let principal = Principal {
        secret: made.secret.clone(),
        token: Some(made.token.clone()),
        policy,
        actor,
        arn: arn.to_owned(),
        expires: Some(made.expires),
    };
    world.identities.principals.insert(made.access_key.clone(), principal);
    made
}

/// The content of the answer to a signed request.
pub(super) fn answer(
    world: &mut World,
    caller: &Caller,
    operation: &str,
    form: &Form,
    now: SystemTime,
) -> Result<String> {
    match operation {
        // Nobody needs a permission for it.
        "GetCallerIdentity" => {
            let mut xml = Xml::default();
            xml.put("Arn", &caller.arn);
            xml.put("UserId", "AIDASIMULATED");
            xml.put("Account", &world.options.account);
            Ok(xml.0)
        }
        "AssumeRole" => {
            let arn = need(form, "RoleArn")?.to_owned();
            caller.may("sts:AssumeRole", &arn, &Facts::new())?;
            let role = world.identities.roles.get(&arn).filter(|role| role.trusts_account).cloned();
            let Some(role) = role else { return Err(not_trusted(&caller.arn, &arn)) };
            give(world, form, &arn, role.policy, caller.actor, now)
        }
        other => refuse("InvalidAction", format!("Could not find operation {other} for version 2011-06-15")),
    }
}

/// AssumeRoleWithWebIdentity, which is unsigned: the token says who asks.
pub(super) fn web_identity(world: &mut World, form: &Form, now: SystemTime) -> Result<String> {
    let arn = need(form, "RoleArn")?.to_owned();
    let token = need(form, "WebIdentityToken")?;
    let Some(role) = world.identities.roles.get(&arn).cloned() else {
        return Err(not_trusted("a web identity", &arn));
    };
    let Some(actor) = role.web_identities.get(token).copied() else {
        return refuse("InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider");
    };
    give(world, form, &arn, role.policy, actor, now)
}

fn need<'a>(form: &'a Form, name: &str) -> Result<&'a str> {
    form.need(name)
        .or_else(|_| refuse("ValidationError", format!("Value null at '{name}' failed to satisfy constraint")))
}

fn not_trusted(who: &str, arn: &str) -> Refusal {
    Refusal::new(403, "AccessDenied", format!("{who} is not authorized to perform: sts:AssumeRole on resource: {arn}"))
}

fn give(
    world: &mut World,
    form: &Form,
    arn: &str,
    policy: Arc<Policy>,
    actor: Actor,
    now: SystemTime,
) -> Result<String> {
    let session = need(form, "RoleSessionName")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    if !(2..=64).contains(&session.len()) || !session.bytes().all(plain) {
        return refuse(
            "ValidationError",
            format!("Value '{session}' at 'roleSessionName' failed to satisfy constraint"),
        );
    }
    let asked = match form.number("DurationSeconds", 900, 43_200) {
        Ok(asked) => asked,
        Err(_) => return refuse("ValidationError", "Value at 'durationSeconds' must be between 900 and 43200"),
    };
    let life = asked.map_or(world.options.key_life, |seconds| Duration::from_secs(seconds as u64));
    let role = arn.rsplit('/').next().unwrap_or_default();
    let assumed = format!("arn:aws:sts::{}:assumed-role/{role}/{session}", world.options.account);
    let made = keys(world, &assumed, policy, actor, now, life);
    let mut xml = Xml::default();
    xml.within("Credentials", |xml| {
        xml.put("AccessKeyId", &made.access_key);
        xml.put("SecretAccessKey", &made.secret);
        xml.put("SessionToken", &made.token);
        xml.put("Expiration", timestamp(made.expires));
    });
    xml.within("AssumedRoleUser", |xml| {
        xml.put("AssumedRoleId", format!("AROASIMULATED:{session}"));
        xml.put("Arn", &assumed);
    });
    Ok(xml.0)
}
