//! The recording proxy before moto: the daemon's `AWS_ENDPOINT_URL`.
//!
//! It records every call in its order, refuses what the IAM allow-list doesn't hold, holds calls at gates and gives
//! canned answers. It puts the test's account on each call, so that all tests can share one moto, and judges Route 53's
//! change batches as AWS does, where moto doesn't.

mod call;
mod refusal;
mod route53;
mod summary;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::error::Result;
use crate::intercept::{Canned, Gate, Intercept, When};
use crate::wire::{self, Listener, Outcome, Reset};
use route53::Verdict;

/// What the daemon needs on nodes with one network interface, and what it is promised to need no more than.
pub const DOCUMENTED_ACTIONS: [&str; 12] = [
    "route53:ChangeResourceRecordSets",
    "route53:ListHostedZones",
    "route53:ListResourceRecordSets",
    "ec2:AuthorizeSecurityGroupIngress",
    "ec2:CreateSecurityGroup",
    "ec2:CreateTags",
    "ec2:DeleteSecurityGroup",
    "ec2:DescribeInstanceAttribute",
    "ec2:DescribeInstances",
    "ec2:DescribeSecurityGroups",
    "ec2:ModifyInstanceAttribute",
    "ec2:RevokeSecurityGroupIngress",
];

/// One call as the proxy saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsCall {
    /// Its place among all calls, from 0.
    pub number: usize,
    /// `ec2`, `route53` or `sts`.
    pub service: String,
    /// The operation's name, as `DescribeInstances`.
    pub operation: String,
    /// Its parameters: form fields, or query, `Id` and changes (`Change.1.Action`, `Change.1.Value.1`) of Route 53.
    pub parameters: BTreeMap<String, String>,
    /// The access key it was signed with: who called.
    pub access_key: Option<String>,
    /// When it came, since the proxy's start.
    pub came: Duration,
    /// When it was answered, the HTTP status (0: no answer, the connection ended) and by whom.
    pub answered: Option<(Duration, u16, By)>,
}

/// Who answered a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The server; the call had its effect if the status says so.
    Server,
    /// The allow-list: refused, no effect.
    AllowList,
    /// A canned answer before the effect.
    CannedBefore,
    /// A canned answer after the effect.
    CannedAfter,
}

impl AwsCall {
    /// The IAM action: `ec2:DescribeInstances`.
    pub fn action(&self) -> String {
        format!("{}:{}", self.service, self.operation)
    }

    /// Whether it changes anything in AWS (a dry run doesn't).
    pub fn is_write(&self) -> bool {
        let reads = ["Describe", "List", "Get", "AssumeRole"];
        !reads.iter().any(|verb| self.operation.starts_with(verb))
            && self.parameters.get("DryRun").is_none_or(|dry| dry != "true")
    }

    /// Whether the allow-list refused it.
    pub fn was_denied(&self) -> bool {
        matches!(self.answered, Some((_, _, By::AllowList)))
    }

    /// Whether it was answered with a status of success.
    pub fn succeeded(&self) -> bool {
        matches!(self.answered, Some((_, status, _)) if (200..300).contains(&status))
    }

    /// The names that a change batch touches, each once, in order: `("CREATE", "A", "name.")`.
    pub fn changes(&self) -> Vec<(String, String, String)> {
        let get = |number: usize, field: &str| self.parameters.get(&format!("Change.{number}.{field}")).cloned();
        (1..).map_while(|number| Some((get(number, "Action")?, get(number, "Type")?, get(number, "Name")?))).collect()
    }
}

/// A running proxy; it ends when dropped.
#[derive(Debug)]
pub struct RecordingProxy {
    listener: Listener,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    server: Uri,
    account: HeaderValue,
    client: Client<HttpConnector, Full<Bytes>>,
    intercept: Intercept<AwsCall>,
    /// `None`: everything is allowed.
    allowed: Mutex<Option<BTreeSet<String>>>,
    /// One change batch at a time, so that what it was judged by is still so when it takes effect.
    batches: tokio::sync::Mutex<()>,
}

