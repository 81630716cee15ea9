//! Takes, renews and gives up the Lease. Owns when to ask; what the answers mean is the cage's, what may be written
//! meanwhile the fence's to say. One attempt at a time, nothing in parallel on the Lease.

use super::cage::{Cage, Free};
use super::fence::Fence;
use super::lease_watch::{Heard, LeaseWatch};
use super::settings::LeaseSettings;
use crate::clock::{SharedClock, SharedRandom, jittered};
use kube_leader_election::{Error, LeaseLock, LeaseLockParams, LeaseLockResult};
use slog::{Logger, debug, info, warn};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// After a lost race the next attempt follows at once, so often.
const RETRIES: u32 = 3;

/// Keeps the Lease of one process.
pub struct Elector {
    settings: Arc<LeaseSettings>,
    client: kube::Client,
    lock: LeaseLock,
    cage: Cage,
    fence: Fence,
    clock: SharedClock,
    random: SharedRandom,
    log: Logger,
}

/// How an attempt to take or renew the Lease went.
enum Outcome {
    Leads,
    /// Somebody else holds it.
    Held,
    /// It isn't what it was when we last read or wrote it.
    Raced,
    Failed,
}

impl Elector {
    /// An elector that uses `client` (see [`super::lease_service`]: no retries of its own). Must be called within a
    /// tokio runtime. The error says what to change in the settings.
    pub fn new(
        client: kube::Client,
        settings: LeaseSettings,
        clock: SharedClock,
        random: SharedRandom,
        log: Logger,
    ) -> Result<Elector, String> {
        settings.check()?;
        let settings = Arc::new(settings);
        let fence = Fence::new(clock.clone(), settings.duration.saturating_sub(settings.margin));
        let cage = Cage::new(client.clone(), settings.clone(), clock.clone(), fence.clone());
        let params = LeaseLockParams {
            lease_name: settings.name.clone(),
            holder_id: settings.holder.clone(),
            lease_ttl: settings.duration,
        };
        let lock = LeaseLock::new(cage.caged_client(), &settings.namespace, params);
        Ok(Elector { settings, client, lock, cage, fence, clock, random, log })
    }

    /// The fence that this elector moves.
    pub fn fence(&self) -> Fence {
        self.fence.clone()
    }

    /// Contends for the Lease until `shutdown`; then stops writes, waits for those in flight, gives the Lease up if
    /// it is held, and returns. `progress`: time since the loop last moved; a leader whose loop doesn't move gives
    /// the Lease up and contends again only when the loop has moved since. Never fails: what goes wrong is logged
    /// and tried again.
    pub async fn run(self, progress: impl Fn() -> Duration, shutdown: impl Future<Output = ()>) {
        let (stop, stopping) = watch::channel(false);
        let stopped = async {
            shutdown.await;
            self.fence.stop_writes();
            // The other end lives as long as the attempts.
            let _ = stop.send(true);
        };
        let contention = async {
            tokio::select! {
                biased;
                () = self.contend(&progress, stopping) => {}
                () = self.announce_losses() => {}
            }
        };
        tokio::join!(biased; stopped, contention);
        self.give_up("shutting down").await;
    }

    async fn contend(&self, progress: &impl Fn() -> Duration, mut stopping: watch::Receiver<bool>) {
        let mut heard =
            LeaseWatch::new(self.client.clone(), self.settings.clone(), self.random.clone(), self.log.clone());
        let mut races = 0;
        let mut led_since = self.clock.monotonic();
        let mut gave_up_at = None;
        while !*stopping.borrow() {
            let now = self.clock.monotonic();
            if let Some(moment) = gave_up_at {
                if progress() >= now.saturating_sub(moment) {
                    self.pause(self.settings.renew_every, &mut stopping).await;
                    continue;
                }
                info!(self.log, "the loop moves again: contending for the Lease");
                gave_up_at = None;
            }
            let leads = self.fence.is_leader();
            if !leads {
                led_since = now;
            } else if progress().min(now.saturating_sub(led_since)) > self.settings.stalled_after {
                self.fence.stop_writes();
                tokio::select! {
                    biased;
                    _ = stopping.wait_for(|stop| *stop) => return,
                    () = self.give_up("the loop doesn't move") => {}
                }
                self.fence.resume_as_candidate();
                gave_up_at = Some(now);
                continue;
            }
            let known = self.cage.version();
            let outcome = self.attempt().await;
            if let Outcome::Raced = outcome {
                races += 1;
                if races <= RETRIES {
                    continue;
                }
            }
            races = 0;
            match outcome {
                Outcome::Leads => {
                    heard.close();
                    // Those who want a fresher renewal may have one, but not without end.
                    self.pause(self.settings.renew_every / 4, &mut stopping).await;
                    self.pause_unless_wanted(self.settings.renew_every * 3 / 4, &mut stopping).await;
                }
                Outcome::Held => self.await_turn(&mut heard, known, &mut stopping).await,
                Outcome::Raced | Outcome::Failed => {
                    // A call without an answer has taken its part of the period already.
                    let spent = self.clock.monotonic().saturating_sub(now);
                    let period = self.settings.renew_every;
                    self.pause(period.saturating_sub(spent).max(period / 4), &mut stopping).await;
                }
            }
        }
    }

