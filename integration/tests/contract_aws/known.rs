//! The points where moto 5.2.5 is known to be wrong.

/// One of them.
pub struct Point {
    /// In which scenario.
    pub scenario: &'static str,
    /// At which step.
    pub step: &'static str,
    /// What AWS is documented to answer.
    pub aws: &'static str,
    /// What moto answers.
    pub moto: &'static str,
}

const fn point(scenario: &'static str, step: &'static str, aws: &'static str, moto: &'static str) -> Point {
    Point { scenario, step, aws, moto }
}

/// Sources: for EC2 its API reference (each action, and "Error codes"), the VPC quotas and "Request throttling"; for
/// Route 53 the reference of ChangeResourceRecordSets, "DNS domain name format", "Supported DNS record types" and the
/// quotas; for STS its API reference.
pub const POINTS: &[Point] = &[
    point("attachments", "its groups", "<g1> <g2>", "<default> <g1> <g2>"),
    point("attachments", "its groups after that", "<g1>", "<default> <g1>"),
    point("attachments", "attach to an instance with two interfaces", "400 InvalidInstanceID", "done"),
    point("attachments", "its groups are what they were", "true", "false"),
    point("attachments", "attach a group that isn't there", "400 InvalidGroup.NotFound", "done"),
    point("attachments", "the groups are still", "<g1> <g2>", "<g1>"),
    point("attachments", "attach six", "400 SecurityGroupsPerInterfaceLimitExceeded", "done"),
    point("attachments", "delete one that is attached", "400 DependencyViolation", "done"),
    point("asking_first", "a wrong secret", "AuthFailure", "done"),
    point("asking_first", "sixty unfiltered reads at once", "throttled", "done"),
    point(
        "closing",
        "close by that id again",
        "400 InvalidSecurityGroupRuleId.NotFound",
        "400 InvalidPermission.NotFound",
    ),
    point(
        "closing",
        "in the default VPC, one that is there and one that isn't",
        "done",
        "400 InvalidPermission.NotFound",
    ),
    point("closing", "unknown", "1", "0"),
    point(
        "groups",
        "by a filter that there isn't",
        "400 InvalidParameterValue",
        "500 HTTP status 500 and a body that isn't an error of AWS's",
    ),
    point("groups", "by a bad id", "400 InvalidGroupId.Malformed", "400 InvalidGroup.NotFound"),
    point("groups", "delete the default group", "400 CannotDelete", "done"),
    point("groups", "create a name of other letters", "400 InvalidParameterValue", "done"),
    point("groups", "create with a description of other letters", "400 InvalidParameterValue", "done"),
    point("groups", "create in a VPC that isn't there", "400 InvalidVpcID.NotFound", "done"),
    point("groups", "create as default", "400 InvalidGroup.Reserved", "done"),
    point("identity", "without a session's name", "400 ValidationError", "done"),
    point("identity", "a role that isn't there", "403 AccessDenied", "done"),
    point("identity", "by a token that isn't known", "400 InvalidIdentityToken", "done"),
    point("bad_records", "a bad IPv4 address", "400 InvalidChangeBatch", "done"),
    point("bad_records", "IPv6 in an A record", "400 InvalidChangeBatch", "done"),
    point("bad_records", "IPv4 in an AAAA record", "400 InvalidChangeBatch", "done"),
    point("bad_records", "the same value twice", "400 InvalidChangeBatch", "done"),
    point("bad_records", "text without quotation marks", "400 InvalidChangeBatch", "done"),
    point("bad_records", "256 characters of text", "400 InvalidChangeBatch", "done"),
    point("bad_records", "an empty label", "400 InvalidChangeBatch", "done"),
    point("bad_records", "a label of 64 characters", "400 InvalidChangeBatch", "done"),
    point("bad_records", "CNAME beside A", "400 InvalidChangeBatch", "done"),
    point("bad_records", "A beside CNAME", "400 InvalidChangeBatch", "done"),
    point("bad_records", "CNAME at the top", "400 InvalidChangeBatch", "done"),
    point("bad_records", "two values of a CNAME", "400 InvalidChangeBatch", "done"),
    point("bad_records", "no values", "400 InvalidChangeBatch", "done"),
    point("bad_records", "a type that there isn't", "400 InvalidInput", "done"),
    point(
        "bad_records",
        "no changes",
        "400 InvalidInput",
        "500 HTTP status 500 and a body that isn't an error of AWS's",
    ),
    point("instances", "by a bad id", "400 InvalidInstanceID.Malformed", "400 InvalidInstanceID.NotFound"),
    point(
        "instances",
        "by a filter that there isn't",
        "400 InvalidParameterValue",
        "500 HTTP status 500 and a body that isn't an error of AWS's",
    ),
    point("instances", "by a filter of 201 values", "400 FilterLimitExceeded", "done"),
    point("instances", "pages of four", "400 InvalidParameterValue", "done"),
    point(
        "instances",
        "a token that isn't one",
        "400 InvalidNextToken",
        "500 HTTP status 500 and a body that isn't an error of AWS's",
    ),
    point("opening", "the answer has", "2 rules with ids", "1 rules with ids"),
    point("opening", "the rules are still", "2", "3"),
    point("opening", "the same twice in one request", "400 InvalidParameterValue", "400 InvalidPermission.Duplicate"),
    point("opening", "is cut off", "true", "false"),
    point("opening", "a bad description", "400 InvalidParameterValue", "done"),
    point("opening", "ports upside down", "400 InvalidParameterValue", "done"),
    point("opening", "in no group at all", "400 MissingParameter", "400 InvalidGroup.NotFound"),
    point("opening", "one of IPv6", "done", "400 RulesPerSecurityGroupLimitExceeded"),
    point("sizes", "a record of 401 values", "400 InvalidChangeBatch", "done"),
    point("sizes", "more than 32,000 characters", "400 InvalidChangeBatch", "done"),
    point(
        "listing",
        "names in order",
        "example.com. NS, example.com. SOA, \\052.example.com. A, a-b.example.com. A, b.example.com. A, b.example.com. TXT, a.b.example.com. A",
        "example.com. NS, example.com. SOA, *.example.com. A, a-b.example.com. A, b.example.com. A, b.example.com. TXT, a.b.example.com. A",
    ),
    point("listing", "from * on", "\\052.example.com. A", "a-b.example.com. A"),
    point("listing", "private zones", "0", "2"),
    point("listing", "a name in capitals becomes", "capital.example.com.", "CAPITAL.example.com."),
    point("swapping", "the change", "PENDING, /change/...", "INSYNC, /change/..."),
    point("swapping", "swap from what it no longer is", "400 InvalidChangeBatch", "done"),
    point("swapping", "the record is still", "A 60 192.0.2.3", "A 60 192.0.2.4"),
    point("swapping", "delete with another TTL", "400 InvalidChangeBatch", "400 InvalidInput"),
    point("swapping", "one bad change of three", "400 InvalidChangeBatch", "400 InvalidInput"),
    point("swapping", "swap to the same", "done", "400 InvalidChangeBatch"),
    point("swapping", "delete in another order of values", "done", "400 InvalidInput"),
    point("swapping", "delete again", "400 InvalidChangeBatch", "400 InvalidInput"),
    point("swapping", "a change that there never was", "404 NoSuchChange", "done"),
    point("swapping", "delete the zone's own NS record", "400 InvalidChangeBatch", "400 InvalidInput"),
];

/// The transcript of AWS with moto's answers where they are known to differ.
pub fn as_moto(scenario: &str, aws: &str) -> String {
    let mut lines = String::new();
    for line in aws.lines() {
        let point = POINTS.iter().find(|point| {
            point.scenario == scenario && line.strip_prefix(point.step).is_some_and(|rest| rest.starts_with(": "))
        });
        match point {
            Some(point) => lines.push_str(&format!("{}: {}", point.step, point.moto)),
            None => lines.push_str(line),
        }
        lines.push('\n');
    }
    lines
}
