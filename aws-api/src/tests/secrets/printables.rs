//! The one list of what the crate can show: every type with text in it, made of secrets where it may hold some.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Display};
use std::sync::Arc;

use super::super::kit::*;
use super::source::types_that_could_show_a_secret;
use crate::imds::ImdsError;
use crate::protocol::errors;
use crate::system::SetUpError;
use crate::{
    AssumedRole, Client, Config, ConfigError, Credentials, CredentialsError, Error, HttpOptions, Keys, Operation,
    Secret, Service, Settings, ec2, sts,
};

fn debug(value: &impl Debug) -> Vec<String> {
    vec![format!("{value:?}"), format!("{value:#?}")]
}

fn both(value: &(impl Debug + Display)) -> Vec<String> {
    let mut all = debug(value);
    all.push(value.to_string());
    all
}

fn keys() -> Keys {
    Keys::new("AKIA-shown", "hush-secret-access-key", Some("hush-session-token"), None).unwrap()
}

/// Variables with a secret wherever one may stand, in a value that can't be used.
fn unusable(name: &str, value: &str) -> (ConfigError, CredentialsError) {
    let aws = Aws::script([]);
    let clock = Clock::new();
    let variables = environment(&[("AWS_REGION", "eu-west-1"), (name, value)]);
    let config = Config::from_environment(&variables, None);
    let credentials =
        Credentials::from_settings(&Settings::load(&variables).unwrap(), &credentials_parts(&aws, &clock));
    let other = ConfigError::Invalid("none".into());
    (
        config.err().unwrap_or(other),
        credentials.err().unwrap_or_else(|| CredentialsError {
            source: "none".into(),
            message: String::new(),
            temporary: false,
        }),
    )
}

