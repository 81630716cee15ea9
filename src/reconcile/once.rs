//! One complete reconcile, for `--once`.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use super::{Next, Reconciler};
use crate::expose::{Failure, Moment, Reason, Target};

/// After so many rounds in a row that failed as a whole, `--once` gives up.
const ROUNDS: u32 = 5;

/// How often it is looked at what is still missing, at most.
const LOOK: Duration = Duration::from_secs(1);

/// How `--once` ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that is asked for is so, or is waiting for resolvers to forget old answers.
    Done,
    /// Some of it could not be done: what, in words for people.
    Incomplete(Vec<String>),
    /// It was told to stop before.
    Interrupted,
}

impl Reconciler {
    /// Waits for leadership and complete caches, then reconciles until nothing is left to do now. When `shutdown`
    /// resolves, a round that is under way ends as it does in [`Reconciler::run`].
    pub async fn once(mut self, shutdown: impl Future<Output = ()>) -> Outcome {
        let mut shutdown = pin!(shutdown);
        let mut patience: Option<Moment> = None;
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => return Outcome::Interrupted,
                ready = self.ready_in_time() => if let Err(missing) = ready {
                    return Outcome::Incomplete(vec![missing]);
                }
            }
            let Some(next) = self.round_until(shutdown.as_mut()).await else { return Outcome::Interrupted };
            let at = match next {
                Next::Wait(_) => {
                    let last = *patience.get_or_insert(self.now().after(self.parts.timing.ready));
                    match self.on_the_way().filter(|_| self.now() < last) {
                        Some(at) => at.max(self.now().after(LOOK)),
                        None => return self.outcome(),
                    }
                }
                Next::Again(_) if self.failed_rounds >= ROUNDS => {
                    return Outcome::Incomplete(vec!["the cluster or AWS could not be read; the log says why".into()]);
                }
                Next::Again(at) => at,
                Next::Lost => continue,
            };
            tokio::select! {
                biased;
                () = &mut shutdown => return Outcome::Interrupted,
                () = tokio::time::sleep(at.0.saturating_sub(self.now().0)) => {}
            }
        }
    }

    /// When what merely takes its time, at AWS, is tried again. That a group stays in use for a while is no such thing:
    /// it takes minutes, and nobody misses anything.
    fn on_the_way(&self) -> Option<Moment> {
        self.passing().map(|failure| failure.retry_at).min()
    }

    fn passing(&self) -> impl Iterator<Item = &Failure> {
        let failures = self.memory.failures.iter();
        let passing = failures
            .filter(|(target, failure)| failure.reason == Reason::Progressing && !matches!(target, Target::Group(_)));
        passing.map(|(_, failure)| failure)
    }

    fn outcome(&self) -> Outcome {
        let missing: Vec<String> =
            self.failing().into_iter().chain(self.passing().map(|failure| failure.message.clone())).collect();
        if missing.is_empty() { Outcome::Done } else { Outcome::Incomplete(missing) }
    }

    /// Waits until a round can run, but not for ever; the error says what is missing.
    async fn ready_in_time(&mut self) -> Result<(), String> {
        let mut changes = self.parts.cluster.changes();
        let mut waited = Duration::ZERO;
        loop {
            tokio::select! {
                biased;
                () = self.until_ready(&mut changes) => return Ok(()),
                () = tokio::time::sleep(LOOK) => {}
            }
            // With the Lease in hand and all lists read, only writes of a former leader are waited for.
            let Some(missing) = self.missing() else { continue };
            waited += LOOK;
            if waited >= self.parts.timing.ready {
                return Err(format!("not ready after {} s: {missing}", waited.as_secs()));
            }
        }
    }

    /// What is missing before a round can run, in words for people.
    fn missing(&self) -> Option<String> {
        let lists = self.parts.cluster.missing();
        let lists = (!lists.is_empty())
            .then(|| format!("the API server has not given a complete list of {}; the log says why", lists.join(", ")));
        let lease =
            (!self.parts.dry_run && !self.parts.fence.is_leader()).then(|| match self.parts.fence.other_holder() {
                Some(holder) => format!("the Lease is held by {holder}"),
                None => "the Lease could not be taken; the log says why".to_owned(),
            });
        let missing: Vec<String> = lists.into_iter().chain(lease).collect();
        (!missing.is_empty()).then(|| missing.join("; "))
    }
}
