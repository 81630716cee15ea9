//! Which requests go through which proxy. Must not tell user name or password of a proxy.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;

use crate::config::{ConfigError, Environment, variable};

/// The proxies to go through, and what doesn't go through them. By default there are none.
#[derive(Clone, Default)]
pub struct Proxies(Option<Arc<Rules>>);

struct Rules {
    http: Option<Named>,
    https: Option<Named>,
    /// By the exceptions that hold for any port.
    any_port: Matcher,
    /// By these and the exceptions that hold for one port alone.
    one_port: BTreeMap<u16, Matcher>,
}

/// A proxy and the variable that names it.
#[derive(Clone)]
struct Named {
    variable: &'static str,
    /// With user name and password.
    url: String,
    /// Without them.
    place: String,
}

/// The proxy that a request goes through.
#[derive(Clone)]
pub(crate) struct Way {
    /// Where the proxy is; `http` or `https`, without user name and password.
    pub(crate) uri: Uri,
    /// What admits to it.
    pub(crate) authorization: Option<HeaderValue>,
    /// What it is called in errors: host, port and variable.
    pub(crate) name: String,
    /// The variable that names it.
    pub(super) variable: &'static str,
}

impl Proxies {
    /// The proxies that the environment names: `HTTPS_PROXY` for https and `HTTP_PROXY` for http, else `ALL_PROXY`;
    /// and the exceptions in `NO_PROXY`. Upper case goes before lower case, as in Go.
    ///
    /// A proxy is `[http[s]://][user[:password]@]host[:port]`. `NO_PROXY` lists, with commas between: `*`; a host's
    /// name, which covers the names below it (`.name` and `*.name` mean the same); an IP address; a network
    /// (`10.0.0.0/8`). Names and addresses are compared as they are written in the URL, none is resolved. `:port` at
    /// the end limits an entry to that port.
    ///
    /// Hosts that are the machine itself or on its link never go through a proxy, whatever the variables say:
    /// localhost, 127.0.0.0/8, ::1, 169.254.0.0/16, fe80::/10, fd00:ec2::/32. There are the metadata service and the
    /// agents that hand out keys.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] names the variable, and never quotes it.
    pub fn from_environment(environment: &Environment) -> Result<Proxies, ConfigError> {
        let named = |names: [&'static str; 4]| {
            let found = names.into_iter().find_map(|name| Some((name, variable(environment, name)?)));
            found.map(|(name, url)| Named::new(name, url)).transpose().map_err(ConfigError::Invalid)
        };
        let https = named(["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])?;
        let http = named(["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])?;
        if https.is_none() && http.is_none() {
            return Ok(Proxies(None));
        }
        let list = variable(environment, "NO_PROXY").or_else(|| variable(environment, "no_proxy")).unwrap_or_default();
        let mut any_port = Vec::new();
        let mut one_port: BTreeMap<u16, Vec<String>> = BTreeMap::new();
        for entry in list.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty()) {
            let (host, port) = host_and_port(entry);
            match port {
                None => any_port.push(host),
                Some(port) => one_port.entry(port).or_default().push(host),
            }
        }
        let url = |named: &Option<Named>| named.as_ref().map(|it| it.url.clone()).unwrap_or_default();
        let matcher = |exceptions: &[String]| {
            Matcher::builder().http(url(&http)).https(url(&https)).no(exceptions.join(",")).build()
        };
        let one_port = one_port
            .into_iter()
            .map(|(port, exceptions)| (port, matcher(&[exceptions, any_port.clone()].concat())))
            .collect();
        let any_port = matcher(&any_port);
        Ok(Proxies(Some(Arc::new(Rules { http, https, any_port, one_port }))))
    }

    /// Whether there are none.
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// The proxy that a request to `target` goes through, if any.
    pub(crate) fn way(&self, target: &Uri) -> Option<Way> {
        let rules = self.0.as_deref()?;
        if is_near(target.host()?) {
            return None;
        }
        let secure = target.scheme_str() == Some("https");
        let port = target.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let proxy = rules.one_port.get(&port).unwrap_or(&rules.any_port).intercept(target)?;
        let named = if secure { rules.https.as_ref() } else { rules.http.as_ref() }?;
        Some(Way {
            uri: proxy.uri().clone(),
            authorization: proxy.basic_auth().cloned(),
            name: format!("the proxy {} ({})", named.place, named.variable),
            variable: named.variable,
        })
    }
}

/// What goes through which proxy, e.g. `https through proxy:3128 (HTTPS_PROXY)`; `none` without proxies.
impl fmt::Display for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(rules) = &self.0 else { return f.write_str("none") };
        let mut between = "";
        for (scheme, named) in [("https", &rules.https), ("http", &rules.http)] {
            if let Some(Named { variable, place, .. }) = named {
                write!(f, "{between}{scheme} through {place} ({variable})")?;
                between = ", ";
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxies({self})")
    }
}

impl Named {
    /// The error doesn't quote the URL: there may be a password in it.
    fn new(variable: &'static str, url: &str) -> Result<Named, String> {
        const SHAPE: &str = "write it as http://host:port, or as http://user:password@host:port with %-escapes for \
                             characters other than letters and digits in user and password";
        let unusable = || format!("{variable} isn't the URL of a proxy: {SHAPE}");
        // Taken apart by who uses it later, so that both read the same in it.
        let probe = Uri::from_static("https://name/");
        let proxy = Matcher::builder().all(url).build().intercept(&probe).ok_or_else(unusable)?;
        let uri = proxy.uri();
        if uri.scheme_str().is_some_and(|scheme| scheme.starts_with("socks")) {
            return Err(format!("{variable} names a SOCKS proxy, and those aren't supported: name an HTTP proxy"));
        }
        let place = uri.authority().ok_or_else(unusable)?;
        let bad_port = place.as_str() != place.host() && matches!(place.port_u16(), None | Some(0));
        if place.host().is_empty() || bad_port {
            return Err(unusable());
        }
        Ok(Named { variable, url: url.to_owned(), place: place.to_string() })
    }
}

/// An entry of `NO_PROXY` as the matcher takes it.
fn host_and_port(entry: &str) -> (String, Option<u16>) {
    let (host, port) = match entry.rsplit_once(':') {
        // Without brackets, several colons are an IPv6 address.
        Some((host, port)) if host.ends_with(']') || !host.contains(':') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (entry, None),
        },
        _ => (entry, None),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let host = if bare.starts_with("*.") { bare.get(1..).unwrap_or(bare) } else { bare };
    (host.to_owned(), port)
}

/// Whether `host` is the machine itself or on its link.
fn is_near(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    // What follows % is the interface.
    let bare = bare.split_once('%').map_or(bare, |(address, _)| address);
    match bare.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_link_local(),
        Ok(IpAddr::V6(address)) => {
            let [first, second, ..] = address.segments();
            address.is_loopback() || address.is_unicast_link_local() || (first, second) == (0xfd00, 0x0ec2)
        }
        Err(_) => bare.trim_end_matches('.').eq_ignore_ascii_case("localhost"),
    }
}
