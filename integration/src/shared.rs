//! What all tests of one process share because it is slow to start: one control plane, one moto.
//!
//! Tests keep apart by their own namespace, node labels and AWS account ([`crate::world::World`]).

use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::control_plane::{ControlPlane, Options};
use crate::error::Result;
use crate::moto::Moto;

/// The control plane of this process, started by the first who asks, with the repository's `deploy/base` applied.
/// It ends with the process.
pub async fn control_plane() -> Result<Arc<ControlPlane>> {
    static SHARED: OnceCell<Arc<ControlPlane>> = OnceCell::const_new();
    let shared = SHARED.get_or_try_init(another_control_plane).await?;
    Ok(Arc::clone(shared))
}

/// A control plane for one test alone, with `deploy/base` applied.
pub async fn another_control_plane() -> Result<Arc<ControlPlane>> {
    let control_plane = ControlPlane::start(Options::default()).await?;
    let deploy = crate::repository().join("deploy/base");
    if deploy.is_dir() {
        control_plane.apply_yaml(&deploy).await?;
    }
    Ok(Arc::new(control_plane))
}

/// The moto of this process; each test takes an account of its own in it.
pub async fn moto() -> Result<Arc<Moto>> {
    static SHARED: OnceCell<Arc<Moto>> = OnceCell::const_new();
    let shared = SHARED.get_or_try_init(|| async { Moto::start().await.map(Arc::new) }).await?;
    Ok(Arc::clone(shared))
}
