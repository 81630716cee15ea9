//! The same three calls with aws-api and with the AWS SDK, over connectors that answer at once, within the process.
//! Each call stands still when its request has reached the connector: what comes before is "build and sign", what
//! comes after is "read the answer". All of a client's own machinery is in one of the two.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

pub mod bodies;
pub mod ours;
pub mod same;
pub mod sdk;

pub type Failure = Box<dyn Error + Send + Sync>;

/// What both sign with. The session token is as long as those of roles are.
pub const ACCESS_KEY: &str = "ASIAIOSFODNN7EXAMPLE";
pub const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
pub const REGION: &str = "eu-west-1";
pub const GROUP: &str = "sg-0123456789abcdef0";
pub const ZONE: &str = "Z0123456789ABCDEFGHIJ";

pub fn session_token() -> String {
    "IQoJb3JpZ2luX2VjEXAMPLE/".repeat(40)
}

/// The rules that are authorized: protocol, from, to; each for these networks.
pub const PORTS: [(&str, i32, i32); 4] = [("tcp", 80, 80), ("tcp", 443, 443), ("udp", 53, 53), ("tcp", 30000, 32767)];
pub const NETWORKS: [&str; 2] = ["203.0.113.0/24", "198.51.100.0/24"];
pub const NETWORKS6: [&str; 1] = ["2001:db8:1234::/48"];
pub const DESCRIPTION: &str = "namespace/service: open to partners & friends";
pub const TAGS: [(&str, &str); 3] =
    [("Name", "shop/frontend"), ("kubernetes.io/cluster/production", "owned"), ("managed-by", "the daemon")];

/// Where a call stands still.
#[derive(Debug)]
pub struct Gate {
    reached: AtomicBool,
    answer: Bytes,
    sent: Mutex<Option<Bytes>>,
    keep: bool,
}

impl Gate {
    /// A gate behind which there is `answer`. With `keep`, the request's body is kept for a look.
    pub fn new(answer: impl Into<Bytes>, keep: bool) -> Arc<Gate> {
        Arc::new(Gate { reached: AtomicBool::new(false), answer: answer.into(), sent: Mutex::default(), keep })
    }

    /// For the connectors: takes a request, brings the answer when the call goes on.
    async fn pass(&self, body: Option<&[u8]>) -> Bytes {
        if self.keep {
            let body = body.map(Bytes::copy_from_slice);
            *self.sent.lock().unwrap_or_else(PoisonError::into_inner) = body;
        }
        let mut before = true;
        poll_fn(|_| {
            if before {
                before = false;
                self.reached.store(true, Ordering::Relaxed);
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
        self.answer.clone()
    }

    /// The body of the last request.
    pub fn sent(&self) -> Option<Bytes> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The two parts of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// From the caller's values to the signed request at the connector.
    Request,
    /// From the answer at the connector to the caller's values.
    Answer,
}

/// Measures something of a part of a call.
pub trait Meter {
    fn measure<T>(&mut self, part: Part, work: impl FnOnce() -> T) -> T;
}

/// Measures nothing.
pub struct Idle;

impl Meter for Idle {
    fn measure<T>(&mut self, _: Part, work: impl FnOnce() -> T) -> T {
        work()
    }
}

/// Polls that a part may take. Nothing here waits for anything: more than a few is an error.
const POLLS: usize = 1000;

/// Runs a call, its two parts under `meter`. Needs the context of a tokio runtime, for the clients' timers.
fn run<T>(gate: &Gate, meter: &mut impl Meter, call: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    gate.reached.store(false, Ordering::Relaxed);
    let mut call = pin!(call);
    let mut context = Context::from_waker(Waker::noop());
    let early = meter.measure(Part::Request, || {
        for _ in 0..POLLS {
            match call.as_mut().poll(&mut context) {
                Poll::Ready(outcome) => return Some(outcome),
                Poll::Pending if gate.reached.load(Ordering::Relaxed) => return None,
                Poll::Pending => {}
            }
        }
        Some(Err("the request never reached the connector".into()))
    });
    match early {
        Some(Ok(_)) => return Err("the call ended without its answer".into()),
        Some(Err(error)) => return Err(error),
        None => {}
    }
    meter.measure(Part::Answer, || {
        for _ in 0..POLLS {
            if let Poll::Ready(outcome) = call.as_mut().poll(&mut context) {
                return outcome;
            }
        }
        Err("the answer was never read".into())
    })
}
