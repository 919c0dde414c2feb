//! How a worker learns that there is work: told in-process, with polling as the fallback.
//!
//! A handler that writes work calls [`Wake::soon`] while its transaction is still open: the runner commits after it
//! returns. So being told starts a short time of looking often, in which the row appears. Whatever is missed (a crash,
//! another instance's rows, a retry that fell due) is found by looking every [`IDLE`].
//!
//! Several lanes share a wake; one of them is on the lookout, the others are at work or wait for their turn.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};

/// How often a lane looks when nobody told it anything; also how long stopping may have to wait for it.
const IDLE: Duration = Duration::from_millis(250);
/// How often it looks after it was told.
const OFTEN: Duration = Duration::from_millis(10);
/// For how long: within this time a handler's transaction has nearly always committed.
const ALERT: Duration = Duration::from_millis(300);
/// The pause between two rounds of a lane.
pub(crate) const BETWEEN_ROUNDS: Duration = Duration::from_millis(1);

/// What a handler and the lanes of a worker share.
#[derive(Default)]
pub(crate) struct Wake {
    told: Notify,
    alert_until: Mutex<Option<Instant>>,
    lookout: tokio::sync::Mutex<()>,
}

/// Held by the lane on the lookout; dropping it lets the next one look.
pub(crate) type Lookout<'a> = tokio::sync::MutexGuard<'a, ()>;

impl Wake {
    /// Says that there is work, or will be within moments.
    pub(crate) fn soon(&self) {
        *self.alert() = Some(Instant::now() + ALERT);
        self.told.notify_one();
    }

    /// Waits until it is time to look; `None` when another lane was on the lookout all along.
    pub(crate) async fn lookout(&self) -> Option<Lookout<'_>> {
        let lookout = timeout(IDLE, self.lookout.lock()).await.ok()?;
        if !self.is_alert() {
            let _ = timeout(IDLE, self.told.notified()).await;
        }
        if self.is_alert() {
            sleep(OFTEN).await;
        }
        Some(lookout)
    }

    fn is_alert(&self) -> bool {
        self.alert().is_some_and(|until| Instant::now() < until)
    }

    fn alert(&self) -> MutexGuard<'_, Option<Instant>> {
        self.alert_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn being_told_ends_the_wait_and_looking_stays_frequent_for_a_while() {
        let wake = Wake::default();
        wake.soon();
        for _ in 0..5 {
            let began = Instant::now();
            assert!(wake.lookout().await.is_some());
            assert!(began.elapsed() < IDLE, "looked after {:?}", began.elapsed());
        }
    }

    #[tokio::test]
    async fn one_lane_looks_at_a_time() {
        let wake = Wake::default();
        let held = wake.lookout().await;
        assert!(held.is_some());
        assert!(wake.lookout().await.is_none(), "two lanes were on the lookout");
        drop(held);
        assert!(wake.lookout().await.is_some());
    }
}
