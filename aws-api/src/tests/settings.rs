//! Variables go before the profile, and everything is told by where it stands.

use super::kit::*;
use crate::operation::Service;
use crate::{Config, ConfigError, Settings};

fn load(variables: &[(&str, &str)]) -> Result<Settings, String> {
    Settings::load(&environment(variables)).map_err(|error| error.to_string())
}

fn config(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_environment(&environment(variables), None)
}

#[test]
fn the_region_is_the_flags_then_that_of_a_variable_then_the_profiles() {
    let files = SharedFiles::new("region", "[default]\nregion = eu-west-3\n[profile p]\nregion=eu-north-1", "");
    let region = |more: &[(&'static str, &'static str)]| config(&files.variables(more)).unwrap().region;
    assert_eq!(region(&[]), "eu-west-3");
    assert_eq!(region(&[("AWS_PROFILE", "p")]), "eu-north-1");
    assert_eq!(region(&[("AWS_DEFAULT_REGION", "eu-west-2")]), "eu-west-2");
    assert_eq!(region(&[("AWS_DEFAULT_REGION", "eu-west-2"), ("AWS_REGION", "eu-west-1")]), "eu-west-1");
    let settings = load(&files.variables(&[])).unwrap();
    assert_eq!(Config::from_settings(&settings, Some("us-east-2")).unwrap().region, "us-east-2");
}

#[tokio::test(start_paused = true)]
async fn the_instance_is_not_asked_for_a_region_that_the_profile_has() {
    let files = SharedFiles::new("region-imds", "[default]\nregion = eu-west-3", "");
    let settings = load(&files.variables(&[])).unwrap();
    let config = Config::resolve(&settings, None, Aws::script([]).transport(), Clock::new()).await.unwrap();
    assert_eq!(config.region, "eu-west-3");
}

#[test]
fn each_setting_has_a_variable_that_goes_before_the_profiles_key() {
    let text = "[default]\nregion=us-east-1\nmax_attempts=7\nuse_fips_endpoint=true\nca_bundle=/p\n\
                sts_regional_endpoints=legacy";
    let files = SharedFiles::new("each", text, "");
    let of_profile = config(&files.variables(&[])).unwrap();
    assert_eq!(of_profile.max_attempts, 7);
    assert_eq!(of_profile.endpoints.ec2.url, "https://ec2-fips.us-east-1.amazonaws.com");
    let bundle = |more| load(&files.variables(more)).unwrap().ca_bundle().unwrap().value.to_owned();
    assert_eq!((bundle(&[]), bundle(&[("AWS_CA_BUNDLE", "/v")])), ("/p".to_owned(), "/v".to_owned()));
    let variables = [("AWS_MAX_ATTEMPTS", "2"), ("AWS_USE_FIPS_ENDPOINT", "false")];
    let of_variables = config(&files.variables(&variables)).unwrap();
    assert_eq!(of_variables.max_attempts, 2);
    assert_eq!(of_variables.endpoints.ec2.url, "https://ec2.us-east-1.amazonaws.com");
    assert_eq!(of_variables.endpoints.sts.url, "https://sts.amazonaws.com");
    let regional = [&variables[..], &[("AWS_STS_REGIONAL_ENDPOINTS", "regional")]].concat();
    assert_eq!(config(&files.variables(&regional)).unwrap().endpoints.sts.url, "https://sts.us-east-1.amazonaws.com");
    let files = SharedFiles::new("each-dual", "[default]\nregion=eu-west-1\nuse_dualstack_endpoint=True", "");
    assert_eq!(config(&files.variables(&[])).unwrap().endpoints.ec2.url, "https://ec2.eu-west-1.api.aws");
}

