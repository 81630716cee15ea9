//! What the Lease is called and how its times relate; the holder's id; the kube client that carries the Lease's
//! requests. Nothing here acts.

use crate::clock::Random;
use std::time::Duration;

/// Longest name of a field manager, which the holder's id also is (k8s.io/apimachinery, validation of
/// `fieldManager`). A longer one could create the Lease but never renew it.
const LONGEST_HOLDER: usize = 128;
/// How much of the given name goes into the holder's id.
const NAME_IN_HOLDER: usize = 80;

/// The Lease and its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseSettings {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// This process: must be unique per process start, see [`holder_id`].
    pub holder: String,
    /// How long the Lease lasts without a renewal; whole seconds, as the API has it.
    pub duration: Duration,
    /// How much earlier than that this process takes it for lost: covers clocks that run at different rates.
    pub margin: Duration,
    /// Pause between renewals, and between looks when there is no watch; varied by a fifth.
    pub renew_every: Duration,
    /// Longest wait for the answer to one request about the Lease.
    pub call_timeout: Duration,
    /// Longest that a write of any leader may take: so long a successor by expiry waits before its first write.
    pub write_timeout: Duration,
    /// A leader whose loop hasn't moved for so long gives the Lease up.
    pub stalled_after: Duration,
}

impl LeaseSettings {
    /// Settings with the default times: 15 s, renewed every 2 s.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>, holder: impl Into<String>) -> LeaseSettings {
        LeaseSettings {
            namespace: namespace.into(),
            name: name.into(),
            holder: holder.into(),
            duration: Duration::from_secs(15),
            margin: Duration::from_secs(3),
            renew_every: Duration::from_secs(2),
            call_timeout: Duration::from_secs(3),
            write_timeout: Duration::from_secs(10),
            stalled_after: Duration::from_secs(60),
        }
    }

    /// The same with another duration, and the times that depend on it in proportion.
    pub fn with_duration(mut self, duration: Duration) -> LeaseSettings {
        self.duration = duration;
        self.margin = duration / 5;
        self.renew_every = duration * 2 / 15;
        self.call_timeout = (duration / 5).min(Duration::from_secs(3));
        self.write_timeout =
            duration.saturating_sub(self.margin).saturating_sub(self.renew_every).min(Duration::from_secs(10));
        self.stalled_after = self.stalled_after.max(duration);
        self
    }

    /// Whether these times can work together; the message says what to change.
    pub fn check(&self) -> Result<(), String> {
        let usable = self.duration.saturating_sub(self.margin);
        let says = |message: &str| Err(message.to_owned());
        if self.namespace.is_empty() || self.name.is_empty() {
            return says("the Lease needs a namespace and a name");
        }
        if self.holder.is_empty() || self.holder.len() > LONGEST_HOLDER {
            return says("the Lease holder's id must have 1 to 128 bytes: shorten it");
        }
        if self.duration < Duration::from_secs(5) || self.duration.subsec_nanos() != 0 {
            return says("the Lease duration must be at least 5 s and whole seconds: 15 s is usual");
        }
        if self.duration > Duration::from_secs(3600) {
            return says("the Lease duration must be at most an hour: nobody would take over earlier. 15 s is usual");
        }
        if self.margin < self.duration / 10 {
            return says("the Lease margin must be at least a tenth of its duration, since clocks differ in rate");
        }
        if self.renew_every.is_zero() || self.call_timeout.is_zero() || self.write_timeout.is_zero() {
            return says("the Lease's renew period and time-outs must not be zero");
        }
        // A renewal of two calls may fail without an answer; the next must still come in time.
        if self.call_timeout * 2 + self.renew_every * 6 / 5 > usable {
            return says(
                "the Lease leaves no room for renewals: make the duration longer, or the renew period, the \
                 call time-out or the margin shorter (2 calls + 1.2 periods must fit into duration - margin)",
            );
        }
        if self.write_timeout + self.renew_every > usable {
            return says(
                "the Lease leaves no room for writes: make the duration longer or the write time-out \
                 shorter (write time-out + renew period must fit into duration - margin)",
            );
        }
        if self.stalled_after < self.duration {
            return says("a stalled loop must be given at least the Lease's duration before the Lease is given up");
        }
        Ok(())
    }
}

/// An id that no other process start has: `name` (the pod's, say) cut to 80 bytes, `_`, 128 random bits.
pub fn holder_id(name: &str, random: &dyn Random) -> String {
    let mut end = name.len().min(NAME_IN_HOLDER);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}_{:016x}{:016x}", name.get(..end).unwrap_or_default(), random.next_u64(), random.next_u64())
}

/// A kube client of its own for the Lease: no automatic retries (kube's would repeat an old acquisition long after
/// somebody else has won), a time-out on connecting and writing. Opens no connection yet, but needs a tokio runtime.
pub fn lease_service(mut config: kube::Config) -> Result<kube::Client, kube::Error> {
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(3));
    // Each call has a time-out of its own, and a watch may be silent for as long as nobody renews.
    config.read_timeout = None;
    config.write_timeout = Some(Duration::from_secs(5));
    kube::Client::try_from(config)
}
