//! Waiting for something to become true, without blind sleeps: ask again shortly until a time-out, and then say what
//! was last seen.

use std::fmt::{Debug, Display};
use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Error, Result, fail};

/// How long [`eventually`] waits.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks `look` every 25 ms, at most [`PATIENCE`] long, until `accept` says yes to what it returned, and returns that.
/// An error of `look` counts as "not yet". The error at the end names `what` and the last that was seen.
#[track_caller]
pub fn eventually<T, F, L>(what: impl Display, look: L, accept: impl Fn(&T) -> bool) -> impl Future<Output = Result<T>>
where
    T: Debug,
    F: Future<Output = Result<T>>,
    L: FnMut() -> F,
{
    within(PATIENCE, what, look, accept)
}

/// [`eventually`] with a time-out of the caller's.
#[track_caller]
pub fn within<T, F, L>(
    patience: Duration,
    what: impl Display,
    mut look: L,
    accept: impl Fn(&T) -> bool,
) -> impl Future<Output = Result<T>>
where
    T: Debug,
    F: Future<Output = Result<T>>,
    L: FnMut() -> F,
{
    let late = Error::new(format!("not within {patience:?}: {what}"));
    async move {
        let end = Instant::now() + patience;
        loop {
            let seen = look().await;
            match seen {
                Ok(value) if accept(&value) => return Ok(value),
                seen if Instant::now() >= end => {
                    return match seen {
                        Ok(value) => Err(late.and(format!("last seen: {value:#?}"))),
                        Err(error) => Err(late.and(format!("last seen: the error {error:?}"))),
                    };
                }
                _ => tokio::time::sleep(Duration::from_millis(25)).await,
            }
        }
    }
}

/// Looks at something over and over for `duration` and fails as soon as `accept` says no: for what must *stay* so.
pub async fn throughout<T, F, L>(
    duration: Duration,
    what: impl Display,
    mut look: L,
    accept: impl Fn(&T) -> bool,
) -> Result<()>
where
    T: Debug,
    F: Future<Output = Result<T>>,
    L: FnMut() -> F,
{
    let end = Instant::now() + duration;
    while Instant::now() < end {
        let seen = look().await?;
        if !accept(&seen) {
            return fail(format!("did not stay so: {what}; seen: {seen:#?}"));
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    Ok(())
}
