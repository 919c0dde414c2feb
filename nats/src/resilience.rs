//! Resilience policies, by name: deadline, tries, breaker and bulkhead of everything that is waited for.
//!
//! The table of policies, and the setting that changes it, stand at the head of `resilience/policy.rs`.
//!
//! A try is repeated only when it certainly did nothing, or may be done twice. There is one such layer per hop: callers
//! above it do not try again. The time that is left travels with the request ([`within`]), so nobody works for a caller who
//! has gone, and nobody waits longer for a part than for the whole.
//!
//! Trap: a policy with one try leaves trying again to a work queue or a consumer, which can wait longer than any caller.

mod breaker;
mod deadline;
mod policy;

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

use breaker::Breaker;
pub use deadline::{remaining, within};
pub use policy::Policy;

/// What a try came to, as far as its guard is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The other side works; whatever it said.
    Fine,
    /// The other side does not work: one more failure for the breaker. `again` when the try may be repeated.
    Failed {
        /// Whether it may be repeated: it did nothing, or it does no harm twice.
        again: bool,
    },
    /// Nobody was there: nothing was done, so it may be repeated, and there is nothing that a breaker would spare.
    Nobody,
}

/// Why the guard gives no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shut {
    /// The breaker is open: the other side has failed too often in a row.
    Open,
    /// Too many wait already.
    Full,
    /// The time is over that the whole may take.
    TimeIsUp,
}

/// Watches over one target: a service, a provider.
#[derive(Debug)]
pub struct Guard {
    policy: Policy,
    target: String,
    bulkhead: Semaphore,
    breaker: Mutex<Breaker>,
    /// How often it has refused without a try.
    shut: AtomicU64,
}

impl Guard {
    /// A closed guard.
    pub fn new(policy: Policy, target: &str) -> Self {
        Self {
            policy,
            target: target.to_owned(),
            bulkhead: Semaphore::new(policy.at_once),
            breaker: Mutex::new(Breaker::default()),
            shut: AtomicU64::new(0),
        }
    }

    /// What it guards by.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Tries until it succeeds, must not be repeated, or was tried often enough. Each try gets the time that it may take:
    /// `deadline`, or less when the whole has less left; keeping to it is the try's own affair.
    ///
    /// # Errors
    /// `Err(shut)` when the first try could not even begin; later ones keep the answer that there is.
    pub async fn run<T, Fut>(
        &self,
        deadline: Duration,
        judge: impl Fn(&T) -> Verdict,
        attempt: impl Fn(Duration) -> Fut,
    ) -> Result<T, Shut>
    where
        Fut: Future<Output = T>,
    {
        let _place = self.bulkhead.try_acquire().map_err(|_| self.refuse(Shut::Full))?;
        let mut last = None;
        for tries in 1..=self.policy.tries {
            let time = remaining(deadline);
            // Time first: who has none left must not be the one that an open breaker lets through.
            if time.is_zero() {
                return last.ok_or_else(|| self.refuse(Shut::TimeIsUp));
            }
            if !self.enter() {
                return last.ok_or_else(|| self.refuse(Shut::Open));
            }
            let answer = attempt(time).await;
            let again = match judge(&answer) {
                Verdict::Fine => {
                    self.leave(true);
                    false
                }
                Verdict::Failed { again } => {
                    self.leave(false);
                    again
                }
                Verdict::Nobody => true,
            };
            if !again || tries == self.policy.tries {
                return Ok(answer);
            }
            last = Some(answer);
            let pause = self.policy.pause_after(tries);
            if remaining(pause) < pause {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        last.ok_or(Shut::TimeIsUp)
    }

    fn refuse(&self, shut: Shut) -> Shut {
        if self.shut.fetch_add(1, Ordering::Relaxed).is_multiple_of(1_000) {
            tracing::warn!(policy = self.policy.name, target = self.target, ?shut, "refused without a try");
        }
        shut
    }

    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self) -> bool {
        self.breaker().enter(Instant::now(), self.policy.open_for)
    }

    fn leave(&self, fine: bool) {
        let opened = self.breaker().leave(Instant::now(), fine, self.policy.failures);
        if opened {
            tracing::warn!(policy = self.policy.name, target = self.target, "the breaker opens");
        }
    }
}

/// A guard per target, all by one policy; cheap to clone.
#[derive(Clone)]
pub struct Guards {
    policy: Policy,
    known: Arc<Mutex<HashMap<String, Arc<Guard>>>>,
}

impl Guards {
    /// None yet.
    pub fn new(policy: Policy) -> Self {
        Self { policy, known: Arc::default() }
    }

    /// The guard of a target. There are as many targets as services, so none is ever forgotten.
    pub fn of(&self, target: &str) -> Arc<Guard> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(guard) = known.get(target) {
            return Arc::clone(guard);
        }
        let guard = Arc::new(Guard::new(self.policy, target));
        known.insert(target.to_owned(), Arc::clone(&guard));
        guard
    }
}