/// What each type shows.
fn printables() -> BTreeMap<&'static str, Vec<String>> {
    let clock = Clock::new();
    let aws = Aws::script([]);
    let credentials = Arc::new(Credentials::fixed(keys(), clock.clone(), Arc::new(MOST)));
    let request = sts::AssumeRoleWithWebIdentity { web_identity_token: "hush-web-token".into(), ..Default::default() };
    let of_sts = sts::Credentials {
        secret_access_key: "hush-secret-access-key".into(),
        session_token: "hush-session-token".into(),
        ..Default::default()
    };
    let role = sts::AssumeRoleResponse { credentials: Some(of_sts.clone()), ..Default::default() };
    let web = sts::AssumeRoleWithWebIdentityResponse { credentials: Some(of_sts.clone()), ..Default::default() };
    let unusable = [
        unusable("AWS_ENDPOINT_URL", "https://user:hush-password@host/"),
        unusable("HTTPS_PROXY", "socks5://hush-user:hush-password@proxy"),
        unusable("ALL_PROXY", "http://hush-user:hush-password@proxy:0"),
        unusable("AWS_ENDPOINT_URL_EC2", "hush-password"),
        unusable("AWS_SESSION_TOKEN", "hush"),
        unusable("AWS_SECRET_ACCESS_KEY", "hush-secret"),
        unusable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "hush-path"),
        unusable("AWS_CONTAINER_CREDENTIALS_FULL_URI", "https://user:hush-password@host/hush"),
        unusable("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://other.example/hush-path"),
        unusable("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://user:hush-password@host"),
    ];
    let config =
        Config::from_environment(&environment(&[("AWS_ENDPOINT_URL", "https://host.example")]), Some("eu-west-1"));
    let config = config.unwrap();
    let variables = [
        ("HTTPS_PROXY", "http://hush-user:hush-password@proxy:3128"),
        ("HTTP_PROXY", "http://hush-user:hush-password@other"),
        ("AWS_CA_BUNDLE", "/etc/ca.pem"),
    ];
    let http = HttpOptions::from_settings(&settings(&variables)).unwrap();
    let body = "<AssumeRoleResponse><AssumeRoleResult><Credentials><Expiration>hush</Expiration>";
    let parse = sts::AssumeRole::decode(body.as_bytes()).unwrap_err();
    let said = errors::parse(Service::Ec2, b"<Response><Error><Code>A</Code></Error></Response>").unwrap();
    let error = Error::new(Service::Ec2, "CreateTags", crate::Class::Invalid, parse.to_string());
    let client = Client::new(crate::ClientParts { credentials: credentials.clone(), ..parts(&aws, &clock) });
    let role_to_take_on = AssumedRole { arn: "arn:aws:iam::111122223333:role/dns".into(), ..Default::default() };
    let files =
        SharedFiles::new("printed", "[default]\nca_bundle = /hush-1", "[default]\naws_secret_access_key=hush-2");
    let shared = settings(&files.variables(&[("AWS_SECRET_ACCESS_KEY", "hush-3")]));
    let found = shared.ca_bundle().unwrap();
    let config_errors = || unusable.iter().map(|(error, _)| error);
    let credentials_errors = || unusable.iter().map(|(_, error)| error);
    BTreeMap::from([
        ("client::Client", debug(&client)),
        ("config::Config", debug(&config)),
        ("config::ConfigError", config_errors().flat_map(both).collect()),
        ("config::Endpoint", debug(&config.endpoints.ec2)),
        ("config::Endpoints", debug(&config.endpoints)),
        // An external id is no secret (IAM user guide): both sides' accounts show it.
        ("credentials::role::AssumedRole", debug(&role_to_take_on)),
        ("credentials::Credentials", debug(&credentials)),
        ("credentials::CredentialsError", credentials_errors().flat_map(both).collect()),
        ("error::Error", [both(&error), vec![error.summary().to_string()]].concat()),
        ("error::ParseError", both(&parse)),
        ("error::Summary", vec![error.summary().to_string()]),
        ("generated::sts::AssumeRoleResponse", debug(&role)),
        ("generated::sts::AssumeRoleWithWebIdentity", debug(&request)),
        ("generated::sts::AssumeRoleWithWebIdentityResponse", debug(&web)),
        ("generated::sts::Credentials", debug(&of_sts)),
        ("http_transport::options::CaBundle", debug(&http.ca_bundle.clone().unwrap())),
        ("http_transport::options::HttpOptions", debug(&http)),
        ("http_transport::proxy::Proxies", both(&http.proxies)),
        // Made by the metadata service's answers: `echoes` goes through them.
        ("imds::ImdsError", debug(&ImdsError { message: String::new(), temporary: true })),
        ("operation::Encoded", debug(&request.encode())),
        ("profile_file::Place", vec![found.origin.to_string()]),
        ("protocol::errors::ApiError", debug(&said)),
        ("rates::Rates", debug(&config.rates)),
        ("secret::Keys", debug(&keys())),
        ("secret::Secret", debug(&Secret::new("hush-secret"))),
        ("settings::Found", debug(&found)),
        ("settings::Origin", vec![found.origin.to_string()]),
        ("settings::Settings", debug(&shared)),
        ("system::SetUpError", {
            let config = config_errors().map(|error| SetUpError::Config(error.clone()));
            let credentials = credentials_errors().map(|error| SetUpError::Credentials(error.clone()));
            config.chain(credentials).flat_map(|error| both(&error)).collect()
        }),
        // Its text is the transport's: `echoes` has one that tells all it knows.
        ("transport::TransportError", both(&crate::TransportError::Lost("reset".into()))),
    ])
}

#[test]
fn every_type_that_can_be_shown_and_holds_text_is_in_the_list() {
    let listed: BTreeSet<String> = printables().keys().map(|&name| name.to_owned()).collect();
    let found = types_that_could_show_a_secret();
    let missing: Vec<_> = found.difference(&listed).collect();
    assert!(missing.is_empty(), "can be shown, but isn't in printables(): {missing:?}; put one in, made of secrets");
    let gone: Vec<_> = listed.difference(&found).collect();
    assert!(gone.is_empty(), "in printables(), but not in the source: {gone:?}");
}

#[test]
fn nothing_in_the_list_shows_a_secret() {
    for (name, shown) in printables() {
        assert!(!shown.is_empty() && shown.iter().all(|text| !text.is_empty()), "{name}");
        for text in shown {
            assert!(!text.contains("hush"), "{name}: {text}");
        }
    }
}

#[test]
fn what_has_a_secret_in_an_operation_names_it() {
    let request = sts::AssumeRoleWithWebIdentity { web_identity_token: "hush".into(), ..Default::default() };
    assert_eq!(request.secrets(), ["hush"]);
    assert!(sts::AssumeRole::default().secrets().is_empty() && ec2::CreateTags::default().secrets().is_empty());
}
