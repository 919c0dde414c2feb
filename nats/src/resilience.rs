//! Resilience policies, by name: deadline, tries, breaker and bulkhead of everything that is waited for.
//!
//! | policy | for | deadline | tries | breaker opens after | stays open | at once |
//! |---|---|---|---|---|---|---|
//! | `call` | a service asking another one | the contract's, 2 s | 3 | 20 timeouts in a row | 500 ms | 256 per service |
//! | `forward` | the gateway asking a service | 11 s | 5 | 20 timeouts in a row | 500 ms | 1024 per service |
//! | `provider` | the payment provider | 2 s | 1 | 10 failures in a row | 1 s | 128 |
//! | `mail` | the mail server | 20 s | 1 | 5 failures in a row | 2 s | 16 |
//!
//! | setting | meaning | when unset |
//! |---|---|---|
//! | `RESILIENCE` | changes to the table, such as `call.tries=2 provider.deadline_ms=5000`; names: `deadline_ms`, `tries`, `failures`, `open_ms`, `at_once` | the table |
//!
//! A try is repeated only when it certainly did nothing, or may be done twice. There is one such layer per hop: callers
//! above it do not try again. The time that is left travels with the request ([`within`]), so nobody works for a caller who
//! has gone, and nobody waits longer for a part than for the whole.
//!
//! Trap: a policy with one try leaves trying again to a work queue or a consumer, which can wait longer than any caller.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    str::FromStr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

use crate::config::{SettingError, Settings};

/// How a kind of waiting is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Its name.
    pub name: &'static str,
    /// How long one try may take.
    pub deadline: Duration,
    /// How often it is tried, the first time included.
    pub tries: u32,
    /// The pause before the second try, doubled with each further one; half of it is random.
    pub pause: Duration,
    /// So many failures in a row open the breaker.
    pub failures: u32,
    /// How long an open breaker refuses before it lets one through to see.
    pub open_for: Duration,
    /// How many may wait at once; one more is refused at once (the bulkhead).
    pub at_once: usize,
}

impl Policy {
    /// A service asking another one.
    pub const CALL: Self = Self {
        name: "call",
        deadline: Duration::from_secs(2),
        tries: 3,
        pause: Duration::from_millis(50),
        failures: 20,
        open_for: Duration::from_millis(500),
        at_once: 256,
    };
    /// The gateway asking a service.
    pub const FORWARD: Self = Self {
        name: "forward",
        deadline: Duration::from_secs(11),
        tries: 5,
        pause: Duration::from_millis(50),
        failures: 20,
        open_for: Duration::from_millis(500),
        at_once: 1024,
    };
    /// The payment provider.
    pub const PROVIDER: Self = Self {
        name: "provider",
        deadline: Duration::from_secs(2),
        tries: 1,
        pause: Duration::from_millis(100),
        failures: 10,
        open_for: Duration::from_secs(1),
        at_once: 128,
    };
    /// The mail server.
    pub const MAIL: Self = Self {
        name: "mail",
        deadline: Duration::from_secs(20),
        tries: 1,
        pause: Duration::from_millis(100),
        failures: 5,
        open_for: Duration::from_secs(2),
        at_once: 16,
    };

    /// This policy with what the setting `RESILIENCE` changes of it.
    ///
    /// # Errors
    /// When a part of the setting does not parse.
    pub fn with(mut self, settings: &Settings) -> Result<Self, SettingError> {
        let changes: Changes = settings.parse("RESILIENCE", Changes::default())?;
        for (_, field, value) in changes.0.iter().filter(|(name, _, _)| name == self.name) {
            match field {
                Field::Deadline => self.deadline = Duration::from_millis(*value),
                Field::Tries => self.tries = u32::try_from(*value).unwrap_or(u32::MAX).max(1),
                Field::Failures => self.failures = u32::try_from(*value).unwrap_or(u32::MAX).max(1),
                Field::Open => self.open_for = Duration::from_millis(*value),
                Field::AtOnce => {
                    self.at_once = usize::try_from(*value).unwrap_or(usize::MAX).clamp(1, Semaphore::MAX_PERMITS)
                }
            }
        }
        Ok(self)
    }

    /// The pause after so many tries.
    fn pause_after(&self, tries: u32) -> Duration {
        let full = self.pause.saturating_mul(1 << tries.saturating_sub(1).min(6));
        full * rand::random_range(50..=100) / 100
    }
}

/// What `RESILIENCE` says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Changes(Vec<(String, Field, u64)>);

#[derive(Debug, PartialEq, Eq)]
enum Field {
    Deadline,
    Tries,
    Failures,
    Open,
    AtOnce,
}

