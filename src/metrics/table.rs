//! Every metric there is: the help texts come from here, and a test compares the rest with what is served.

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// Its full name, as in the Prometheus text format.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Its labels, in order, without a histogram's `le`.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub help: &'static str,
}

const fn row(name: &'static str, kind: &'static str, labels: &'static [&'static str], help: &'static str) -> Row {
    Row { name, kind, labels, help }
}

/// Every metric, by name.
pub const METRICS: &[Row] = &[
    row(
        "aws_api_call_duration_seconds",
        "histogram",
        &["service", "operation"],
        "Time of a call to AWS, all of its attempts and pauses together",
    ),
    row(
        "aws_api_call_retries",
        "histogram",
        &["service", "operation"],
        "Attempts of a call to AWS after the first one",
    ),
    row(
        "aws_api_calls_total",
        "counter",
        &["service", "operation", "status_code", "error_code"],
        "Calls to AWS by their last answer; status 0 is no answer",
    ),
    row("aws_api_request_duration_seconds", "histogram", &["service", "operation"], "Time of one HTTP attempt at AWS"),
    row(
        "aws_api_requests_total",
        "counter",
        &["service", "operation", "status_code", "error_code"],
        "HTTP attempts at AWS by answer; status 0 is no answer",
    ),
    row(
        "external_ips_aws_rate_limiter_wait_seconds",
        "histogram",
        &["service"],
        "Time that calls to AWS waited so that its rate limits aren't met",
    ),
    row("external_ips_build_info", "gauge", &["version", "os", "arch"], "What is running; always 1"),
    row(
        "external_ips_changes_total",
        "counter",
        &["resource", "action", "result"],
        "Steps taken, by what they changed and whether they were confirmed",
    ),
    row(
        "external_ips_consecutive_failures",
        "gauge",
        &[],
        "Rounds that failed as a whole since the last one that didn't",
    ),
    row(
        "external_ips_dns_records",
        "gauge",
        &["type", "ownership"],
        "Record sets in the hosted zones in use; leader only",
    ),
    row(
        "external_ips_last_reconcile_timestamp_seconds",
        "gauge",
        &[],
        "When the last round ended, in Unix time; leader only",
    ),
    row(
        "external_ips_last_success_timestamp_seconds",
        "gauge",
        &[],
        "When the last round ended that didn't fail as a whole, in Unix time; leader only",
    ),
    row(
        "external_ips_nodes",
        "gauge",
        &["zone", "state"],
        "Nodes that serve, could serve (eligible), had better not (ineligible) or can't (skipped); leader only",
    ),
    row(
        "external_ips_plan_changes",
        "gauge",
        &["resource", "action"],
        "Steps that are due and not taken, all of them with --dry-run; leader only",
    ),
    row(
        "external_ips_port_conflicts",
        "gauge",
        &[],
        "Services that wait because others hold their ports on all matching nodes; leader only",
    ),
    row("external_ips_reconcile_duration_seconds", "histogram", &[], "Time of a round"),
    row(
        "external_ips_reconcile_total",
        "counter",
        &["result"],
        "Rounds; failure: the cluster or AWS could not be read",
    ),
    row(
        "external_ips_security_group_rules",
        "gauge",
        &["family"],
        "Ingress rules in the fullest security group of ours, by address family as AWS counts them; leader only",
    ),
    row(
        "external_ips_security_group_rules_limit",
        "gauge",
        &[],
        "Ingress rules that fit into a security group, for each address family; leader only",
    ),
    row(
        "external_ips_services",
        "gauge",
        &["state"],
        "Services that ask to be exposed, by the reason in their condition; leader only",
    ),
    row(
        "external_ips_watch_errors_total",
        "counter",
        &["resource", "error"],
        "What went wrong while listing and watching the cluster",
    ),
    row(
        "external_ips_withdrawals_held",
        "gauge",
        &[],
        "Services whose withdrawal waits for a person, since too many stopped asking at once; leader only",
    ),
    row("leader_election_master_status", "gauge", &["name"], "Whether this process leads: 1 or 0"),
    row("process_cpu_seconds_total", "counter", &[], "Processor time of this process, user and system"),
    row("process_open_fds", "gauge", &[], "Open file descriptors of this process"),
    row("process_resident_memory_bytes", "gauge", &[], "Resident memory of this process"),
    row("process_start_time_seconds", "gauge", &[], "When this process started, in Unix time"),
];
