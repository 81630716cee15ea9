//! What a scenario stands on: a client, an account that was set up, and the transcript.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use aws_api::{
    Client, ClientParts, Config, Credentials, HttpOptions, Keys, NoObserver, Operation, Paged, Transport, ec2,
    http_transport,
};
use integration::aws as moto_aws;
use integration::sim::aws::{Aws, NewInstance, Options, Policy};
use integration::sim::{Actor, Clock, Random, Stage};
use integration::{Result, shared};
use serde_json::json;
use tower::{Service as _, ServiceExt};

/// The account and what was done in it.
pub struct Ground {
    pub client: Client,
    /// With a wrong secret.
    pub stranger: Client,
    /// Not the default one.
    pub vpc: String,
    pub default_group: String,
    /// Has one interface.
    pub single: String,
    /// Has two.
    pub double: String,
    /// Its primary interface.
    pub interface: String,
    /// The ids of four more instances, so that there is a second page.
    pub others: Vec<String>,
    pub zone: String,
    make: Box<dyn Fn() -> Client>,
    clock: Clock,
    transcript: String,
    names: BTreeMap<String, String>,
}

fn client(transport: Transport, environment: &[(&str, &str)], clock: &Clock, secret: &str) -> Client {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut config = Config::from_environment(&environment, Some("eu-west-1")).unwrap();
    config.max_attempts = 1;
    let (time, random) = (Arc::new(clock.clone()), Arc::new(Random::new(7)));
    let keys = Keys::new("AKIACONTRACT00000000", secret, None, None).unwrap();
    Client::new(ClientParts {
        transport,
        config,
        credentials: Arc::new(Credentials::fixed(keys, time.clone(), random.clone())),
        time,
        random,
        observer: Arc::new(NoObserver),
    })
}

impl Ground {
    /// The simulator, on paused time.
    pub fn simulated() -> Ground {
        let stage = Stage::new(Clock::simulated());
        let aws = Aws::new(stage.clone(), Options::default());
        aws.add_principal("AKIACONTRACT00000000", "secret", None, Policy::anything(), Actor::Replica(1));
        aws.add_role("contract", Policy::anything(), &[("a-token", Actor::Replica(1))]);
        aws.create_vpc(Actor::Person, true);
        let vpc = aws.create_vpc(Actor::Person, false);
        let run = |interfaces| {
            aws.run_instance(Actor::Person, NewInstance { interfaces, ..NewInstance::in_vpc(&vpc) }).unwrap()
        };
        let (single, double) = (run(1), run(2));
        let others = (0..4).map(|_| run(1)).collect();
        let zone = aws.create_zone(Actor::Person, "example.com", false).unwrap();
        aws.create_zone(Actor::Person, "example.net", false).unwrap();
        let transport = aws.transport(Actor::Replica(1));
        let (way, time) = (transport.clone(), stage.clock.clone());
        let make = Box::new(move || client(way.clone(), &[], &time, "secret"));
        Ground {
            client: make(),
            stranger: client(transport, &[], &stage.clock, "wrong"),
            default_group: aws.look(|state| state.vpcs[&vpc].default_group.clone()),
            interface: aws.look(|state| state.primary(&double).unwrap().id.clone()),
            vpc,
            single,
            double,
            others,
            zone,
            make,
            clock: stage.clock,
            transcript: String::new(),
            names: BTreeMap::new(),
        }
    }

