//! Which requests go through which proxy.

use crate::HttpOptions;
use crate::http_transport::Proxies;
use crate::tests::kit::environment;

/// What the proxy to `url` is called.
fn way(variables: &[(&str, &str)], url: &str) -> Option<String> {
    let proxies = Proxies::from_environment(&environment(variables)).unwrap();
    proxies.way(&url.parse().unwrap()).map(|way| way.name)
}

fn refused(variable: &str, url: &str) -> String {
    HttpOptions::from_environment(&environment(&[(variable, url)])).unwrap_err().to_string()
}

const HTTPS: &str = "https://ec2.eu-west-1.amazonaws.com/";
const HTTP: &str = "http://ec2.eu-west-1.amazonaws.com/";

#[test]
fn each_scheme_has_its_variable_and_upper_case_goes_first() {
    let all = [
        ("HTTPS_PROXY", "http://a:1"),
        ("https_proxy", "http://b:2"),
        ("HTTP_PROXY", "http://c:3"),
        ("http_proxy", "http://d:4"),
        ("ALL_PROXY", "http://e:5"),
        ("all_proxy", "http://f:6"),
    ];
    let https = ["a:1 (HTTPS_PROXY)", "b:2 (https_proxy)", "e:5 (ALL_PROXY)", "e:5 (ALL_PROXY)", "e:5 (ALL_PROXY)"];
    let http = ["c:3 (HTTP_PROXY)", "c:3 (HTTP_PROXY)", "c:3 (HTTP_PROXY)", "d:4 (http_proxy)", "e:5 (ALL_PROXY)"];
    for (gone, (https, http)) in https.into_iter().zip(http).enumerate() {
        assert_eq!(way(&all[gone..], HTTPS).unwrap(), format!("the proxy {https}"));
        assert_eq!(way(&all[gone..], HTTP).unwrap(), format!("the proxy {http}"));
    }
    assert_eq!(way(&all[5..], HTTP).unwrap(), "the proxy f:6 (all_proxy)");
    assert_eq!(
        way(&[("HTTPS_PROXY", " "), ("https_proxy", "http://b:2")], HTTPS).unwrap(),
        "the proxy b:2 (https_proxy)"
    );
    assert_eq!(way(&[], HTTPS), None);
    assert_eq!(way(&[("HTTP_PROXY", "http://c:3")], HTTPS), None);
    assert_eq!(way(&[("HTTPS_PROXY", "http://a:1")], HTTP), None);
}

#[test]
fn a_proxy_may_be_written_in_several_ways() {
    for url in ["http://proxy:3128", "HTTP://proxy:3128/", "proxy:3128", "http://me:pass%40word@proxy:3128/path"] {
        assert_eq!(way(&[("HTTPS_PROXY", url)], HTTPS).unwrap(), "the proxy proxy:3128 (HTTPS_PROXY)", "{url}");
    }
    for (url, place) in [("https://proxy", "proxy"), ("http://[fd00::1]:3128", "[fd00::1]:3128")] {
        assert_eq!(way(&[("HTTPS_PROXY", url)], HTTPS).unwrap(), format!("the proxy {place} (HTTPS_PROXY)"));
    }
}

