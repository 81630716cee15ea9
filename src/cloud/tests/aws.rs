//! The transport in memory: what was asked, what goes wrong, and what the read side shows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use aws_api::{
    Attempt, Client, ClientParts, Config, Credentials, Keys, NoObserver, Random, Service, TimeSource, Transport,
    TransportError,
};
use bytes::Bytes;
use http::{Request, Response};

use super::{ec2::Ec2, route53::Route53};

/// What goes wrong with a call.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// An error answer, without effect.
    Answer(u16, &'static str, &'static str),
    /// It takes effect and the answer is lost.
    LostAfter,
    /// The answer is lost and it has no effect.
    LostBefore,
    /// A well-formed answer with nothing in it, and no effect.
    Hollow,
    /// A layer refuses to send it.
    Refused,

    /// No answer ever comes.
    Deaf,
}

/// What somebody else does in between.
type Meddling = Box<dyn FnOnce(&mut State) + Send>;

#[derive(Default)]
pub(crate) struct State {
    pub ec2: Ec2,
    pub route53: Route53,
    /// What reads show instead, while it is set.
    pub past: Option<(Ec2, Route53)>,
    pub calls: Vec<Call>,
    faults: BTreeMap<&'static str, Vec<Fault>>,
    /// Faults that never end.
    broken: Vec<(&'static str, String, Fault)>,
    meddling: Vec<(&'static str, Meddling)>,
    in_flight: usize,
    pub most_in_flight: usize,
}

/// A call as it was sent.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub operation: &'static str,
    pub mutates: bool,
    pub path: String,
    pub body: String,
}

#[derive(Clone, Default)]
pub(crate) struct Aws(Arc<Mutex<State>>);

struct Epoch;

impl TimeSource for Epoch {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }
}

impl Random for Epoch {
    fn next_u64(&self) -> u64 {
        7
    }
}

impl Aws {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub fn client(&self) -> Client {
        let keys = Keys::new("AKID", "secret", None, None).unwrap();
        Client::new(ClientParts {
            transport: self.transport(),
            config: Config::new("eu-west-1").unwrap(),
            credentials: Arc::new(Credentials::fixed(keys, Arc::new(Epoch), Arc::new(Epoch))),
            time: Arc::new(Epoch),
            random: Arc::new(Epoch),
            observer: Arc::new(NoObserver),
        })
    }

    pub fn transport(&self) -> Transport {
        let aws = self.clone();
        Transport::new(tower::service_fn(move |request: Request<Bytes>| {
            let aws = aws.clone();
            async move { aws.exchange(request).await }
        }))
    }

    /// The next call of `operation` meets `fault`.
    pub fn fail(&self, operation: &'static str, fault: Fault) {
        self.state().faults.entry(operation).or_default().push(fault);
    }

    /// Every call of `operation` whose path or body contains `part` meets `fault`.
    pub fn break_down(&self, operation: &'static str, part: &str, fault: Fault) {
        self.state().broken.push((operation, part.to_owned(), fault));
    }

    pub fn mend(&self) {
        self.state().broken.clear();
    }

    /// Somebody else acts just before the next call of `operation`.
    pub fn meddle(&self, operation: &'static str, meddling: impl FnOnce(&mut State) + Send + 'static) {
        self.state().meddling.push((operation, Box::new(meddling)));
    }

    /// From now on reads show what is now.
    pub fn freeze_reads(&self) {
        let now = self.moment();
        self.state().past = Some(now);
    }

    /// What is now, for reads to show later.
    pub fn moment(&self) -> (Ec2, Route53) {
        let state = self.state();
        (state.ec2.clone(), state.route53.clone())
    }

    pub fn thaw_reads(&self) {
        self.state().past = None;
    }

    /// The operations that were called since this was last asked.
    pub fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.state().calls).iter().map(|call| call.operation).collect()
    }

    /// The calls since this was last asked that change something.
    pub fn writes(&self) -> Vec<Call> {
        std::mem::take(&mut self.state().calls).into_iter().filter(|call| call.mutates).collect()
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let attempt = *request.extensions().get::<Attempt>().expect("each request tells what it is");
        {
            let mut state = self.state();
            state.in_flight += 1;
            state.most_in_flight = state.most_in_flight.max(state.in_flight);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        let answer = {
            let mut state = self.state();
            state.in_flight -= 1;
            state.answer(&attempt, &request)
        };
        match answer {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

impl State {
    /// `None` where none comes.
    fn answer(
        &mut self,
        attempt: &Attempt,
        request: &Request<Bytes>,
    ) -> Option<Result<Response<Bytes>, TransportError>> {
        let call = Call {
            operation: attempt.operation,
            mutates: attempt.mutates,
            path: request.uri().path().to_owned(),
            body: String::from_utf8(request.body().to_vec()).unwrap(),
        };
        if let Some(at) = self.meddling.iter().position(|(operation, _)| *operation == call.operation) {
            let (_, meddling) = self.meddling.remove(at);
            meddling(self);
        }
        let mut fault = self.faults.get_mut(call.operation).filter(|f| !f.is_empty()).map(|faults| faults.remove(0));
        let applies = |(operation, part, _): &&(&str, String, Fault)| {
            *operation == call.operation && (call.path.contains(part) || call.body.contains(part))
        };
        fault = fault.or_else(|| self.broken.iter().find(applies).map(|(_, _, fault)| fault.clone()));
        match fault {
            Some(Fault::Refused) => return Some(Err(TransportError::Refused("not the leader".into()))),
            Some(Fault::Deaf) => {
                self.calls.push(call);
                return None;
            }
            Some(Fault::LostBefore) => {
                self.calls.push(call);
                return Some(Err(TransportError::Lost("reset".into())));
            }
            Some(Fault::Hollow) => {
                let body = format!("<{op}Response></{op}Response>", op = call.operation);
                self.calls.push(call);
                return Some(Ok(respond(200, body)));
            }
            Some(Fault::Answer(status, code, message)) => {
                self.calls.push(call);
                return Some(Ok(respond(status, error_body(attempt.service, code, message))));
            }
            _ => {}
        }
        let result = match attempt.service {
            Service::Ec2 => {
                let shown = self.past.as_ref().map(|(ec2, _)| ec2.clone());
                self.ec2.handle(&call, shown.as_ref())
            }
            Service::Route53 => {
                let shown = self.past.as_ref().map(|(_, route53)| route53.clone());
                self.route53.handle(&call, request.uri().query().unwrap_or(""), shown.as_ref())
            }
            Service::Sts => unreachable!("nobody asks STS"),
        };
        self.calls.push(call.clone());
        if matches!(fault, Some(Fault::LostAfter)) {
            return Some(Err(TransportError::Lost("reset".into())));
        }
        Some(Ok(match result {
            Ok(content) => respond(200, format!("<{op}Response>{content}</{op}Response>", op = call.operation)),
            Err((code, message)) => respond(400, error_body(attempt.service, code, &message)),
        }))
    }
}

fn respond(status: u16, body: String) -> Response<Bytes> {
    Response::builder().status(status).body(Bytes::from(body)).unwrap()
}

fn error_body(service: Service, code: &str, message: &str) -> String {
    let message = message.replace('<', "&lt;");
    match service {
        Service::Route53 if code == "InvalidChangeBatch" => {
            format!("<InvalidChangeBatch><Messages><Message>{message}</Message></Messages></InvalidChangeBatch>")
        }
        Service::Route53 | Service::Sts => {
            format!("<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>")
        }
        Service::Ec2 => format!(
            "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>r-1</RequestID></Response>"
        ),
    }
}