impl RecordingProxy {
    /// Starts a proxy before the moto at `server`, for one account. Everything is allowed at first.
    pub async fn start(server: &str, account: &str) -> Result<Self> {
        let shared = Arc::new(Shared {
            server: server.parse()?,
            account: HeaderValue::from_str(account)?,
            client: Client::builder(TokioExecutor::new()).build_http(),
            intercept: Intercept::new(),
            allowed: Mutex::new(None),
            batches: tokio::sync::Mutex::new(()),
        });
        let handler = Arc::clone(&shared);
        let listener = Listener::serve(move |request| Arc::clone(&handler).handle(request)).await?;
        Ok(Self { listener, shared })
    }

    /// The daemon's `AWS_ENDPOINT_URL`.
    pub fn url(&self) -> &str {
        &self.listener.url
    }

    /// Refuses every call but these IAM actions (`ec2:DescribeInstances`). `sts:GetCallerIdentity` and
    /// `sts:AssumeRoleWithWebIdentity` need no permission. A create with tags needs `ec2:CreateTags` too.
    pub fn allow_only<S: AsRef<str>>(&self, actions: impl IntoIterator<Item = S>) {
        let actions = actions.into_iter().map(|action| action.as_ref().to_owned()).collect();
        *self.shared.allowed.lock().unwrap_or_else(PoisonError::into_inner) = Some(actions);
    }

    /// Allows everything again.
    pub fn allow_all(&self) {
        *self.shared.allowed.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// All calls in the order in which they came.
    pub fn calls(&self) -> Vec<AwsCall> {
        self.shared.intercept.calls()
    }

    /// How many calls came so far: a mark for [`Self::calls_since`].
    pub fn mark(&self) -> usize {
        self.shared.intercept.mark()
    }

    /// The calls since a mark.
    pub fn calls_since(&self, mark: usize) -> Vec<AwsCall> {
        self.shared.intercept.calls_since(mark)
    }

    /// The calls since a mark that change something, or would have.
    pub fn writes_since(&self, mark: usize) -> Vec<AwsCall> {
        self.calls_since(mark).into_iter().filter(AwsCall::is_write).collect()
    }

    /// [`AwsCall::summary`] of the calls since a mark that change something.
    pub fn summaries_since(&self, mark: usize) -> Vec<String> {
        self.writes_since(mark).iter().map(AwsCall::summary).collect()
    }

    /// Waits (at most 30 s) until a call after `mark` matches.
    pub async fn saw(&self, mark: usize, matches: impl Fn(&AwsCall) -> bool) -> Result<AwsCall> {
        self.shared.intercept.saw(mark, matches).await
    }

    /// Holds the nth (from 1) call of an operation from now on.
    pub fn hold(&self, operation: &'static str, nth: usize, when: When) -> Gate {
        self.shared.intercept.hold_nth(nth, when, move |call| call.operation == operation)
    }

    /// Holds every matching call from now on.
    pub fn hold_all(&self, when: When, matches: impl Fn(&AwsCall) -> bool + Send + Sync + 'static) -> Gate {
        self.shared.intercept.hold_all(when, matches)
    }

    /// Gives a canned answer to the next `times` calls of an operation.
    pub fn answer(&self, operation: &'static str, times: usize, when: When, answer: Canned) {
        self.answer_if(times, when, answer, move |call| call.operation == operation);
    }

    /// Gives a canned answer to the next `times` matching calls.
    pub fn answer_if(
        &self,
        times: usize,
        when: When,
        answer: Canned,
        matches: impl Fn(&AwsCall) -> bool + Send + Sync + 'static,
    ) {
        self.shared.intercept.answer(times, when, answer, matches);
    }

    /// Takes all canned answers back.
    pub fn answer_no_more(&self) {
        self.shared.intercept.answer_no_more();
    }
}

impl Shared {
    async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Outcome {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Reset)?.to_bytes();
        let read = call::read(&parts, &body);
        let came = self.intercept.now();
        let (number, call) = self.intercept.came(|number| AwsCall {
            number,
            service: read.service,
            operation: read.operation,
            parameters: read.parameters,
            access_key: read.access_key,
            came,
            answered: None,
        });
        let (outcome, by) = self.outcome(&call, parts, body).await;
        let status = outcome.as_ref().map_or(0, |answer| answer.status().as_u16());
        let now = self.intercept.now();
        self.intercept.update(number, |call| call.answered = Some((now, status, by)));
        outcome
    }

