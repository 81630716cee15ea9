//! Calls to AWS: the names and labels of the AWS load balancer controller, so that existing queries fit.

use std::borrow::Cow;
use std::time::Duration;

use aws_api::{Error, Service};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{Counters, Histograms, Label, Metrics, counter, in_seconds, label, plain, seconds_histogram};

#[derive(Debug)]
pub(super) struct Calls {
    calls: Counters<4>,
    requests: Counters<4>,
    call_seconds: Histograms<2>,
    request_seconds: Histograms<2>,
    retries: Histograms<2>,
    limiter_seconds: Histograms<1>,
}

impl Calls {
    pub(super) fn register(registry: &mut Registry) -> Calls {
        let calls = Calls {
            calls: Counters::default(),
            requests: Counters::default(),
            call_seconds: Histograms::new_with_constructor(seconds_histogram),
            request_seconds: Histograms::new_with_constructor(seconds_histogram),
            retries: Histograms::new_with_constructor(|| Histogram::new((0..=10).map(f64::from))),
            limiter_seconds: Histograms::new_with_constructor(seconds_histogram),
        };
        counter(registry, "aws_api_calls_total", calls.calls.clone());
        counter(registry, "aws_api_requests_total", calls.requests.clone());
        in_seconds(registry, "aws_api_call_duration_seconds", calls.call_seconds.clone());
        in_seconds(registry, "aws_api_request_duration_seconds", calls.request_seconds.clone());
        plain(registry, "aws_api_call_retries", calls.retries.clone());
        in_seconds(registry, "external_ips_aws_rate_limiter_wait_seconds", calls.limiter_seconds.clone());
        calls
    }
}

/// Different error codes that are told apart: AWS has fewer that concern us, and whatever answers in its place
/// can't make the number of series grow without end.
const SERIES: usize = 1000;

impl Metrics {
    /// One HTTP attempt is over: its status and AWS's error code, where there are any.
    pub fn attempt(
        &self,
        service: Service,
        operation: &'static str,
        status: Option<u16>,
        code: Option<&str>,
        took: Duration,
    ) {
        let aws = &self.aws;
        count(&aws.requests, service, operation, status, code);
        aws.request_seconds.get_or_create(&place(service, operation)).observe(took.as_secs_f64());
    }

    /// A call is over, after so many retries: how long all of its attempts and pauses took.
    pub fn call(
        &self,
        service: Service,
        operation: &'static str,
        outcome: Result<(), &Error>,
        retries: u32,
        took: Duration,
    ) {
        let (status, code) = match outcome {
            Ok(()) => (Some(200), None),
            Err(error) => (error.status, error.code.as_deref()),
        };
        let aws = &self.aws;
        count(&aws.calls, service, operation, status, code);
        aws.call_seconds.get_or_create(&place(service, operation)).observe(took.as_secs_f64());
        aws.retries.get_or_create(&place(service, operation)).observe(retries.into());
    }

    /// A call waited for its turn, so that AWS's rate limits aren't met.
    pub fn limiter_waited(&self, service: Service, took: Duration) {
        self.aws.limiter_seconds.get_or_create(&[label("service", service.to_string())]).observe(took.as_secs_f64());
    }
}

fn place(service: Service, operation: &'static str) -> [Label; 2] {
    [label("service", service.to_string()), label("operation", operation)]
}

fn count(counters: &Counters<4>, service: Service, operation: &'static str, status: Option<u16>, code: Option<&str>) {
    let [service, operation] = place(service, operation);
    // No answer at all is status 0, as with the controller that the names are from.
    let status = label("status_code", status.unwrap_or(0).to_string());
    let labels =
        |code: Cow<'static, str>| [service.clone(), operation.clone(), status.clone(), label("error_code", code)];
    let code =
        code.map_or(Cow::Borrowed(""), |code| if is_code(code) { code.to_owned().into() } else { "other".into() });
    let wanted = labels(code);
    if counters.len() < SERIES || counters.contains(&wanted) {
        counters.get_or_create(&wanted).inc();
    } else {
        counters.get_or_create(&labels("other".into())).inc();
    }
}

/// AWS's codes are words such as `InvalidGroup.NotFound`.
fn is_code(code: &str) -> bool {
    (1..=80).contains(&code.len())
        && code.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':'))
}
