//! The time that the running work has left; it travels with what the work waits for.

use std::{
    future::Future,
    time::{Duration, Instant},
};

tokio::task_local! {
    static DEADLINE: Instant;
}

/// Runs `work`, which has so much time; what it waits for has no more. `None` when the time was up.
pub async fn within<F: Future>(time: Duration, work: F) -> Option<F::Output> {
    let time = remaining(time);
    let deadline = Instant::now().checked_add(time)?;
    DEADLINE.scope(deadline, tokio::time::timeout(time, work)).await.ok()
}

/// What is left of the time that the running work has, at most `at_most`.
pub fn remaining(at_most: Duration) -> Duration {
    let left = DEADLINE.try_with(|deadline| deadline.saturating_duration_since(Instant::now()));
    left.map_or(at_most, |left| left.min(at_most))
}
