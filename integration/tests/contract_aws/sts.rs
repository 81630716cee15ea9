//! Who one is, and roles.

use aws_api::sts;

use super::ground::Ground;

pub const IDENTITY: &str = "\
who am I: done
account: 12 digits
take on a role: done
keys: ASIA..., secret and token: true, good for an hour: true
as a user of the role: assumed-role/contract/session
without a session's name: 400 ValidationError
a role that isn't there: 403 AccessDenied
by a token: done
as: assumed-role/contract/session
by a token that isn't known: 400 InvalidIdentityToken
";

pub async fn identity(ground: &mut Ground) {
    let me = ground.step("who am I", &sts::GetCallerIdentity {}).await.unwrap();
    let account = me.account.unwrap();
    let digits = account.bytes().filter(u8::is_ascii_digit).count();
    ground.say("account", format!("{digits} digits"));
    let assume = |role: &str, session: &str| sts::AssumeRole {
        role_arn: format!("arn:aws:iam::{account}:role/{role}"),
        role_session_name: session.into(),
        duration_seconds: Some(3600),
        ..Default::default()
    };
    let given = ground.step("take on a role", &assume("contract", "session")).await.unwrap();
    let keys = given.credentials.unwrap();
    let left = keys.expiration.as_second() - ground.now();
    let what = format!(
        "{}..., secret and token: {}, good for an hour: {}",
        keys.access_key_id.get(..4).unwrap(),
        !keys.secret_access_key.is_empty() && !keys.session_token.is_empty(),
        (3500..=3700).contains(&left)
    );
    ground.say("keys", what);
    let role = |user: Option<sts::AssumedRoleUser>| user.unwrap().arn.split_once("assumed-role").unwrap().1.to_owned();
    ground.say("as a user of the role", format!("assumed-role{}", role(given.assumed_role_user)));
    ground.step("without a session's name", &assume("contract", "")).await;
    ground.step("a role that isn't there", &assume("nobody", "session")).await;
    let by = |token: &str| sts::AssumeRoleWithWebIdentity {
        role_arn: format!("arn:aws:iam::{account}:role/contract"),
        role_session_name: "session".into(),
        web_identity_token: token.into(),
        ..Default::default()
    };
    let given = ground.step("by a token", &by("a-token")).await.unwrap();
    ground.say("as", format!("assumed-role{}", role(given.assumed_role_user)));
    ground.step("by a token that isn't known", &by("another")).await;
}
