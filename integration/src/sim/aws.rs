//! AWS: EC2, Route 53, STS and the instance metadata service over their real wire formats, as strict as they are
//! documented to be. In process ([`Aws::transport`]) or on a socket ([`Aws::serve_on`]).
//!
//! Signatures are verified, a policy is enforced action by action, requests are counted against AWS's rates and quotas,
//! reads may show the past, and each object knows privately who made it. Checks look by [`Aws::look`].
//!
//! # Faults
//! Each call can meet each [`Fault`] (a [`Chaos`](crate::sim::Chaos) decides); what lasts is an [`Options`] or done by a
//! method.
//!
//! | | what | by |
//! |-|-|-|
//! | A1 | throttled | [`Options::throttling`] (AWS's buckets); `Refuse` 503 `RequestLimitExceeded`, 400 `Throttling` |
//! | A2 | 5xx before the effect | `Refuse` 500 `InternalError`, 503 `Unavailable` |
//! | A3 | answer lost after the effect | `LostAfter`, `Hang { effect: true }` |
//! | A4 | answer lost, the effect comes later | `Late`; `LostBefore` and `Hang { effect: false }`: never |
//! | A5 | the past is shown, new groups are unknown | [`Options::ec2_lag`], [`Options::route53_lag`], [`Options::steady_lag`]; `Stale` |
//! | A6 | DependencyViolation after a detach | [`Options::release_time`] |
//! | A7 | quotas | [`Options::limits`] |
//! | A8 | rules that are there, or aren't | always; by VPC ([`Aws::create_vpc`]) |
//! | A9 | part of an Authorize | [`Options::partial_authorize`] |
//! | A10 | somebody changes an interface's groups in between | [`Aws::attach_group`] and the like, from the `Chaos` |
//! | A11 | pages: token expired, page repeated, thing missing | [`Options::token_life`], `PageExpired`, `PageRepeats`, `Omits` |
//! | A12 | wrong clock | [`Aws::set_clock_off`] |
//! | A13 | keys expire, are not renewed, IMDS hangs | [`Aws::expire_keys`]; any fault on `sts:` and `imds:` calls |
//! | A14 | one action or zone denied | [`Aws::set_policy`] with [`Policy::without`], [`Policy::without_on`] |
//! | A15 | PriorRequestNotComplete; one bad change of many | [`Options::zone_busy`]; always |
//! | A16 | a zone deleted, made anew, without delegation | [`Aws::delete_zone`], [`Aws::create_zone`], [`Aws::set_delegated`] |
//! | A17 | a record changed between list and batch | [`Aws::put_record`], [`Aws::delete_record`], from the `Chaos` |
//! | A18 | unusable answers | `Garbled`; `Slow` |
//! | A19 | an instance stops, ends, gets another address | [`Aws::stop_instance`], [`Aws::start_instance`], [`Aws::terminate_instance`], [`Aws::associate_address`] |
//! | A20 | a known instance is left out | `Omits`, `Empty`; [`Aws::forget_instance`] |

mod answer;
mod buckets;
mod ec2;
mod faults;
mod form;
mod identity;
mod imds;
mod options;
mod people;
mod policy;
mod request;
mod route53;
mod serve;
mod sigv4;
pub mod state;
mod sts;
#[cfg(test)]
mod tests;
mod world;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::Response;

use crate::sim::Stage;
use crate::sim::event::{Actor, Call, Creator, Event, Seam};
use crate::sim::fault::Fault;

use answer::{Kind, Refusal};
use identity::{Principal, Role};
use request::Request;
use world::{Caller, Spoil, World};

pub use options::{Limits, Options};
pub use people::NewInstance;
pub use policy::Policy;
pub use route53::names::RecordKey;
pub use serve::{NoAnswer, Server};
pub use state::{Count, State};

/// An account at AWS. Clones are the same account.
#[derive(Clone)]
pub struct Aws {
    stage: Stage,
    world: Arc<Mutex<World>>,
}

/// How many listings may be on their way at once, until somebody looks at what they show.
const UNDER_WAY: usize = 64;

