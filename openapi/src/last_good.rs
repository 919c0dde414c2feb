//! The last good answers, told again while the service that gave them is away (`stale-if-error`: RFC 5861; RFC 9111, 4.2.4).
//!
//! The service says which of its answers may be told so, and for how long: `Cache-Control: public, stale-if-error=600`. What is
//! `public` is the same for whoever asks. They are kept by path and query, up to 128 KiB each and 16 MiB in all; the one that
//! was given longest ago goes first. As long as the service answers, every request goes to it.
//!
//! An answer told again has its `Age`, `Cache-Status: argosy; fwd=stale` (RFC 9211), and the `Warning: 110` of older caches.
//!
//! Trap: a service that hangs is as good as away, but says so late. Who can be told something is not kept waiting for it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use nats::{
    http::{Answered, ForwardError},
    resilience::within,
};

/// The most bytes of one answer, and of all.
const LARGEST: usize = 128 * 1024;
const MOST: usize = 16 * 1024 * 1024;
/// An answer that is younger is not exchanged for a newer one: the crowd asks for the same.
const YOUNG: Duration = Duration::from_secs(1);
/// How long a service is waited for when there is something to tell without it.
const PATIENCE: Duration = Duration::from_secs(2);

/// See the head of this file.
pub(crate) struct LastGood {
    kept: Mutex<Kept>,
    /// See [`PATIENCE`].
    patience: Duration,
    told: AtomicU64,
}

#[derive(Default)]
struct Kept {
    answers: HashMap<String, Answer>,
    /// The answers in the order in which they were given.
    order: BTreeMap<u64, String>,
    next: u64,
    bytes: usize,
}

/// An answer, as it was given.
#[derive(Clone)]
struct Answer {
    place: u64,
    given: Instant,
    good_for: Duration,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl LastGood {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self { kept: Mutex::default(), patience: PATIENCE, told: AtomicU64::new(0) }
    }

    /// What the service answers; or what it answered last, when it is away and allows that.
    ///
    /// # Errors
    /// The service's, when there is nothing that may be told in its place.
    pub(crate) async fn or_last(
        &self,
        target: &str,
        asked: impl Future<Output = Result<Answered, ForwardError>>,
    ) -> Result<Answered, ForwardError> {
        let Some(last) = self.find(target, Instant::now()) else {
            let answered = asked.await?;
            self.keep(target, &answered, Instant::now());
            return Ok(answered);
        };
        match within(self.patience, asked).await {
            Some(Ok(answered)) if !is_away(answered.status) => {
                self.keep(target, &answered, Instant::now());
                Ok(answered)
            }
            away => {
                if self.told.fetch_add(1, Ordering::Relaxed).is_multiple_of(1_000) {
                    let reason = match away {
                        Some(Ok(answered)) => format!("it answers {}", answered.status),
                        Some(Err(error)) => error.to_string(),
                        None => format!("no answer in {:?}", self.patience),
                    };
                    let path = target.split('?').next().unwrap_or_default();
                    tracing::warn!(path, reason, "a service is away; its last good answers are told");
                }
                Ok(last.told_again(Instant::now()))
            }
        }
    }

    fn find(&self, target: &str, now: Instant) -> Option<Answer> {
        let kept = self.kept();
        kept.answers.get(target).filter(|answer| now.duration_since(answer.given) < answer.good_for).cloned()
    }

    /// Keeps an answer, if it may be kept.
    fn keep(&self, target: &str, answered: &Answered, now: Instant) {
        let Some(good_for) = may_be_told_again(answered) else { return };
        let mut kept = self.kept();
        if kept.answers.get(target).is_some_and(|answer| now.duration_since(answer.given) < YOUNG) {
            return;
        }
        // A copy: the body is a part of a larger buffer, which it would hold as a whole.
        let (headers, body) = (answered.headers.clone(), Bytes::copy_from_slice(&answered.body));
        kept.put(target, Answer { place: 0, given: now, good_for, headers, body });
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn put(&mut self, target: &str, mut answer: Answer) {
        self.remove(target);
        answer.place = self.next;
        self.next += 1;
        self.bytes += answer.size(target);
        self.order.insert(answer.place, target.to_owned());
        self.answers.insert(target.to_owned(), answer);
        while self.bytes > MOST {
            let Some((_, first)) = self.order.pop_first() else { return };
            self.remove(&first);
        }
    }

    fn remove(&mut self, target: &str) {
        if let Some(answer) = self.answers.remove(target) {
            self.order.remove(&answer.place);
            self.bytes = self.bytes.saturating_sub(answer.size(target));
        }
    }
}

impl Answer {
    /// About what it takes to keep it, under this key.
    fn size(&self, target: &str) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        2 * target.len() + headers + self.body.len() + size_of::<Self>()
    }

    fn told_again(self, now: Instant) -> Answered {
        let Self { given, mut headers, body, .. } = self;
        let age = now.duration_since(given).as_secs();
        let own = [
            ("Age", age.to_string()),
            ("Cache-Status", "argosy; fwd=stale".to_owned()),
            ("Warning", "110 argosy \"Response is Stale\"".to_owned()),
        ];
        headers.extend(own.map(|(name, value)| (name.to_owned(), value)));
        Answered { status: 200, headers, body, object: None }
    }
}