    async fn outcome(&self, call: &AwsCall, parts: Parts, body: Bytes) -> (Outcome, By) {
        if let Some(missing) = self.missing_permission(call) {
            return (refusal::denied(&call.service, &missing), By::AllowList);
        }
        self.intercept.pass(When::Before, call).await;
        if let Some(canned) = self.intercept.canned_for(When::Before, call) {
            return (Self::canned(call, canned, None), By::CannedBefore);
        }
        let real = match call.operation.as_str() {
            "ChangeResourceRecordSets" => self.change_records(call, parts, body).await,
            _ => self.forward(parts, body).await,
        };
        self.intercept.pass(When::After, call).await;
        match (self.intercept.canned_for(When::After, call), real) {
            (Some(canned), real) => (Self::canned(call, canned, real.ok()), By::CannedAfter),
            (None, Ok((status, body))) => (wire::answer(status, "text/xml", body), By::Server),
            (None, Err(reset)) => (Err(reset), By::Server),
        }
    }

    /// The action that `call` needs and the allow-list lacks.
    fn missing_permission(&self, call: &AwsCall) -> Option<String> {
        let allowed = self.allowed.lock().unwrap_or_else(PoisonError::into_inner);
        let allowed = allowed.as_ref()?;
        let mut needed = vec![call.action()];
        if call.parameters.keys().any(|name| name.starts_with("TagSpecification.")) {
            needed.push("ec2:CreateTags".to_owned());
        }
        let free = ["sts:GetCallerIdentity", "sts:AssumeRoleWithWebIdentity"];
        needed.into_iter().find(|action| !free.contains(&action.as_str()) && !allowed.contains(action))
    }

    /// Route 53 as AWS has it where moto is wrong.
    async fn change_records(
        &self,
        call: &AwsCall,
        parts: Parts,
        body: Bytes,
    ) -> std::result::Result<(u16, Bytes), Reset> {
        let _alone = self.batches.lock().await;
        let batch = route53::record_sets(&String::from_utf8_lossy(&body));
        let zone = call.parameters.get("Id").map(String::as_str).unwrap_or_default();
        let mut records = Vec::new();
        let mut page = String::new();
        loop {
            let mut list = parts.clone();
            list.method = http::Method::GET;
            // moto takes a form for another protocol.
            list.headers.remove(CONTENT_TYPE);
            list.uri = format!("/2013-04-01/hostedzone/{zone}/rrset?maxitems=300{page}").parse().map_err(|_| Reset)?;
            let (status, answer) = self.forward(list, Bytes::new()).await?;
            if status != 200 {
                return Ok((status, answer));
            }
            let text = String::from_utf8_lossy(&answer);
            records.extend(route53::record_sets(&text));
            let Some((name, kind)) = route53::next_page(&text) else { break };
            let name: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
            page = format!("&name={name}&type={kind}");
        }
        match route53::judge(&records, &batch) {
            Verdict::Send(body) => self.forward(parts, body).await,
            Verdict::AsItIs => self.forward(parts, body).await,
            Verdict::Nothing => Ok((200, route53::accepted())),
            Verdict::Refuse(messages) => Ok((400, route53::refusal(&messages))),
        }
    }

    async fn forward(&self, mut parts: Parts, body: Bytes) -> std::result::Result<(u16, Bytes), Reset> {
        let mut uri = self.server.clone().into_parts();
        uri.path_and_query = parts.uri.path_and_query().cloned();
        parts.uri = Uri::from_parts(uri).map_err(|_| Reset)?;
        for hop in [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            parts.headers.remove(hop);
        }
        parts.headers.insert("x-moto-account-id", self.account.clone());
        let answer = self.client.request(Request::from_parts(parts, Full::new(body))).await.map_err(|_| Reset)?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.map_err(|_| Reset)?.to_bytes();
        Ok((status, body))
    }

    fn canned(call: &AwsCall, canned: Canned, real: Option<(u16, Bytes)>) -> Outcome {
        wire::canned(
            canned,
            real,
            |status, code, message| refusal::error(&call.service, status, code, message),
            || refusal::throttled(&call.service),
        )
    }
}
