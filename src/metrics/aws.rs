//! Calls to AWS: the names and labels of the AWS load balancer controller, so that existing queries fit.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_api::{CredentialsError, Error, Observer, Service};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
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
    expiry: Family<[Label; 1], Gauge<f64, AtomicU64>>,
    codes: Mutex<BTreeSet<String>>,
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
            expiry: Family::default(),
            codes: Mutex::default(),
        };
        counter(registry, "aws_api_calls_total", calls.calls.clone());
        counter(registry, "aws_api_requests_total", calls.requests.clone());
        in_seconds(registry, "aws_api_call_duration_seconds", calls.call_seconds.clone());
        in_seconds(registry, "aws_api_request_duration_seconds", calls.request_seconds.clone());
        plain(registry, "aws_api_call_retries", calls.retries.clone());
        in_seconds(registry, "external_ips_aws_credentials_expiry_timestamp_seconds", calls.expiry.clone());
        in_seconds(registry, "external_ips_aws_rate_limiter_wait_seconds", calls.limiter_seconds.clone());
        calls
    }
}

/// Different error codes that are told apart: AWS has fewer that concern us, and whatever answers in its place
/// can't make the number of series grow without end.
const CODES: usize = 100;

impl Observer for Metrics {
    fn attempt(
        &self,
        service: Service,
        operation: &'static str,
        status: Option<u16>,
        code: Option<&str>,
        took: Duration,
    ) {
        let aws = &self.aws;
        aws.requests.get_or_create(&aws.labels(service, operation, status, code)).inc();
        aws.request_seconds.get_or_create(&place(service, operation)).observe(took.as_secs_f64());
    }

    fn call(
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
        aws.calls.get_or_create(&aws.labels(service, operation, status, code)).inc();
        aws.call_seconds.get_or_create(&place(service, operation)).observe(took.as_secs_f64());
        aws.retries.get_or_create(&place(service, operation)).observe(retries.into());
    }

    fn limiter_waited(&self, service: Service, took: Duration) {
        self.aws.limiter_seconds.get_or_create(&[label("service", service.to_string())]).observe(took.as_secs_f64());
    }

    fn credentials(&self, source: &str, outcome: Result<Option<SystemTime>, &CredentialsError>) {
        // Where there are no new ones, those before expire as they did.
        let Ok(expires) = outcome else { return };
        let expires = expires
            .map_or(f64::INFINITY, |at| at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64());
        self.aws.expiry.get_or_create(&[label("provider", source.to_owned())]).set(expires);
    }
}

fn place(service: Service, operation: &'static str) -> [Label; 2] {
    [label("service", service.to_string()), label("operation", operation)]
}

impl Calls {
    fn labels(&self, service: Service, operation: &'static str, status: Option<u16>, code: Option<&str>) -> [Label; 4] {
        let [service, operation] = place(service, operation);
        // No answer at all is status 0, as with the controller that the names are from.
        let status = label("status_code", status.unwrap_or(0).to_string());
        [service, operation, status, label("error_code", self.code(code))]
    }

    /// The code as a label: itself while there are few of them, else `other`.
    fn code(&self, code: Option<&str>) -> Cow<'static, str> {
        let Some(code) = code else { return "".into() };
        let mut known = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(code) {
            if !is_code(code) || known.len() >= CODES {
                return "other".into();
            }
            known.insert(code.to_owned());
        }
        code.to_owned().into()
    }
}

/// AWS's codes are words such as `InvalidGroup.NotFound`.
fn is_code(code: &str) -> bool {
    (1..=80).contains(&code.len())
        && code.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':'))
}
