//! Answers as AWS sends them: all elements of a node of a Kubernetes cluster, not only those that aws-api reads.

/// Instances of an answer to DescribeInstances.
pub const INSTANCES: usize = 1000;
/// Records of an answer to ListResourceRecordSets.
pub const RECORDS: usize = 300;
/// Private addresses of each of an instance's two interfaces.
const ADDRESSES: usize = 8;

/// A document under construction.
struct Xml {
    out: String,
    depth: usize,
    /// EC2 indents its answers by four blanks, Route 53 doesn't.
    indented: bool,
}

impl Xml {
    fn line(&mut self, text: &str) {
        if self.indented {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n("    ", self.depth));
        }
        self.out.push_str(text);
    }

    fn leaf(&mut self, name: &str, text: &str) {
        self.line(&format!("<{name}>{text}</{name}>"));
    }

    fn leaves<const N: usize>(&mut self, leaves: [(&str, &str); N]) {
        for (name, text) in leaves {
            if text.is_empty() { self.line(&format!("<{name}/>")) } else { self.leaf(name, text) }
        }
    }

    fn within(&mut self, name: &str, content: impl FnOnce(&mut Xml)) {
        self.line(&format!("<{name}>"));
        self.depth += 1;
        content(self);
        self.depth -= 1;
        self.line(&format!("</{name}>"));
    }

    fn group(&mut self) {
        self.within("groupSet", |xml| {
            for (id, name) in [("sg-0aa11bb22cc33dd44", "eks-cluster-sg-production-1234567890"), ("sg-0ff1", "nodes")] {
                xml.within("item", |xml| xml.leaves([("groupId", id), ("groupName", name)]));
            }
        });
    }

    fn tags(&mut self, number: usize) {
        let host = format!("production-workers-{number}");
        self.within("tagSet", |xml| {
            for (key, value) in [
                ("Name", host.as_str()),
                ("kubernetes.io/cluster/production", "owned"),
                ("eks:cluster-name", "production"),
                ("eks:nodegroup-name", "workers &amp; friends"),
                ("aws:autoscaling:groupName", "eks-workers-1ac0ffee-1234-5678-9abc-def012345678"),
                ("aws:ec2launchtemplate:id", "lt-0123456789abcdef0"),
                ("aws:ec2launchtemplate:version", "12"),
                ("k8s.io/cluster-autoscaler/enabled", "true"),
            ] {
                xml.within("item", |xml| xml.leaves([("key", key), ("value", value)]));
            }
        });
    }
}

fn private_ip(number: usize, interface: usize, address: usize) -> String {
    format!("10.{}.{}.{}", interface, number / 16, number % 16 * 16 + address)
}

fn private_name(ip: &str) -> String {
    format!("ip-{}.eu-west-1.compute.internal", ip.replace('.', "-"))
}

fn public_ip(number: usize) -> String {
    format!("203.0.{}.{}", number / 250, number % 250 + 1)
}

