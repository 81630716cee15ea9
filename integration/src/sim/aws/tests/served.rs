//! The same over a socket, for other processes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_api::system::{SystemRandom, SystemTimeSource};
use aws_api::{
    Class, Client, ClientParts, Config, Credentials, HttpOptions, NoObserver, ec2, http_transport, route53, sts,
};
use tokio::net::TcpListener;

use super::super::{Aws, Options, Policy};
use super::kit::US;
use crate::sim::event::{Actor, Call};
use crate::sim::fault::{Fault, Garble};
use crate::sim::{Clock, Stage};

#[tokio::test]
async fn all_services_are_on_one_socket_and_faults_are_those_of_connections() {
    // The daemon's own process installs it, too; a second time is no harm.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let stage = Stage::new(Clock::real());
    let aws = Aws::new(stage.clone(), Options::default());
    aws.add_role("node", Policy::anything(), &[]);
    aws.set_instance_role(Some("node"));
    aws.create_vpc(Actor::Person, false);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = aws.serve_on(listener, US).unwrap();
    let environment: BTreeMap<String, String> = [
        ("AWS_ENDPOINT_URL", server.url()),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url()),
        ("AWS_MAX_ATTEMPTS", "1".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    let transport = http_transport(HttpOptions::default()).unwrap();
    let (time, random) = (Arc::new(SystemTimeSource), Arc::new(SystemRandom::default()));
    let mut config = Config::resolve(&environment, None, transport.clone(), time.clone()).await.unwrap();
    config.read_timeout = Duration::from_secs(1);
    let credentials =
        Credentials::from_environment(&environment, &config, transport.clone(), time.clone(), random.clone()).unwrap();
    let client = Client::new(ClientParts {
        transport,
        config,
        credentials: Arc::new(credentials),
        time,
        random,
        observer: Arc::new(NoObserver),
    });
    let groups = ec2::DescribeSecurityGroups { max_results: Some(100), ..Default::default() };
    assert_eq!(client.send(&groups).await.unwrap().security_groups.len(), 1);
    assert_eq!(client.send(&route53::ListHostedZones::default()).await.unwrap().hosted_zones.len(), 0);
    let me = client.send(&sts::GetCallerIdentity {}).await.unwrap();
    assert!(me.arn.unwrap().contains("assumed-role/node"));
    let faults = [
        (Fault::LostBefore, Class::Transient),
        (Fault::LostAfter, Class::Transient),
        (Fault::Unreachable, Class::Transient),
        (Fault::Hang { effect: true }, Class::Transient),
        (Fault::Garbled(Garble::Truncated), Class::Transient),
        (Fault::Garbled(Garble::Html), Class::Transient),
        (Fault::Refuse { status: 503, code: "RequestLimitExceeded", retry_after: None }, Class::Throttled),
    ];
    for (fault, class) in faults {
        let met = fault.clone();
        stage.set_chaos(move |_: &Call| Some(met.clone()));
        let error = client.send(&groups).await.unwrap_err();
        assert_eq!(error.class, class, "{fault:?}: {error}");
        assert!(!matches!(fault, Fault::LostBefore) || error.code.is_none(), "{error}");
    }
    stage.set_chaos(crate::sim::fault::Calm);
    client.send(&groups).await.unwrap();
}
