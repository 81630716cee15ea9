//! A cluster and its instances as values.

use std::collections::{BTreeMap, BTreeSet};

use super::super::super::*;
use super::super::{Placement, Serving, place};

pub fn udp(number: u16) -> Port {
    Port { protocol: Protocol::Udp, number }
}

pub fn tcp(number: u16) -> Port {
    Port { protocol: Protocol::Tcp, number }
}

/// The instance of the node `n<n>`.
pub fn id(n: u8) -> InstanceId {
    InstanceId(format!("i-{n:08x}"))
}

pub fn number(id: &InstanceId) -> u8 {
    u8::from_str_radix(id.0.trim_start_matches("i-"), 16).unwrap()
}

/// Everything that placement looks at.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    pub snapshot: Snapshot,
    pub observed: Observed,
    pub settings: Settings,
    pub exposures: Vec<Exposure>,
    pub frozen: BTreeSet<ServiceKey>,
    pub serving: Serving,
}

impl Cluster {
    /// Nodes `n1`, `n2`, ... in one zone, each younger than the one before.
    pub fn new(nodes: u8) -> Cluster {
        let mut cluster = Cluster::default();
        for n in 1..=nodes {
            let node = Node {
                name: format!("n{n}"),
                created: i64::from(n),
                labels: BTreeMap::from([("pool".into(), "general".into()), ("odd".into(), (n % 2).to_string())]),
                provider_id: format!("aws:///eu-west-1a/{}", id(n)),
                ready: true,
                ..Node::default()
            };
            let instance = Instance {
                id: id(n),
                running: true,
                zone: "eu-west-1a".into(),
                vpc: "vpc-1".into(),
                interface: format!("eni-{n}"),
                interfaces: 1,
                private_ip: Some(PrivateIp([10, 0, 0, n].into())),
                public_ip: Some(PublicIp([203, 0, 113, n].into())),
                groups: vec![GroupId("sg-nodes".into())],
            };
            cluster.snapshot.nodes.insert(node.name.clone(), node);
            cluster.observed.instances.insert(id(n), Lookup::Known(instance));
        }
        cluster
    }

    pub fn node(&mut self, n: u8) -> &mut Node {
        self.snapshot.nodes.get_mut(&format!("n{n}")).unwrap()
    }

    pub fn instance(&mut self, n: u8) -> &mut Instance {
        match self.observed.instances.get_mut(&id(n)).unwrap() {
            Lookup::Known(instance) => instance,
            other => panic!("{other:?}"),
        }
    }

    /// An exposure of one UDP port on all nodes, younger than those before.
    pub fn expose(&mut self, name: &str, port: u16) -> ServiceKey {
        let key = self.service(name, port, &[], FieldOwner::Nobody);
        self.exposures.push(Exposure {
            service: key.clone(),
            uid: format!("uid-{name}"),
            created: 100 + self.exposures.len() as i64,
            hostnames: [format!("{name}.example.com").parse().unwrap()].into(),
            selector: Selector::default(),
            max_nodes: None,
            ttl: 60,
            sources: [Cidr::ANY_V4].into(),
            ports: [udp(port)].into(),
            local_nodes: None,
            unread_endpoints: None,
        });
        key
    }

    pub fn exposure(&mut self, name: &str) -> &mut Exposure {
        self.exposures.iter_mut().find(|exposure| exposure.service.name == name).unwrap()
    }

    /// It asks for these names, and no others.
    pub fn names(&mut self, service: &str, hostnames: impl IntoIterator<Item = &'static str>) {
        self.exposure(service).hostnames = hostnames.into_iter().map(|name| name.parse().unwrap()).collect();
    }

    /// All of them ask for one more name.
    pub fn share(&mut self, names: &[&str]) {
        for name in names {
            self.exposure(name).hostnames.insert("shared.example.com".parse().unwrap());
        }
    }

    /// A Service with these addresses.
    pub fn service(&mut self, name: &str, port: u16, addresses: &[&str], owner: FieldOwner) -> ServiceKey {
        let key = ServiceKey::new("games", name);
        let service = Service {
            key: key.clone(),
            uid: format!("uid-{name}"),
            created: 100,
            kind: ServiceKind::ClusterIp,
            headless: false,
            ipv6_only: false,
            half_taken_over: false,
            ports: vec![udp(port)],
            annotations: BTreeMap::new(),
            source_ranges: Vec::new(),
            external_ips: addresses.iter().map(ToString::to_string).collect(),
            external_ips_owner: owner,
            owns_fields: false,
            local_nodes: None,
            unread_endpoints: None,
            deleting: false,
            ready: None,
        };
        self.snapshot.services.insert(key.clone(), service);
        key
    }

    /// The Service is published on exactly these nodes.
    pub fn serve(&mut self, name: &str, nodes: &[u8]) {
        self.serving.nodes.insert(ServiceKey::new("games", name), nodes.iter().map(|n| id(*n)).collect());
    }

    /// Other people's groups take every slot that is left.
    pub fn fill_slots(&mut self, n: u8) {
        let limit = self.settings.groups_per_interface;
        let groups = &mut self.instance(n).groups;
        while groups.len() < limit {
            groups.push(GroupId(format!("sg-{}", groups.len())));
        }
    }

    /// The node has a group of ours with `rules` rules, for ports from 1000 on.
    pub fn own_group(&mut self, n: u8, rules: u16) {
        let name = firewall::group_name(&self.settings.cluster, &id(n), 1);
        let rule = |port| Rule { protocol: Protocol::Udp, from: port, to: port, source: Cidr::ANY_V4 };
        let group = Group {
            id: GroupId(name.clone()),
            name: name.clone(),
            vpc: "vpc-1".into(),
            rules: (1000..1000 + rules).map(|port| (rule(port), "external-ips: games/x".into())).collect(),
            foreign_rules: Default::default(),
        };
        self.observed.groups.insert(group.id.clone(), group);
        self.instance(n).groups.push(GroupId(name));
    }

    pub fn place(&self) -> Placement {
        let joined = nodes::join(&self.snapshot, &self.observed);
        place(&self.exposures, &self.frozen, &self.serving, &joined, &self.snapshot, &self.observed, &self.settings)
    }

    /// The names of the nodes that are chosen.
    pub fn chosen(&self, key: &ServiceKey) -> Vec<String> {
        let placement = self.place();
        let nodes = placement.nodes.get(key).unwrap_or_else(|| panic!("{key}: {:?}", placement.rejections));
        nodes.iter().map(|id| format!("n{}", number(id))).collect()
    }

    pub fn rejection(&self, key: &ServiceKey) -> (Reason, String) {
        let placement = self.place();
        assert!(!placement.nodes.contains_key(key), "{placement:?}");
        let rejection = placement.rejections.iter().find(|rejection| rejection.service == *key).unwrap();
        (rejection.reason, rejection.message.clone())
    }
}
