use crate::operation::Operation;
use crate::sts;

#[test]
fn debug_shows_no_secret() {
    let credentials = sts::Credentials {
        access_key_id: "AKIA-shown".into(),
        secret_access_key: "hush-1".into(),
        session_token: "hush-2".into(),
        ..Default::default()
    };
    let answer = sts::AssumeRoleResponse { credentials: Some(credentials), ..Default::default() };
    let request = sts::AssumeRoleWithWebIdentity {
        role_arn: "arn-shown".into(),
        web_identity_token: "hush-3".into(),
        ..Default::default()
    };
    let shown = format!("{answer:?} {answer:#?} {request:?} {:?}", request.encode());
    assert!(!shown.contains("hush"), "{shown}");
    assert!(shown.contains("AKIA-shown") && shown.contains("arn-shown") && shown.contains("(hidden)"), "{shown}");
}

#[test]
fn an_answer_with_credentials_that_cannot_be_read_is_not_quoted() {
    let start = "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>A</AccessKeyId>";
    for rest in [
        "<SecretAccessKey>hush&bad;</SecretAccessKey>",
        "<SecretAccessKey>hush<b/></SecretAccessKey>",
        "<SecretAccessKey>hush</SessionToken>",
        "<SecretAccessKey>hush</SecretAccessKey><SessionToken>hush",
        "<SecretAccessKey>hush</SecretAccessKey></Credentials></AssumeRoleResult></AssumeRoleResponse>",
    ] {
        let error = sts::AssumeRole::decode(format!("{start}{rest}").as_bytes()).unwrap_err();
        assert!(!error.0.contains("hush"), "{}", error.0);
    }
}