/// Whether a service that answers so is as good as away (RFC 5861, 4).
const fn is_away(status: u16) -> bool {
    matches!(status, 500 | 502 | 503 | 504)
}

/// For how long the answer may be told again, if it may.
fn may_be_told_again(answered: &Answered) -> Option<Duration> {
    let header = |wanted: &str| {
        let found = answered.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.as_str())
    };
    let bound_to_somebody = header("Set-Cookie").is_some() || header("Vary").is_some();
    if answered.status != 200 || bound_to_somebody || answered.object.is_some() || answered.body.len() > LARGEST {
        return None;
    }
    let directives: Vec<&str> = header("Cache-Control")?.split(',').map(str::trim).collect();
    let seconds = directives.iter().find_map(|directive| directive.strip_prefix("stale-if-error="))?;
    directives.contains(&"public").then_some(Duration::from_secs(seconds.parse().ok()?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const PUBLIC: &str = "public, max-age=5, stale-if-error=600";

    fn answered(status: u16, cache_control: &str, body: &str) -> Answered {
        let headers = vec![("Cache-Control".to_owned(), cache_control.to_owned())];
        Answered { status, headers, body: Bytes::copy_from_slice(body.as_bytes()), object: None }
    }

    async fn ask(last_good: &LastGood, answer: Result<Answered, ForwardError>) -> Result<Answered, ForwardError> {
        last_good.or_last("/v1/products", async { answer }).await
    }

    fn gone() -> Result<Answered, ForwardError> {
        Err(ForwardError::Unavailable("catalog".to_owned()))
    }

    #[tokio::test]
    async fn while_the_service_is_away_its_last_good_answer_is_told() {
        let last_good = LastGood::new();
        assert!(ask(&last_good, gone()).await.is_err(), "there is nothing to tell yet");
        ask(&last_good, Ok(answered(200, PUBLIC, "lamps"))).await.unwrap();

        for away in [gone(), Ok(answered(503, "", "")), Ok(answered(500, "", ""))] {
            let told = ask(&last_good, away).await.unwrap();
            assert_eq!((told.status, told.body.as_ref()), (200, b"lamps".as_slice()));
            let age = ("Age".to_owned(), "0".to_owned());
            assert!(told.headers.contains(&age), "{:?}", told.headers);
        }
        let other = ask(&last_good, Ok(answered(404, "", "gone"))).await.unwrap();
        assert_eq!(other.status, 404, "what the service says counts, as long as it says anything");
    }

    #[tokio::test]
    async fn who_can_be_told_something_is_not_kept_waiting() {
        let last_good = LastGood { patience: Duration::from_millis(10), ..LastGood::new() };
        ask(&last_good, Ok(answered(200, PUBLIC, "lamps"))).await.unwrap();

        let told = last_good.or_last("/v1/products", std::future::pending()).await.unwrap();

        assert_eq!(told.body.as_ref(), b"lamps");
    }

    #[test]
    fn only_what_the_service_allows_is_told_again_and_only_for_so_long() {
        let (last_good, now) = (LastGood::new(), Instant::now());
        for (target, status, cache_control) in [
            ("/private", 200, "private, stale-if-error=600"),
            ("/fresh", 200, "public, max-age=5"),
            ("/nothing", 200, ""),
            ("/error", 404, PUBLIC),
        ] {
            last_good.keep(target, &answered(status, cache_control, "x"), now);
            assert!(last_good.find(target, now).is_none(), "{target}");
        }
        let mut bound = answered(200, PUBLIC, "x");
        bound.headers.push(("vary".to_owned(), "Authorization".to_owned()));
        last_good.keep("/bound", &bound, now);
        assert!(last_good.find("/bound", now).is_none());

        last_good.keep("/public", &answered(200, PUBLIC, "x"), now);
        assert!(last_good.find("/public", now + Duration::from_secs(599)).is_some());
        assert!(last_good.find("/public", now + Duration::from_secs(600)).is_none());
    }

    #[test]
    fn memory_is_bounded_and_what_was_given_longest_ago_goes_first() {
        let (last_good, now) = (LastGood::new(), Instant::now());
        let large = "x".repeat(LARGEST);
        for number in 0..200 {
            last_good.keep(&format!("/{number}"), &answered(200, PUBLIC, &large), now);
            // This one is asked for all the time.
            last_good.keep("/often", &answered(200, PUBLIC, &large), now + YOUNG * (number + 1));
        }
        let kept = last_good.kept();
        let bytes: usize = kept.answers.iter().map(|(target, answer)| answer.size(target)).sum();
        assert_eq!((kept.bytes, kept.order.len()), (bytes, kept.answers.len()));
        assert!(bytes <= MOST && kept.answers.len() > 100, "{} answers", kept.answers.len());
        assert!(kept.answers.contains_key("/often") && !kept.answers.contains_key("/0"));
        drop(kept);
        last_good.keep("/larger", &answered(200, PUBLIC, &format!("{large}x")), now);
        assert!(last_good.find("/larger", now).is_none());
    }
}
