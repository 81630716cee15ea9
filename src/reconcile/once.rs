//! One complete reconcile, for `--once`.

use std::future::Future;

use super::{Next, Reconciler};

/// After so many rounds in a row that failed as a whole, `--once` gives up.
const ROUNDS: u32 = 5;

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
    /// Waits for leadership and complete caches, then reconciles until nothing is left to do now.
    pub async fn once(mut self, shutdown: impl Future<Output = ()>) -> Outcome {
        tokio::pin!(shutdown);
        let mut changes = self.parts.cluster.changes();
        loop {
            let attempt = async {
                self.until_ready(&mut changes).await;
                match self.round().await {
                    Next::Wait(_) if self.failing().is_empty() => Some(Outcome::Done),
                    Next::Wait(_) => Some(Outcome::Incomplete(self.failing())),
                    Next::Again(_) if self.failed_rounds >= ROUNDS => {
                        Some(Outcome::Incomplete(vec!["the cluster or AWS could not be read; the log says why".into()]))
                    }
                    Next::Again(at) => {
                        tokio::time::sleep(at.0.saturating_sub(self.now().0)).await;
                        None
                    }
                    Next::Lost => None,
                }
            };
            tokio::select! {
                biased;
                () = &mut shutdown => return Outcome::Interrupted,
                outcome = attempt => if let Some(outcome) = outcome { return outcome },
            }
        }
    }
}
