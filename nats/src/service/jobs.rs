//! Jobs on a clock.

use std::{fmt::Display, future::Future, panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

use crate::lock::Lock;

/// A job that takes longer is cut off; what it had not committed is done in its next run.
const DEADLINE: Duration = Duration::from_secs(300);
/// How long an instance that is gone keeps others from a job that runs on one at a time.
pub(super) const LEASE: Duration = Duration::from_secs(10);

/// Runs `job` again and again until `stop`.
pub(super) async fn run<Fut, E>(name: &str, period: Duration, job: impl Fn() -> Fut, stop: &CancellationToken)
where
    Fut: Future<Output = Result<(), E>>,
    E: Display,
{
    while !stop.is_cancelled() {
        once(name, &job).await;
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(period) => {}
        }
    }
}

/// As [`run`], while this instance has the lock. A run during which it is lost is cut off.
pub(super) async fn run_locked<Fut, E>(
    name: &str,
    period: Duration,
    job: impl Fn() -> Fut,
    lock: &Lock,
    stop: &CancellationToken,
) where
    Fut: Future<Output = Result<(), E>>,
    E: Display,
{
    while !stop.is_cancelled() {
        let held = tokio::select! {
            () = stop.cancelled() => return,
            held = lock.acquire() => held,
        };
        tracing::debug!(job = name, token = held.token(), "this instance runs the job");
        tokio::select! {
            () = held.lost() => {}
            () = run(name, period, &job, stop) => {}
        }
        held.release().await;
    }
}

async fn once<Fut, E>(name: &str, job: impl Fn() -> Fut)
where
    Fut: Future<Output = Result<(), E>>,
    E: Display,
{
    let work = AssertUnwindSafe(async { job().await }).catch_unwind();
    match tokio::time::timeout(DEADLINE, work).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error))) => tracing::warn!(job = name, %error, "the job failed; it runs again"),
        Ok(Err(_panic)) => tracing::error!(job = name, "the job panicked; it runs again"),
        Err(_elapsed) => tracing::error!(job = name, "the job took over {DEADLINE:?}; it runs again"),
    }
}