impl Aws {
    /// An empty account.
    pub fn new(stage: Stage, options: Options) -> Aws {
        let began = stage.clock.wall() - stage.clock.now();
        Aws { stage, world: Arc::new(Mutex::new(World::new(options, began))) }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The groups on interfaces that the answer to a complete listing of instances shows; nothing, the second time.
    pub fn shown_by(&self, call: u64) -> Vec<(String, String)> {
        self.world().shown.remove(&call).unwrap_or_default()
    }

    /// Shows what there is now. Not to be called from within itself.
    pub fn look<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        let state = self.world().state.clone();
        look(&state)
    }

    /// How often each thing was made and taken away, by who made it. Things are named alike in every history:
    /// `group NAME`, `rule GROUP udp/5-6 from 0.0.0.0/0`, `attachment INSTANCE GROUP`, `record NAME TYPE`.
    pub fn counts(&self) -> BTreeMap<(Creator, String), Count> {
        self.world().counts.clone()
    }

    /// The quotas.
    pub fn limits(&self) -> Limits {
        self.options(|options| options.limits.clone())
    }

    /// Looks at the settings.
    pub fn options<T>(&self, look: impl FnOnce(&Options) -> T) -> T {
        look(&self.world().options)
    }

    /// Changes settings from now on.
    pub fn set(&self, change: impl FnOnce(&mut Options)) {
        change(&mut self.world().options);
    }

    /// Somebody with keys for good.
    pub fn add_principal(&self, access_key: &str, secret: &str, token: Option<&str>, policy: Policy, actor: Actor) {
        let mut world = self.world();
        let arn = format!("arn:aws:iam::{}:user/{access_key}", world.options.account);
        let (secret, token) = (secret.to_owned(), token.map(str::to_owned));
        let principal = Principal { secret, token, policy: Arc::new(policy), actor, arn, expires: None };
        world.identities.principals.insert(access_key.to_owned(), principal);
    }

    /// A role, and its ARN. Whoever has `sts:AssumeRole` on it may take it on, and whoever shows one of the tokens as a
    /// web identity.
    pub fn add_role(&self, name: &str, policy: Policy, web_identities: &[(&str, Actor)]) -> String {
        let mut world = self.world();
        let arn = format!("arn:aws:iam::{}:role/{name}", world.options.account);
        let web_identities = web_identities.iter().map(|(token, actor)| ((*token).to_owned(), *actor)).collect();
        let role = Role { policy: Arc::new(policy), web_identities, trusts_account: true };
        world.identities.roles.insert(arn.clone(), role);
        arn
    }

    /// The role whose keys the metadata service gives out; `None`: there is none.
    pub fn set_instance_role(&self, name: Option<&str>) {
        self.world().identities.instance_role = name.map(str::to_owned);
    }

    /// Replaces the policy of everybody who acts as `actor`, temporary keys included.
    pub fn set_policy(&self, actor: Actor, policy: Policy) {
        let policy = Arc::new(policy);
        for principal in self.world().identities.principals.values_mut().filter(|one| one.actor == actor) {
            principal.policy = Arc::clone(&policy);
        }
    }

    /// All temporary keys are over now, whatever was said of their end.
    pub fn expire_keys(&self) {
        let now = self.wall();
        for principal in self.world().identities.principals.values_mut() {
            principal.expires = principal.expires.map(|_| now);
        }
    }

    /// AWS's clocks are ahead of the right time by so many seconds: of a process whose own is right this is what a wrong
    /// clock looks like.
    pub fn set_clock_off(&self, seconds: i64) {
        self.world().clock_off = seconds;
    }

    /// AWS's time of day.
    fn wall(&self) -> SystemTime {
        off(self.stage.clock.wall(), self.world().clock_off)
    }

