//! Leadership: one replica holds a Lease and may write; the others wait warm. Owns the Lease, the deadline that
//! follows from it, and the fence that every write to AWS and to Kubernetes must pass. Decides nothing about what
//! is written.
//!
//! The crate `kube-leader-election` makes the Lease's requests. On its own it trusts wall clocks, writes without a
//! resourceVersion and knows no deadline; so its requests pass through `cage`, which gives them what they lack,
//! and its answers mean nothing here: leadership is `now < deadline`, kept in `fence`, and the deadline moves only
//! when the API server has confirmed a write that was made on what had been read just before.

mod aws;
mod cage;
mod elector;
mod fence;
mod layer;
mod lease_watch;
mod record;
mod settings;
#[cfg(test)]
pub(crate) mod tests;

pub use aws::fence_aws;
pub use elector::Elector;
pub use fence::{Fence, Flight, Leadership, NotLeader};
pub use layer::{FenceLayer, FencedService};
pub use settings::{LeaseSettings, holder_id, lease_service};