impl fmt::Debug for Guards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guards").field("policy", &self.policy.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    const POLICY: Policy =
        Policy { tries: 3, pause: Duration::from_millis(1), failures: 3, at_once: 2, ..Policy::CALL };

    async fn run(guard: &Guard, tries: &AtomicU32, verdict: Verdict) -> Result<u32, Shut> {
        let attempt = |_| async { tries.fetch_add(1, Ordering::Relaxed) + 1 };
        guard.run(POLICY.deadline, |_| verdict, attempt).await
    }

    #[tokio::test]
    async fn only_what_may_be_repeated_is_tried_again() {
        for (verdict, expected) in [
            (Verdict::Fine, 1),
            (Verdict::Failed { again: false }, 1),
            (Verdict::Failed { again: true }, 3),
            (Verdict::Nobody, 3),
        ] {
            let (guard, tries) = (Guard::new(Policy { failures: 100, ..POLICY }, "other"), AtomicU32::new(0));
            assert_eq!(run(&guard, &tries, verdict).await, Ok(expected), "{verdict:?}: the last try's answer");
            assert_eq!(tries.load(Ordering::Relaxed), expected, "{verdict:?}");
        }
    }

    #[tokio::test]
    async fn failures_in_a_row_open_the_breaker_and_one_success_closes_it() {
        let policy = Policy { open_for: Duration::from_millis(20), ..POLICY };
        let (guard, tries) = (Guard::new(policy, "other"), AtomicU32::new(0));
        let failed = Verdict::Failed { again: false };
        for _ in 0..3 {
            run(&guard, &tries, failed).await.unwrap();
        }
        assert_eq!(run(&guard, &tries, Verdict::Fine).await, Err(Shut::Open), "no fourth try");
        assert_eq!((tries.load(Ordering::Relaxed), guard.shut.load(Ordering::Relaxed)), (3, 1));
        let opened = Instant::now();
        while run(&guard, &tries, Verdict::Fine).await.is_err() {
            assert!(opened.elapsed() < Duration::from_secs(5), "it lets one through after {:?}", policy.open_for);
            tokio::task::yield_now().await;
        }
        assert!(run(&guard, &tries, failed).await.is_ok(), "closed again: one failure does not open it");
        assert!(run(&guard, &tries, Verdict::Fine).await.is_ok());
    }

    #[tokio::test]
    async fn who_has_no_time_left_does_not_use_up_the_one_try_of_an_open_breaker() {
        let guard = Guard::new(Policy { open_for: Duration::ZERO, ..POLICY }, "other");
        let tries = AtomicU32::new(0);
        for _ in 0..3 {
            run(&guard, &tries, Verdict::Failed { again: false }).await.unwrap();
        }
        let opened = format!("{:?}", guard.breaker());
        let late = within(Duration::ZERO, run(&guard, &tries, Verdict::Fine)).await;
        assert_eq!((late, tries.load(Ordering::Relaxed)), (Some(Err(Shut::TimeIsUp)), 3));
        assert_eq!(format!("{:?}", guard.breaker()), opened, "still due to let one through");
        assert_eq!(run(&guard, &tries, Verdict::Fine).await, Ok(4));
    }

    #[tokio::test]
    async fn one_more_than_the_bulkhead_holds_is_refused_at_once() {
        let (guard, open) = (Guard::new(POLICY, "other"), Semaphore::new(0));
        let waiting =
            || guard.run(POLICY.deadline, |_| Verdict::Fine, |_| async { open.acquire().await.unwrap().forget() });
        let (mut first, mut second) = (Box::pin(waiting()), Box::pin(waiting()));
        assert!(futures_util::poll!(first.as_mut()).is_pending() && futures_util::poll!(second.as_mut()).is_pending());
        assert_eq!(waiting().await, Err(Shut::Full));
        open.add_permits(2);
        assert_eq!((first.await, second.await), (Ok(()), Ok(())));
    }

    #[tokio::test]
    async fn a_part_has_no_more_time_than_the_whole() {
        let guard = Guard::new(POLICY, "other");
        let time = |time| async move { time };
        let whole = Duration::from_millis(500);
        let inner = within(whole, async {
            let outer = guard.run(POLICY.deadline, |_| Verdict::Fine, time).await.unwrap();
            let inner = within(POLICY.deadline, async { remaining(POLICY.deadline) }).await.unwrap();
            (outer, inner)
        });
        let (try_has, part_has) = inner.await.unwrap();
        assert!(try_has <= whole && part_has <= whole, "{try_has:?}, {part_has:?}");
        let nothing_left =
            within(Duration::ZERO, async { guard.run(POLICY.deadline, |_| Verdict::Fine, time).await }).await;
        assert!(matches!(nothing_left, None | Some(Err(Shut::TimeIsUp))), "{nothing_left:?}");
        assert_eq!(within(Duration::from_millis(5), std::future::pending::<()>()).await, None);
    }
}
