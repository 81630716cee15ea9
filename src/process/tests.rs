#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::{aws_transport, doubt_about_lease, settle_proxy};
use crate::args::{Cli, Command, Config};
use clap::Parser;

fn config(more: &[&str]) -> Config {
    let mut line = vec!["external-ips", "run", "--cluster-name", "c1"];
    line.extend(more);
    let Command::Run(args) = Cli::try_parse_from(line).unwrap().command else { panic!("it runs") };
    args.config(|_| None).unwrap()
}

fn behind(proxy: &str) -> kube::Config {
    let mut config = kube::Config::new("https://127.0.0.1:6443".parse().unwrap());
    config.proxy_url = Some(proxy.parse().unwrap());
    config
}

#[test]
fn a_proxy_of_the_environment_is_left_out() {
    let mut config = behind("https://me:hunter2@proxy:3128");
    let env = |name: &str| (name == "https_proxy").then(|| "https://me:hunter2@proxy:3128".to_owned());
    assert_eq!(settle_proxy(&mut config, env), Ok(()));
    assert_eq!(config.proxy_url, None);
}

#[test]
fn a_proxy_of_the_kubeconfig_is_refused_without_its_password() {
    let why = settle_proxy(&mut behind("http://me:hunter2@proxy:3128"), |_| None).unwrap_err();
    assert!(why.contains("proxy-url") && !why.contains("hunter2"), "{why}");
}

#[test]
fn who_may_lead_from_outside_the_cluster_is_told_which_lease_that_is() {
    let doubt = |flags: &[&str], in_cluster| doubt_about_lease(&config(flags), in_cluster, "default");
    let why = doubt(&[], false).unwrap();
    assert!(why.contains("default/external-ips") && why.contains("--lease-namespace"), "{why}");
    assert_eq!(doubt(&["--lease-namespace", "external-ips"], false), None);
    assert_eq!(doubt(&["--dry-run"], false), None);
    assert_eq!(doubt(&[], true), None);
}

#[test]
fn a_proxy_or_a_bundle_that_cannot_be_used_ends_the_start_and_names_its_variable() {
    let log = slog::Logger::root(slog::Discard, slog::o!());
    let settings =
        |name: &str, value: &str| aws_api::Settings::load(&[(name.to_owned(), value.to_owned())].into()).unwrap();
    let start = |name: &str, value: &str| aws_transport(&settings(name, value), &log).map(|_| ());
    let why = start("HTTPS_PROXY", "socks5://me:hunter2@proxy:1080").unwrap_err();
    assert!(why.contains("HTTPS_PROXY") && !why.contains("hunter2"), "{why}");
    let why = start("AWS_CA_BUNDLE", "/nowhere/ca.pem").unwrap_err();
    assert!(why.contains("AWS_CA_BUNDLE") && why.contains("/nowhere/ca.pem"), "{why}");
    assert_eq!(start("HTTPS_PROXY", "http://me:hunter2@proxy:3128"), Ok(()));
}