#[test]
fn endpoints_are_looked_for_from_the_most_particular_on() {
    let text = "[default]\nregion=eu-west-1\nservices=mine\nendpoint_url=http://profile\n\
                [services mine]\nec2=\n  endpoint_url = http://section-ec2\nroute_53 =\n  endpoint_url = http://section-53\n";
    let files = SharedFiles::new("endpoints", text, "");
    let urls = |more: &[(&'static str, &'static str)]| {
        let config = config(&files.variables(more)).unwrap();
        [Service::Ec2, Service::Route53, Service::Sts].map(|service| config.endpoint(service).url.clone())
    };
    assert_eq!(urls(&[]), ["http://section-ec2", "http://section-53", "http://profile"]);
    assert_eq!(urls(&[("AWS_ENDPOINT_URL", "http://all")]), ["http://all"; 3]);
    let own = [("AWS_ENDPOINT_URL_EC2", "http://own")];
    assert_eq!(urls(&own), ["http://own", "http://section-53", "http://profile"]);
    let ignored = urls(&[own[0], ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")]);
    assert_eq!(ignored[0], "https://ec2.eu-west-1.amazonaws.com");
    let text = "[default]\nregion=eu-west-1\nendpoint_url=http://p\nignore_configured_endpoint_urls=true";
    let files = SharedFiles::new("endpoints-ignored", text, "");
    assert_eq!(config(&files.variables(&[])).unwrap(), Config::new("eu-west-1").unwrap());
}

#[test]
fn a_services_section_that_is_not_there_is_named() {
    let files = SharedFiles::new("no-section", "[default]\nregion=eu-west-1\nservices=mine", "");
    let why = config(&files.variables(&[])).unwrap_err().to_string();
    assert!(why.contains("services in [profile default]") && why.contains("no [services mine]"), "{why}");
    assert!(why.contains("no-section-config:3"), "{why}");
}

#[test]
fn a_wrong_value_of_the_profile_is_told_by_its_place_and_not_quoted() {
    for (name, line) in [
        ("region", "region = hush!"),
        ("attempts", "max_attempts = hush"),
        ("mode", "retry_mode = hush"),
        ("fips", "use_fips_endpoint = hush"),
        ("sts", "sts_regional_endpoints = hush"),
        ("endpoint", "endpoint_url = hush"),
        ("ignore", "ignore_configured_endpoint_urls = hush"),
        ("both", "endpoint_url = http://u:hush@h\nuse_fips_endpoint=true"),
    ] {
        let text = if name == "region" {
            format!("[default]\n\n{line}")
        } else {
            format!("[default]\nregion=eu-west-1\n{line}")
        };
        let files = SharedFiles::new(&format!("wrong-{name}"), &text, "");
        let why = config(&files.variables(&[])).unwrap_err().to_string();
        assert!(why.contains("in [profile default]") && why.contains("-config:3"), "{why}");
        // A region is quoted: it is no secret, and what is wrong with it is hard to see.
        assert!(name == "region" || !why.contains("hush"), "{why}");
    }
}

#[test]
fn a_named_profile_that_is_not_there_is_an_error_that_lists_files_and_profiles() {
    let files = SharedFiles::new("absent", "[profile one]\nregion=x\n[three]\n", "[two]\n[profile four]");
    let why = load(&files.variables(&[("AWS_PROFILE", "none")])).unwrap_err();
    for part in ["AWS_PROFILE is \"none\"", "absent-config", "absent-credentials", "there are one, two"] {
        assert!(why.contains(part), "{part}: {why}");
    }
    let why = load(&files.variables(&[("AWS_PROFILE", "three")])).unwrap_err();
    assert!(why.contains("it must be [profile three]"), "{why}");
    let why = load(&files.variables(&[("AWS_PROFILE", "four")])).unwrap_err();
    assert!(why.contains("it must be [four]"), "{why}");
    let why = load(&[("AWS_PROFILE", "p"), ("AWS_CONFIG_FILE", "/no/such/file")]).unwrap_err();
    assert!(why.contains("/no/such/file (not there)") && why.contains("there are no profiles"), "{why}");
    assert!(load(&[("AWS_PROFILE", "p")]).unwrap_err().contains("HOME isn't set"));
}

#[test]
fn without_files_there_is_no_error_and_default_needs_no_file() {
    for variables in [&[][..], &[("AWS_PROFILE", "default")], &[("AWS_PROFILE", ""), ("HOME", "/no/such/home")]] {
        assert_eq!(load(variables).unwrap().profile(), "default");
    }
}

#[test]
fn the_usual_places_are_in_the_home_directory() {
    let home = std::env::temp_dir().join(format!("aws-api-{}-usual-home", std::process::id()));
    std::fs::create_dir_all(home.join(".aws")).unwrap();
    std::fs::write(home.join(".aws").join("config"), "[profile p]\nregion=eu-west-1\nmax_attempts=4").unwrap();
    std::fs::write(home.join(".aws").join("credentials"), "[p]\nmax_attempts=5").unwrap();
    std::fs::write(home.join("other"), "[profile p]\nregion=eu-west-2").unwrap();
    let variables = [("HOME", home.to_str().unwrap()), ("AWS_PROFILE", "p")];
    let usual = config(&variables);
    let moved = config(&[&variables[..], &[("AWS_CONFIG_FILE", "~/other")]].concat());
    std::fs::remove_dir_all(&home).unwrap();
    // The credentials file goes before the config file.
    assert_eq!(usual.map(|it| (it.region, it.max_attempts)).unwrap(), ("eu-west-1".to_owned(), 5));
    assert_eq!(moved.map(|it| it.region).unwrap(), "eu-west-2");
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_where_a_variable_names_it() {
    let home = std::env::temp_dir().join(format!("aws-api-{}-odd-home", std::process::id()));
    std::fs::create_dir_all(home.join(".aws").join("config")).unwrap();
    let directory = home.join(".aws").join("config");
    let usual = load(&[("HOME", home.to_str().unwrap())]);
    let named = load(&[("AWS_CONFIG_FILE", directory.to_str().unwrap())]);
    std::fs::remove_dir_all(&home).unwrap();
    assert!(usual.is_ok());
    let why = named.unwrap_err();
    assert!(why.contains("AWS_CONFIG_FILE") && why.contains(".aws/config can't be read"), "{why}");
}

#[test]
fn a_file_that_is_huge_or_no_text_is_refused() {
    let huge = TokenFile::new("huge-config", &"#".repeat(1024 * 1024 + 1));
    assert!(load(&[("AWS_CONFIG_FILE", huge.path())]).unwrap_err().contains("too large"));
    let binary = TokenFile::new("binary-config", "");
    std::fs::write(&binary.0, b"[default]\na=\xff").unwrap();
    let why = load(&[("AWS_CONFIG_FILE", binary.path())]).unwrap_err();
    assert!(why.contains("binary-config") && why.contains("UTF-8"), "{why}");
}

#[test]
fn settings_that_are_shown_hold_no_value() {
    let files = SharedFiles::new("shown", "[default]\nca_bundle = /hush-1", "[default]\naws_secret_access_key=hush-2");
    let settings = load(&files.variables(&[("AWS_SECRET_ACCESS_KEY", "hush-3")])).unwrap();
    let shown = format!("{settings:?} {:?}", settings.ca_bundle().unwrap());
    assert!(!shown.contains("hush") && shown.contains("ca_bundle in [profile default]"), "{shown}");
}