    /// An account of its own in moto.
    pub async fn moto() -> Result<Ground> {
        let moto = shared::moto().await?;
        let account = moto.new_account();
        let aws = moto_aws::Aws::new(moto.clone(), account.clone());
        // Its default VPC is made with the first call.
        let network = aws.create_network().await?;
        let mut ids = Vec::new();
        for interfaces in [1, 2, 1, 1, 1, 1] {
            let new = moto_aws::NewInstance { interfaces, ..Default::default() };
            ids.push(aws.run_instance(&network, &new).await?);
        }
        let interface = ids[1].primary_interface()?.id.clone();
        let zone = aws.create_zone("example.com").await?.id;
        aws.create_zone("example.net").await?;
        aws.call("iam", "create_role", json!({"RoleName": "contract", "AssumeRolePolicyDocument": "{}"})).await?;
        let http = http_transport(HttpOptions::default()).map_err(integration::Error::new)?;
        let transport = Transport::new(tower::service_fn(move |mut request: http::Request<bytes::Bytes>| {
            let mut http = http.clone();
            request.headers_mut().insert("x-moto-account-id", account.parse().unwrap());
            async move { http.ready().await?.call(request).await }
        }));
        let endpoint = [("AWS_ENDPOINT_URL", moto.url())];
        let clock = Clock::real();
        let mut ids = ids.into_iter().map(|instance| instance.id);
        let (way, time, url) = (transport.clone(), clock.clone(), moto.url().to_owned());
        let make = Box::new(move || client(way.clone(), &[("AWS_ENDPOINT_URL", &url)], &time, "secret"));
        Ok(Ground {
            client: make(),
            stranger: client(transport, &endpoint, &clock, "wrong"),
            vpc: network.vpc,
            default_group: network.default_group,
            single: ids.next().unwrap(),
            double: ids.next().unwrap(),
            others: ids.collect(),
            interface,
            zone,
            make,
            clock,
            transcript: String::new(),
            names: BTreeMap::new(),
        })
    }

    /// A client that knows nothing of what the others have sent.
    pub fn another(&self) -> Client {
        (self.make)()
    }

    /// Writes down what is so.
    pub fn say(&mut self, label: &str, what: impl std::fmt::Display) {
        let mut what = what.to_string();
        for (id, name) in &self.names {
            what = what.replace(id, name);
        }
        writeln!(self.transcript, "{label}: {what}").unwrap();
    }

    /// From now on an id is written as a name.
    pub fn name(&mut self, id: &str, name: &str) {
        self.names.insert(id.to_owned(), name.to_owned());
    }

    /// An id's name.
    pub fn named(&self, id: &str) -> String {
        self.names.get(id).cloned().unwrap_or_else(|| id.to_owned())
    }

    /// The time of day, in seconds.
    pub fn now(&self) -> i64 {
        jiff::Timestamp::try_from(self.clock.wall()).unwrap().as_second()
    }

    /// Sends, and writes down whether it was done or by which code it was refused.
    pub async fn step<O: Operation>(&mut self, label: &str, operation: &O) -> Option<O::Output> {
        let outcome = self.client.send(operation).await;
        match outcome {
            Ok(output) => {
                self.say(label, "done");
                Some(output)
            }
            Err(error) => {
                let status = error.status.map(|status| status.to_string()).unwrap_or_default();
                let code = error.code.clone().unwrap_or_else(|| error.message.clone());
                self.say(label, format!("{status} {code}"));
                None
            }
        }
    }

    /// What a request must answer for the scenario to go on.
    pub async fn get<O: Operation>(&self, operation: &O) -> O::Output {
        self.client.send(operation).await.unwrap()
    }

    /// The same of all pages.
    pub async fn pages<O: Paged>(&self, operation: O) -> Vec<O::Output> {
        self.client.pages(operation).await.unwrap()
    }

    /// Makes a group in the VPC, with a tag.
    pub async fn group(&mut self, name: &str) -> String {
        let id = self.get(&self.create(name)).await.group_id.unwrap();
        self.name(&id, &format!("<{name}>"));
        id
    }

    pub fn create(&self, name: &str) -> ec2::CreateSecurityGroup {
        ec2::CreateSecurityGroup {
            group_name: name.into(),
            description: "a group".into(),
            vpc_id: Some(self.vpc.clone()),
            tag_specifications: vec![ec2::TagSpecification {
                resource_type: Some(ec2::ResourceType::SecurityGroup),
                tags: vec![ec2::Tag { key: Some("external-ips/c1".into()), value: Some("owned".into()) }],
            }],
            dry_run: None,
        }
    }

    pub fn transcript(self) -> String {
        self.transcript
    }
}

pub fn filter(name: &str, values: &[&str]) -> ec2::Filter {
    ec2::Filter { name: Some(name.into()), values: values.iter().map(|value| (*value).into()).collect() }
}