    async fn pause(&self, period: Duration, stopping: &mut watch::Receiver<bool>) {
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => {}
            () = tokio::time::sleep(jittered(period, self.random.as_ref())) => {}
        }
    }

    async fn pause_unless_wanted(&self, period: Duration, stopping: &mut watch::Receiver<bool>) {
        tokio::select! {
            biased;
            () = self.fence.wanted() => {}
            () = self.pause(period, stopping) => {}
        }
    }

    /// Somebody else holds the Lease: waits until it may be free.
    async fn await_turn(&self, heard: &mut LeaseWatch, known: Option<String>, stopping: &mut watch::Receiver<bool>) {
        let version = self.cage.version().unwrap_or_default();
        if heard.is_open() && known.is_some_and(|known| known != version) {
            // The look just made has shown what the watch should have told before.
            debug!(self.log, "the watch on the Lease is silent: opened anew");
            heard.close();
        }
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => return,
            () = heard.ensure(&version) => {}
        }
        let quiet = |heard: &LeaseWatch| {
            let periods = if heard.is_open() { 3 } else { 1 };
            Instant::now() + jittered(self.settings.renew_every * periods, self.random.as_ref())
        };
        let mut look = quiet(heard);
        loop {
            let now = self.clock.monotonic();
            let expires = self.cage.expires().unwrap_or(now).saturating_sub(now).max(Duration::from_millis(1));
            tokio::select! {
                biased;
                _ = stopping.wait_for(|stop| *stop) => return,
                what = heard.next(&self.cage) => match what {
                    Heard::Look => return,
                    Heard::Held | Heard::Nothing => look = quiet(heard),
                },
                () = tokio::time::sleep(expires) => return,
                () = tokio::time::sleep_until(look) => return,
            }
        }
    }

    async fn attempt(&self) -> Outcome {
        self.cage.forget();
        let result = self.lock.try_acquire_or_renew().await;
        // What the crate returns says nothing of whose Lease it is, nor since when: the cage knows.
        let confirmed = self.cage.take_confirmed();
        match (result, confirmed) {
            (_, Some((confirmed, free))) => {
                let wait = confirmed.first_write.saturating_sub(self.clock.monotonic());
                if let Some(term) = self.fence.confirm(confirmed) {
                    info!(self.log, "leads now"; "term" => term, "lease" => reason(free),
                        "first_write_in_ms" => u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
                }
                Outcome::Leads
            }
            (Ok(LeaseLockResult::NotAcquired(_)), None) => {
                let holder = self.cage.holder();
                if self.fence.held_by(holder.clone()) {
                    info!(self.log, "waits: another process leads"; "holder" => holder);
                }
                Outcome::Held
            }
            (Ok(LeaseLockResult::Acquired(_)), None) => {
                warn!(self.log, "the API server's answer doesn't name this process as the Lease's holder");
                Outcome::Failed
            }
            (Err(error), None) if raced(&error) => {
                debug!(self.log, "the Lease changed meanwhile");
                Outcome::Raced
            }
            (Err(error), None) => {
                let LeaseSettings { namespace, name, .. } = &*self.settings;
                if matches!(code(&error), Some(401 | 403)) {
                    warn!(self.log, "permission missing: the daemon's ServiceAccount must be allowed to get, create, \
                        patch and watch leases in the namespace {namespace}"; "lease" => name, "error" => %error);
                } else {
                    warn!(self.log, "the Lease could not be read or written"; "lease" => format!("{namespace}/{name}"),
                        "error" => %error);
                }
                Outcome::Failed
            }
        }
    }

    /// Says when leadership ends without anything having been heard from the API server.
    async fn announce_losses(&self) {
        let mut leadership = self.fence.subscribe();
        loop {
            let leads = |leadership: &super::Leadership| matches!(leadership, super::Leadership::Leader { .. });
            // The sender is in `self`.
            let _ = leadership.wait_for(leads).await;
            self.fence.lost().await;
            warn!(self.log, "not the leader any more: writing nothing");
        }
    }

    /// Gives the Lease up, if it is ours beyond doubt, once no write of this process can take effect any more.
    /// Writes must be stopped. Else it is left to expire.
    async fn give_up(&self, why: &str) {
        {
            // Nothing can be given up after the deadline; a successor by expiry waits for late writes by itself.
            let mut settled = pin!(self.fence.settled());
            while let Some(deadline) = self.fence.deadline() {
                let left = deadline.saturating_sub(self.clock.monotonic()).max(Duration::from_millis(1));
                if tokio::time::timeout(left, &mut settled).await.is_ok() {
                    break;
                }
            }
        }
        if !self.fence.holds_undisputed() {
            debug!(self.log, "no Lease to give up"; "why" => why);
            return;
        }
        self.cage.forget();
        match self.lock.step_down().await {
            Ok(()) => info!(self.log, "the Lease is given up"; "why" => why),
            Err(error) => {
                warn!(self.log, "the Lease could not be given up: it is left to expire"; "why" => why, "error" => %error)
            }
        }
        self.fence.drop_leadership();
    }
}

fn code(error: &Error) -> Option<u16> {
    match error {
        Error::GetLease(kube::Error::Api(status))
        | Error::CreateLease(kube::Error::Api(status))
        | Error::AcquireLease(kube::Error::Api(status))
        | Error::RenewLease(kube::Error::Api(status))
        | Error::ReleaseLease(kube::Error::Api(status))
        | Error::Kube(kube::Error::Api(status)) => Some(status.code),
        Error::ApiError { response } => Some(response.code),
        _ => None,
    }
}

/// Whether the Lease isn't there any more, or not as it was.
fn raced(error: &Error) -> bool {
    let gone = matches!(error, Error::AcquireLease(_) | Error::RenewLease(_)) && code(error) == Some(404);
    gone || code(error) == Some(409)
}

fn reason(free: Free) -> &'static str {
    match free {
        Free::Ours => "still ours",
        Free::Released => "released",
        Free::Expired => "expired",
        Free::Blanked => "had no holder",
        Free::Missing => "created",
    }
}