#[test]
fn what_is_no_proxy_is_refused_without_being_quoted() {
    for url in [
        "http://",
        "http://:3128",
        "http://proxy:99999",
        "http://proxy:0",
        "http://proxy:",
        "ftp://hunter2@proxy",
        "http://me:hunter2@ proxy",
        "http://me:hunter2/@proxy:3128",
        "//hunter2@proxy:3128",
        "/hunter2",
    ] {
        for variable in ["HTTPS_PROXY", "http_proxy", "ALL_PROXY"] {
            let said = refused(variable, url);
            assert!(said.starts_with(&format!("{variable} isn't the URL of a proxy: ")), "{url}: {said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
    for socks in ["socks5://hunter2@proxy:1080", "socks5h://proxy", "socks4://proxy"] {
        let said = refused("ALL_PROXY", socks);
        assert!(said.contains("ALL_PROXY names a SOCKS proxy") && !said.contains("hunter2"), "{said}");
    }
}

#[test]
fn user_and_password_are_shown_nowhere() {
    let variables = [("HTTPS_PROXY", "http://jane:hunter2@proxy:3128"), ("HTTP_PROXY", "http://jane:hunter2@other")];
    let options = HttpOptions::from_environment(&environment(&variables)).unwrap();
    let way = options.proxies.way(&HTTPS.parse().unwrap()).unwrap();
    // jane:hunter2
    assert_eq!(way.authorization.as_ref().unwrap(), "Basic amFuZTpodW50ZXIy");
    let shown = format!("{options:?} {} {} {} {:?}", options.proxies, way.name, way.uri, way.authorization);
    assert!(!["jane", "hunter2", "amFuZ"].iter().any(|secret| shown.contains(secret)), "{shown}");
    let text = options.proxies.to_string();
    assert_eq!(text, "https through proxy:3128 (HTTPS_PROXY), http through other (HTTP_PROXY)");
    assert_eq!(HttpOptions::default().proxies.to_string(), "none");
}

#[test]
fn exceptions_are_heeded() {
    let excepted = |list: &str, host: &str| {
        let urls = [format!("https://{host}/"), format!("http://{host}/")];
        let both = urls.map(|url| way(&[("ALL_PROXY", "http://proxy:3128"), ("no_proxy", list)], &url).is_none());
        assert_eq!(both[0], both[1], "{list} {host}");
        both[0]
    };
    for (list, host) in [
        ("*", "ec2.eu-west-1.amazonaws.com"),
        ("amazonaws.com", "ec2.eu-west-1.amazonaws.com"),
        (".amazonaws.com", "ec2.eu-west-1.amazonaws.com"),
        ("*.amazonaws.com", "ec2.eu-west-1.amazonaws.com"),
        ("*.AmazonAWS.com", "EC2.eu-west-1.amazonaws.com"),
        ("one.example, two.example,three.example", "two.example"),
        ("one.example two.example", "two.example"),
        ("10.1.2.3", "10.1.2.3"),
        ("10.0.0.0/8", "10.1.2.3:8443"),
        ("fd00::/8", "[fd12::1]"),
        ("fd12::1", "[fd12::1]:8443"),
        ("[fd12::1]", "[fd12::1]"),
        ("two.example:8443", "two.example:8443"),
        ("[fd12::1]:8443", "[fd12::1]:8443"),
        ("one.example,two.example:8443", "one.example:8443"),
    ] {
        assert!(excepted(list, host), "{list:?} {host}");
    }
    for (list, host) in [
        ("", "ec2.eu-west-1.amazonaws.com"),
        ("amazonaws.com", "notamazonaws.com"),
        ("ec2.eu-west-1.amazonaws.com", "amazonaws.com"),
        ("10.0.0.0/8", "11.1.2.3"),
        ("10.0.0.0/8", "ten.example"),
        ("fd00::/8", "[fe00::1]"),
        ("two.example:8443", "two.example"),
        ("two.example:8443", "two.example:443"),
        ("[fd12::1]:8443", "[fd12::1]"),
    ] {
        assert!(!excepted(list, host), "{list:?} {host}");
    }
    // The port of a scheme counts where none is written.
    let variables = [("HTTPS_PROXY", "proxy:3128"), ("NO_PROXY", "two.example:443")];
    assert_eq!(way(&variables, "https://two.example/"), None);
    // As for proxies, upper case goes first.
    let variables = [("HTTPS_PROXY", "proxy:3128"), ("NO_PROXY", "one.example"), ("no_proxy", "*")];
    assert!(way(&variables, "https://two.example/").is_some());
}

#[test]
fn what_is_near_never_goes_through_a_proxy() {
    let variables = [("HTTPS_PROXY", "http://proxy:3128"), ("HTTP_PROXY", "http://proxy:3128")];
    for host in [
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "169.254.1.1:8080",
        "[fd00:ec2::254]",
        "[fd00:ec2::23]:80",
        "[fe80::1]",
        "[febf::1]",
        "[fe80::1%25eth0]",
        "127.0.0.1:1234",
        "127.9.9.9",
        "[::1]:1234",
        "[::ffff:169.254.169.254]",
        "localhost:4566",
        "LocalHost",
        "localhost.",
    ] {
        for scheme in ["http", "https"] {
            assert_eq!(way(&variables, &format!("{scheme}://{host}/")), None, "{host}");
        }
    }
    for host in ["169.253.1.1", "128.0.0.1", "[fd00:ec3::1]", "[fec0::1]", "[::2]", "localhost.example", "10.0.0.1"] {
        assert!(way(&variables, &format!("http://{host}/")).is_some(), "{host}");
    }
}
