//! What a request is: service, operation, who signed it, what it is about.

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};

use super::answer::{self, Kind};
use super::ec2;
use super::form::Form;
use super::route53::batch::{self, Change};

/// A request, read as far as the way to its service needs.
#[derive(Debug)]
pub(super) struct Request {
    pub kind: Kind,
    pub operation: String,
    /// The zone's or the change's id, or the path after `/latest/` of IMDS; empty where there is none.
    pub id: String,
    pub form: Form,
    pub query: Form,
    pub signature: Option<Signature>,
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The changes of a batch of Route 53.
    pub changes: Option<answer::Result<Vec<Change>>>,
}

/// What the Authorization header says.
#[derive(Debug)]
pub(super) struct Signature {
    pub access_key: String,
    pub date: String,
    pub region: String,
    pub service: String,
    pub headers: Vec<String>,
    pub signature: String,
}

const VERSION: &str = "/2013-04-01/";

impl Request {
    pub fn read(request: http::Request<Bytes>) -> Request {
        let (parts, body) = request.into_parts();
        let signature = parts.headers.get("authorization").and_then(|value| signature(value.to_str().ok()?));
        let path = parts.uri.path().to_owned();
        let mut form = Form::default();
        let (kind, operation, id) = if path.starts_with("/latest/") || path == "/latest" {
            let name = if parts.method == Method::PUT { "PutToken" } else { "Get" };
            (Kind::Imds, name.to_owned(), path.clone())
        } else if let Some(rest) = path.strip_prefix(VERSION) {
            let (operation, id) = route53(&parts.method, rest.trim_end_matches('/'));
            (Kind::Route53, operation, id)
        } else {
            form = Form::parse(&body);
            let kind = match signature.as_ref().map(|signature| signature.service.as_str()) {
                Some("ec2") => Kind::Ec2,
                Some("sts") => Kind::Sts,
                Some("route53") => Kind::Route53,
                _ if form.get("Version") == Some("2016-11-15") => Kind::Ec2,
                _ => Kind::Sts,
            };
            (kind, form.get("Action").unwrap_or_default().to_owned(), String::new())
        };
        let query = Form::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let changes = (operation == "ChangeResourceRecordSets").then(|| batch::read(&body));
        let http::request::Parts { method, uri, headers, .. } = parts;
        Request { kind, operation, id, form, query, signature, method, uri, headers, body, changes }
    }

    pub fn access_key(&self) -> Option<&str> {
        self.signature.as_ref().map(|signature| signature.access_key.as_str())
    }

    /// Whether the operation changes things.
    pub fn is_change(&self) -> bool {
        const READS: &[&str] = &["Describe", "List", "Get", "Assume", "Put"];
        !READS.iter().any(|read| self.operation.starts_with(read))
    }

    /// Whether it may change something.
    pub fn mutates(&self) -> bool {
        self.is_change() && !self.form.is_true("DryRun")
    }

    /// Whether it asks EC2 for everything at once.
    pub fn is_boundless(&self) -> bool {
        let bounds = ["MaxResults", "NextToken", "Filter", "InstanceId", "GroupId", "GroupName"];
        self.operation.starts_with("Describe") && !bounds.iter().any(|bound| self.form.has(bound))
    }

    /// `ec2:CreateSecurityGroup`.
    pub fn label(&self) -> String {
        format!("{}:{}", self.kind.name(), self.operation)
    }

    /// What it is about, for people: `sg-1: udp/53 from 0.0.0.0/0`, `eni-1 = sg-1 sg-2`, `Z1: DELETE A a.b. 60 [192.0.2.1]`.
    pub fn target(&self) -> String {
        let first = |names: &[&str]| names.iter().find_map(|name| self.form.get(name)).unwrap_or_default().to_owned();
        match (self.kind, self.operation.as_str()) {
            (Kind::Route53, "ChangeResourceRecordSets") => {
                let changes = self.changes.iter().flatten().flatten().map(Change::told);
                format!("{}: {}", self.id, changes.collect::<Vec<_>>().join(", "))
            }
            (Kind::Route53 | Kind::Imds, _) => self.id.clone(),
            (Kind::Sts, _) => first(&["RoleArn"]),
            (Kind::Ec2, "ModifyInstanceAttribute") => {
                format!("{} = {}", first(&["InstanceId"]), self.form.list("GroupId").join(" "))
            }
            (Kind::Ec2, "ModifyNetworkInterfaceAttribute") => {
                format!("{} = {}", first(&["NetworkInterfaceId"]), self.form.list("SecurityGroupId").join(" "))
            }
            (Kind::Ec2, "AuthorizeSecurityGroupIngress" | "RevokeSecurityGroupIngress") => {
                let by_id = self.form.list("SecurityGroupRuleId").into_iter().map(str::to_owned);
                let rules: Vec<String> = ec2::rules_of(&self.form).into_iter().chain(by_id).collect();
                format!("{}: {}", first(&["GroupId"]), rules.join(", "))
            }
            (Kind::Ec2, _) => {
                first(&["GroupId", "GroupName", "InstanceId", "NetworkInterfaceId", "ResourceId.1", "Filter.1.Value.1"])
            }
        }
    }
}

fn route53(method: &Method, path: &str) -> (String, String) {
    let parts: Vec<&str> = path.split('/').collect();
    let (operation, id) = match (method.as_str(), parts.as_slice()) {
        ("GET", ["hostedzone"]) => ("ListHostedZones", ""),
        ("GET", ["hostedzone", id, "rrset"]) => ("ListResourceRecordSets", *id),
        ("POST", ["hostedzone", id, "rrset"]) => ("ChangeResourceRecordSets", *id),
        ("GET", ["change", id]) => ("GetChange", *id),
        _ => return (format!("{method} {path}"), String::new()),
    };
    (operation.to_owned(), id.to_owned())
}

/// `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, SignedHeaders=a;b, Signature=hex`.
fn signature(header: &str) -> Option<Signature> {
    let rest = header.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let field = |name: &str| {
        rest.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
    };
    let credential = field("Credential")?;
    let mut scope = credential.split('/').map(str::to_owned);
    let signature = Signature {
        access_key: scope.next()?,
        date: scope.next()?,
        region: scope.next()?,
        service: scope.next()?,
        headers: field("SignedHeaders")?.split(';').map(str::to_owned).collect(),
        signature: field("Signature")?,
    };
    (scope.next()? == "aws4_request" && scope.next().is_none()).then_some(signature)
}