impl FromStr for Changes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let change = |part: &str| {
            let (path, value) = part.split_once('=')?;
            let (policy, field) = path.split_once('.')?;
            let field = match field {
                "deadline_ms" => Field::Deadline,
                "tries" => Field::Tries,
                "failures" => Field::Failures,
                "open_ms" => Field::Open,
                "at_once" => Field::AtOnce,
                _ => return None,
            };
            let known =
                [Policy::CALL, Policy::FORWARD, Policy::PROVIDER, Policy::MAIL].iter().any(|one| one.name == policy);
            known.then_some((policy.to_owned(), field, value.parse().ok()?))
        };
        let parts = text.split([' ', ',']).filter(|part| !part.is_empty());
        let wrong = |part: &str| format!("`{part}` is no change of a policy, such as `call.tries=2`");
        parts.map(|part| change(part).ok_or_else(|| wrong(part))).collect::<Result<_, _>>().map(Self)
    }
}

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

    /// How often it has refused without a try.
    pub fn shut(&self) -> u64 {
        self.shut.load(Ordering::Relaxed)
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
            let shut = match (time.is_zero(), self.enter()) {
                (true, _) => Some(Shut::TimeIsUp),
                (false, false) => Some(Shut::Open),
                (false, true) => None,
            };
            if let Some(shut) = shut {
                return last.ok_or_else(|| self.refuse(shut));
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

/// Closed, open, or letting one through to see.
#[derive(Debug, Default)]
struct Breaker {
    failures: u32,
    /// Since when it refuses; while one is let through, since then.
    opened: Option<Instant>,
}

impl Breaker {
    /// Whether a try may begin. One that goes through an open breaker keeps it shut for the others for as long again.
    fn enter(&mut self, now: Instant, open_for: Duration) -> bool {
        match self.opened {
            None => true,
            Some(since) if now.duration_since(since) >= open_for => {
                self.opened = Some(now);
                true
            }
            Some(_) => false,
        }
    }

    /// How a try ended; tells whether that opened the breaker.
    fn leave(&mut self, now: Instant, fine: bool, most: u32) -> bool {
        if fine {
            *self = Self::default();
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures < most {
            return false;
        }
        let was_closed = self.opened.is_none();
        self.opened = Some(now);
        was_closed
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use std::sync::atomic::AtomicU32;

    use proptest::prelude::*;

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
        assert_eq!((tries.load(Ordering::Relaxed), guard.shut()), (3, 1));
        let opened = Instant::now();
        while run(&guard, &tries, Verdict::Fine).await.is_err() {
            assert!(opened.elapsed() < Duration::from_secs(5), "it lets one through after {:?}", policy.open_for);
            tokio::task::yield_now().await;
        }
        assert!(run(&guard, &tries, failed).await.is_ok(), "closed again: one failure does not open it");
        assert!(run(&guard, &tries, Verdict::Fine).await.is_ok());
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

    #[test]
    fn settings_change_policies_by_name() {
        let settings = |text: &str| Settings::default().with("RESILIENCE", text);
        let changed = Policy::CALL.with(&settings("call.tries=7, call.deadline_ms=50 mail.tries=2")).unwrap();
        assert_eq!(changed, Policy { tries: 7, deadline: Duration::from_millis(50), ..Policy::CALL });
        assert_eq!(Policy::FORWARD.with(&settings("call.tries=7")).unwrap(), Policy::FORWARD);
        for wrong in ["call", "call.tries", "call.tries=x", "nobody.tries=1", "call.colour=1"] {
            let error = Policy::CALL.with(&settings(wrong)).unwrap_err().to_string();
            assert!(error.contains("is no change of a policy"), "{error}");
        }
    }

    proptest! {
        /// Whatever happens: it is open only after enough failures in a row, and never for longer than it says.
        #[test]
        fn a_breaker_opens_for_failures_in_a_row_only(events in prop::collection::vec((any::<bool>(), 0_u64..30), 0..200)) {
            let (open_for, most) = (Duration::from_millis(50), 3);
            let (mut breaker, mut now, mut in_a_row) = (Breaker::default(), Instant::now(), 0_u32);
            let mut last_try = None::<Instant>;
            for (fine, pause) in events {
                now += Duration::from_millis(pause);
                let entered = breaker.enter(now, open_for);
                if in_a_row < most {
                    prop_assert!(entered, "refused after {in_a_row} failures");
                } else {
                    let due = last_try.is_none_or(|last| now.duration_since(last) >= open_for);
                    prop_assert_eq!(entered, due, "open for longer or shorter than it says");
                }
                if entered {
                    breaker.leave(now, fine, most);
                    in_a_row = if fine { 0 } else { in_a_row + 1 };
                    last_try = Some(now);
                }
            }
        }
    }
}