/// A full page of DescribeInstances.
pub fn instances() -> String {
    let mut xml = Xml { out: r#"<?xml version="1.0" encoding="UTF-8"?>"#.to_owned(), depth: 0, indented: true };
    xml.line(r#"<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">"#);
    xml.depth = 1;
    xml.leaf("requestId", "8f7724cf-496f-496e-8fe3-0123456789ab");
    xml.within("reservationSet", |xml| {
        for number in 0..INSTANCES {
            xml.within("item", |xml| {
                let id = format!("r-{number:017x}");
                xml.leaves([("reservationId", &id), ("ownerId", "123456789012"), ("groupSet", "")]);
                xml.within("instancesSet", |xml| xml.within("item", |xml| instance(xml, number)));
                xml.leaf("requesterId", "940372691376");
            });
        }
    });
    xml.leaf("nextToken", "eyJ2IjoiMiIsImMiOiJFWEFNUExFIiwicyI6IjEifQ==");
    xml.depth = 0;
    xml.line("</DescribeInstancesResponse>");
    xml.out
}

fn instance(xml: &mut Xml, number: usize) {
    let (id, volume) = (format!("i-{number:017x}"), format!("vol-{number:017x}"));
    let (ip, public) = (private_ip(number, 0, 0), public_ip(number));
    let (name, public_name) = (private_name(&ip), format!("ec2-{}.compute.amazonaws.com", public.replace('.', "-")));
    xml.leaves([("instanceId", &id), ("imageId", "ami-0abcdef1234567890")]);
    xml.within("instanceState", |xml| xml.leaves([("code", "16"), ("name", "running")]));
    xml.leaves([
        ("privateDnsName", &name),
        ("dnsName", &public_name),
        ("reason", ""),
        ("keyName", "operators"),
        ("amiLaunchIndex", "0"),
        ("productCodes", ""),
        ("instanceType", "m7i.2xlarge"),
        ("launchTime", "2026-03-14T09:26:53.000Z"),
    ]);
    xml.within("placement", |xml| {
        xml.leaves([
            ("availabilityZone", "eu-west-1b"),
            ("availabilityZoneId", "euw1-az2"),
            ("groupName", ""),
            ("tenancy", "default"),
        ]);
    });
    xml.within("monitoring", |xml| xml.leaf("state", "disabled"));
    xml.leaves([
        ("subnetId", "subnet-0123456789abcdef0"),
        ("vpcId", "vpc-0123456789abcdef0"),
        ("privateIpAddress", &ip),
        ("ipAddress", &public),
        ("sourceDestCheck", "true"),
    ]);
    xml.group();
    xml.leaves([("architecture", "x86_64"), ("rootDeviceType", "ebs"), ("rootDeviceName", "/dev/xvda")]);
    xml.within("blockDeviceMapping", |xml| {
        for device in ["/dev/xvda", "/dev/xvdb"] {
            xml.within("item", |xml| {
                xml.leaf("deviceName", device);
                xml.within("ebs", |xml| {
                    xml.leaves([
                        ("volumeId", &volume),
                        ("status", "attached"),
                        ("attachTime", "2026-03-14T09:26:54.000Z"),
                        ("deleteOnTermination", "true"),
                    ]);
                });
            });
        }
    });
    xml.leaves([("virtualizationType", "hvm"), ("clientToken", "fleet-8f7724cf-496f-496e-8fe3-0123456789ab-0")]);
    xml.tags(number);
    xml.leaf("hypervisor", "xen");
    xml.within("networkInterfaceSet", |xml| {
        for interface in 0..2 {
            xml.within("item", |xml| network_interface(xml, number, interface));
        }
    });
    xml.within("iamInstanceProfile", |xml| {
        xml.leaves([
            ("arn", "arn:aws:iam::123456789012:instance-profile/eks-1ac0ffee-1234-5678-9abc-def012345678"),
            ("id", "AIPAEXAMPLEEXAMPLEEXA"),
        ]);
    });
    xml.leaves([("ebsOptimized", "true"), ("enaSupport", "true")]);
    xml.within("cpuOptions", |xml| xml.leaves([("coreCount", "4"), ("threadsPerCore", "2")]));
    xml.within("capacityReservationSpecification", |xml| xml.leaf("capacityReservationPreference", "open"));
    xml.within("hibernationOptions", |xml| xml.leaf("configured", "false"));
    xml.within("enclaveOptions", |xml| xml.leaf("enabled", "false"));
    xml.within("metadataOptions", |xml| {
        xml.leaves([
            ("state", "applied"),
            ("httpTokens", "required"),
            ("httpPutResponseHopLimit", "2"),
            ("httpEndpoint", "enabled"),
            ("httpProtocolIpv6", "disabled"),
            ("instanceMetadataTags", "disabled"),
        ]);
    });
    xml.leaves([
        ("bootMode", "uefi-preferred"),
        ("platformDetails", "Linux/UNIX"),
        ("usageOperation", "RunInstances"),
        ("usageOperationUpdateTime", "2026-03-14T09:26:53.000Z"),
    ]);
    xml.within("privateDnsNameOptions", |xml| {
        xml.leaves([
            ("hostnameType", "ip-name"),
            ("enableResourceNameDnsARecord", "false"),
            ("enableResourceNameDnsAAAARecord", "false"),
        ]);
    });
    xml.within("maintenanceOptions", |xml| xml.leaves([("autoRecovery", "default"), ("rebootMigration", "default")]));
    xml.leaf("currentInstanceBootMode", "uefi");
    xml.within("operator", |xml| xml.leaf("managed", "false"));
    xml.within("networkPerformanceOptions", |xml| xml.leaf("bandwidthWeighting", "default"));
}

fn network_interface(xml: &mut Xml, number: usize, interface: usize) {
    let id = format!("eni-{number:016x}{interface}");
    let (ip, public) = (private_ip(number, interface, 0), public_ip(number));
    let (name, mac) =
        (private_name(&ip), format!("02:aa:{interface:02x}:00:{:02x}:{:02x}", number / 256, number % 256));
    let association = |xml: &mut Xml| {
        xml.within("association", |xml| {
            xml.leaves([("publicIp", &public), ("publicDnsName", ""), ("ipOwnerId", "amazon")]);
        });
    };
    xml.leaves([
        ("networkInterfaceId", &id),
        ("subnetId", "subnet-0123456789abcdef0"),
        ("vpcId", "vpc-0123456789abcdef0"),
        ("description", "aws-K8S-i-0123456789abcdef0"),
        ("ownerId", "123456789012"),
        ("status", "in-use"),
        ("macAddress", &mac),
        ("privateIpAddress", &ip),
        ("privateDnsName", &name),
        ("sourceDestCheck", "true"),
    ]);
    xml.group();
    xml.within("attachment", |xml| {
        let (id, device) = (format!("eni-attach-{number:016x}{interface}"), interface.to_string());
        xml.leaves([
            ("attachmentId", &id),
            ("deviceIndex", &device),
            ("status", "attached"),
            ("attachTime", "2026-03-14T09:26:53.000Z"),
            ("deleteOnTermination", "true"),
            ("networkCardIndex", "0"),
        ]);
    });
    if interface == 0 {
        association(xml);
    }
    xml.within("privateIpAddressesSet", |xml| {
        for address in 0..ADDRESSES {
            xml.within("item", |xml| {
                let ip = private_ip(number, interface, address);
                let (name, primary) = (private_name(&ip), if address == 0 { "true" } else { "false" });
                xml.leaves([("privateIpAddress", &ip), ("privateDnsName", &name), ("primary", primary)]);
                if interface == 0 && address == 0 {
                    association(xml);
                }
            });
        }
    });
    xml.within("ipv6AddressesSet", |xml| {
        let ip = format!("2001:db8:1234:{interface}::{number:x}");
        xml.within("item", |xml| xml.leaves([("ipv6Address", &ip), ("isPrimaryIpv6", "false")]));
    });
    xml.leaf("interfaceType", "interface");
    xml.within("operator", |xml| xml.leaf("managed", "false"));
}

/// A full page of ListResourceRecordSets: addresses, weighted addresses, ownership texts and aliases.
pub fn records() -> String {
    let mut xml = Xml { out: "<?xml version=\"1.0\"?>\n".to_owned(), depth: 0, indented: false };
    xml.line(r#"<ListResourceRecordSetsResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/">"#);
    xml.within("ResourceRecordSets", |xml| {
        for number in 0..RECORDS {
            xml.within("ResourceRecordSet", |xml| record(xml, number));
        }
    });
    xml.leaves([
        ("IsTruncated", "true"),
        ("NextRecordName", "service-300.production.example.com."),
        ("NextRecordType", "A"),
        ("MaxItems", "300"),
    ]);
    xml.line("</ListResourceRecordSetsResponse>");
    xml.out
}

fn record(xml: &mut Xml, number: usize) {
    let values = |xml: &mut Xml, values: &[String]| {
        xml.within("ResourceRecords", |xml| {
            for value in values {
                xml.within("ResourceRecord", |xml| xml.leaf("Value", value));
            }
        });
    };
    let name = format!("service-{}.production.example.com.", number / 4 * 4);
    match number % 4 {
        0 => {
            xml.leaves([("Name", &name), ("Type", "A"), ("TTL", "60")]);
            values(xml, &[0, 1, 2, 3].map(|address| public_ip(number + address)));
        }
        1 => {
            xml.leaves([("Name", &name), ("Type", "AAAA"), ("SetIdentifier", "production"), ("Weight", "100")]);
            xml.leaf("TTL", "60");
            values(xml, &[format!("2001:db8::{number:x}")]);
            xml.leaf("HealthCheckId", "8f7724cf-496f-496e-8fe3-0123456789ab");
        }
        2 => {
            xml.leaves([("Name", &name), ("Type", "TXT"), ("TTL", "300")]);
            values(xml, &[format!("&quot;heritage=owner,cluster=production,service=shop/service-{number}&quot;")]);
        }
        _ => {
            xml.leaves([("Name", &format!("\\052.{name}")), ("Type", "A")]);
            xml.within("AliasTarget", |xml| {
                xml.leaves([
                    ("HostedZoneId", "Z32O12XQLNTSW2"),
                    ("DNSName", "dualstack.k8s-shop-1234567890.eu-west-1.elb.amazonaws.com."),
                    ("EvaluateTargetHealth", "true"),
                ]);
            });
        }
    }
}

/// The answer to AuthorizeSecurityGroupIngress.
pub fn authorized() -> String {
    "<AuthorizeSecurityGroupIngressResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\
     <requestId>8f7724cf-496f-496e-8fe3-0123456789ab</requestId><return>true</return>\
     <securityGroupRuleSet/></AuthorizeSecurityGroupIngressResponse>"
        .to_owned()
}