    /// One exchange. `via` is who sent it as far as its keys don't say: the process whose way this is.
    ///
    /// # Errors
    /// When there is no answer, by a fault.
    pub async fn exchange(&self, via: Actor, request: http::Request<Bytes>) -> Result<Response<Bytes>, NoAnswer> {
        let request = Arc::new(Request::read(request));
        let actor = {
            let world = self.world();
            let principal = request.access_key().and_then(|key| world.identities.principals.get(key));
            principal.map_or(via, |principal| principal.actor)
        };
        let (call, fault) = self.stage.begin(actor, Seam::Aws, request.label(), request.target(), request.mutates());
        let unanswered = |why: NoAnswer| {
            self.stage.journal.record(Event::Answered { call: call.number, status: None, code: None });
            Err(why)
        };
        let (there, back) = self.travel();
        let mut effect_after = there;
        let mut refusal = None;
        match &fault {
            Some(Fault::Unreachable) => return unanswered(NoAnswer::NotSent),
            Some(Fault::LostBefore) => {
                tokio::time::sleep(there).await;
                return unanswered(NoAnswer::Lost);
            }
            Some(Fault::Hang { effect: false }) => {
                let _ = unanswered(NoAnswer::Lost);
                return std::future::pending().await;
            }
            Some(Fault::Refuse { status, code, retry_after }) => {
                refusal = Some((Refusal::new(*status, code, "refused by the simulation"), *retry_after));
            }
            Some(Fault::Slow(by) | Fault::Late(by)) => effect_after += *by,
            _ => {}
        }
        if refusal.is_none() {
            let mut world = self.world();
            if world.options.throttling {
                let taken = world.buckets.take(&request, self.stage.clock.now());
                refusal = taken.err().map(|refusal| (refusal, None));
            }
        }
        if let Some((refusal, retry_after)) = refusal {
            tokio::time::sleep(there + back).await;
            let answer = self.refused(&request, &call, &refusal, retry_after);
            self.answered(&call, &answer, Some(&refusal));
            return Ok(answer);
        }
        // What is on its way arrives, whatever becomes of who sent it.
        let (this, of) = (self.clone(), (Arc::clone(&request), call.clone(), fault.clone()));
        let effect = move || {
            let (request, call, fault) = of;
            this.effect(&request, &call, via, fault.as_ref())
        };
        if let Some(Fault::Late(_)) = &fault {
            tokio::spawn(async move {
                tokio::time::sleep(effect_after).await;
                effect();
            });
            tokio::time::sleep(there).await;
            return unanswered(NoAnswer::Lost);
        }
        let outcome = if effect_after.is_zero() {
            Ok(effect())
        } else {
            tokio::spawn(async move {
                tokio::time::sleep(effect_after).await;
                effect()
            })
            .await
        };
        // An effect that panicked is a fault of the simulator: nothing sensible can be answered.
        let Ok((answer, refusal)) = outcome else { return unanswered(NoAnswer::Lost) };
        match fault {
            Some(Fault::LostAfter) => return unanswered(NoAnswer::Lost),
            Some(Fault::Hang { .. }) => {
                let _ = unanswered(NoAnswer::Lost);
                return std::future::pending().await;
            }
            Some(Fault::Garbled(how)) => {
                let answer = faults::garble(request.kind, &request.operation, answer, how);
                self.answered(&call, &answer, refusal.as_ref());
                tokio::time::sleep(back).await;
                return Ok(answer);
            }
            _ => {}
        }
        self.answered(&call, &answer, refusal.as_ref());
        if !back.is_zero() {
            tokio::time::sleep(back).await;
        }
        Ok(answer)
    }

    fn travel(&self) -> (Duration, Duration) {
        let world = self.world();
        let most = world.options.travel;
        if most.is_zero() { (most, most) } else { (world.draw(most), world.draw(most)) }
    }

    fn answered(&self, call: &Call, answer: &Response<Bytes>, refusal: Option<&Refusal>) {
        let code = refusal.map(|refusal| refusal.code.to_owned());
        let status = Some(answer.status().as_u16());
        self.stage.journal.record(Event::Answered { call: call.number, status, code });
    }

    /// The request takes effect, and its answer is made.
    fn effect(
        &self,
        request: &Request,
        call: &Call,
        via: Actor,
        fault: Option<&Fault>,
    ) -> (Response<Bytes>, Option<Refusal>) {
        let (result, news) = {
            let mut world = self.world();
            let result = self.handle(&mut world, request, via, fault);
            let showing = std::mem::take(&mut world.showing);
            if !showing.is_empty() && !matches!(fault, Some(Fault::Garbled(_))) {
                world.shown.insert(call.number, showing);
                if world.shown.len() > UNDER_WAY {
                    world.shown.pop_first();
                }
            }
            (result, std::mem::take(&mut world.news))
        };
        for what in news {
            let event = Event::Changed { call: Some(call.number), actor: call.actor, seam: Seam::Aws, what };
            self.stage.journal.record(event);
        }
        match result {
            Ok((content, life)) => (self.done(request, call, &content, life), None),
            Err(mut refusal) => {
                refusal.listed = refusal.code == "InvalidChangeBatch" && self.world().options.listed_batch_errors;
                (self.refused(request, call, &refusal, None), Some(refusal))
            }
        }
    }

    /// Who it is, whether the date is right, and what the service says.
    fn handle(
        &self,
        world: &mut World,
        request: &Request,
        via: Actor,
        fault: Option<&Fault>,
    ) -> answer::Result<(String, Option<String>)> {
        let now = self.stage.clock.now();
        let wall = off(self.stage.clock.wall(), world.clock_off);
        let kind = request.kind;
        if kind == Kind::Imds {
            return imds::answer(world, via, request, wall);
        }
        if kind == Kind::Sts && request.operation == "AssumeRoleWithWebIdentity" {
            return sts::web_identity(world, &request.form, wall).map(|content| (content, None));
        }
        let Some(signature) = &request.signature else { return Err(sigv4::unsigned(kind)) };
        let principal = world.identities.principals.get(&signature.access_key).cloned();
        let Some(principal) = principal else { return Err(sigv4::unknown_key(kind)) };
        let region = match kind {
            Kind::Route53 => "us-east-1",
            _ => &world.options.region,
        };
        let secret = sigv4::Secret { secret: &principal.secret, token: principal.token.as_deref() };
        sigv4::verify(request, signature, &secret, region, wall)?;
        if principal.expires.is_some_and(|end| wall >= end) {
            return Err(sigv4::expired_keys(kind));
        }
        let age = match (fault, kind) {
            (Some(Fault::Stale(by)), _) => *by,
            (_, Kind::Ec2) => world.age(world.options.ec2_lag),
            (_, Kind::Route53) => world.age(world.options.route53_lag),
            _ => Duration::ZERO,
        };
        let spoil = Spoil {
            omits: fault == Some(&Fault::Omits),
            empty: fault == Some(&Fault::Empty),
            page_expired: fault == Some(&Fault::PageExpired),
            page_repeats: fault == Some(&Fault::PageRepeats),
        };
        let Principal { policy, actor, arn, .. } = principal;
        let patchy = world.options.patchy
            && !world.options.steady_lag
            && !age.is_zero()
            && !matches!(fault, Some(Fault::Stale(_)));
        let caller = Caller { actor, policy, arn, now, shown: now.saturating_sub(age), patchy, spoil };
        let content = match kind {
            Kind::Ec2 => ec2::answer(world, &caller, &request.operation, &request.form),
            Kind::Route53 => route53::answer(world, &caller, request),
            Kind::Sts | Kind::Imds => sts::answer(world, &caller, &request.operation, &request.form, wall),
        };
        content.map(|content| (content, None))
    }

    fn done(&self, request: &Request, call: &Call, content: &str, life: Option<String>) -> Response<Bytes> {
        let id = request_id(call);
        let mut headers = self.headers(&id);
        headers.extend(life.map(|life| ("x-aws-ec2-metadata-token-ttl-seconds", life)));
        let (kind, operation) = (request.kind, request.operation.as_str());
        let content_type = if kind == Kind::Imds { "text/plain" } else { "text/xml;charset=UTF-8" };
        answer::http(200, content_type, &headers, answer::document(kind, operation, &id, content))
    }

    fn refused(&self, request: &Request, call: &Call, refusal: &Refusal, retry_after: Option<u32>) -> Response<Bytes> {
        let id = request_id(call);
        let mut headers = self.headers(&id);
        headers.extend(retry_after.map(|seconds| ("retry-after", seconds.to_string())));
        let body = answer::error_document(request.kind, refusal, &id);
        answer::http(refusal.status, "text/xml;charset=UTF-8", &headers, body)
    }

    fn headers(&self, id: &str) -> Vec<(&'static str, String)> {
        let date = jiff::Timestamp::try_from(self.wall()).ok();
        let date = date.map(|date| date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
        let mut headers = vec![("x-amzn-requestid", id.to_owned())];
        headers.extend(date.map(|date| ("date", date)));
        headers
    }
}

fn off(right: SystemTime, seconds: i64) -> SystemTime {
    let by = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { right - by } else { right + by }
}

fn request_id(call: &Call) -> String {
    format!("00000000-0000-4000-8000-{:012}", call.number)
}
