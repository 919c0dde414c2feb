//! How many requests a caller may send: by the user or API key, or else the client's address, and by the class of the
//! operation.
//!
//! | setting | meaning | when unset |
//! |---|---|---|
//! | `LIMITS` | requests/seconds of each class, where they differ: `read=600/60 write=120/60 sign_in=30/60 upload=60/60 webhook=6000/60` | those |
//! | `REDIS_URL` | where all gateways count together, `redis://…` | each gateway counts by itself |
//! | `REDIS_TIMEOUT_MS` | how long Redis is waited for | 50 |
//! | `TRUSTED_PROXIES` | see `limit/who.rs` | 0 |
//!
//! Without an answer from Redis in time the gateway counts by itself, with the same quotas: reading goes on, and signing
//! in stays throttled. The headers are those of draft-ietf-httpapi-ratelimit-headers-11.
//!
//! Trap: signing in has no user yet, so all who share an address share its quota.

pub(crate) mod gcra;
mod local;
mod quota;
mod store;
mod who;

use std::time::Duration;

use nats::{config::Settings, problem::Problem, service::StartError};
use poem::http::{HeaderMap, HeaderName, HeaderValue};

use gcra::Standing;
use local::Local;
use store::Store;

pub use quota::{Class, Limits, Quota};
pub use who::Who;
pub(crate) use who::network;

/// The quotas that there are for the class.
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// How the caller stands with them.
const STANDING: HeaderName = HeaderName::from_static("ratelimit");

/// Counts requests.
pub struct Limiter {
    limits: Limits,
    store: Option<Store>,
    local: Local,
    proxies: usize,
}

/// What is said of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    class: Class,
    quota: Quota,
    standing: Standing,
}

impl Limiter {
    /// As the settings say.
    ///
    /// # Errors
    /// When a setting does not parse.
    pub fn of(settings: &Settings) -> Result<Self, StartError> {
        let patience = Duration::from_millis(settings.parse("REDIS_TIMEOUT_MS", 50)?);
        let wrong = |error: redis::RedisError| StartError::Other(format!("setting REDIS_URL: {error}"));
        let store = match settings.get("REDIS_URL")? {
            Some(url) => Some(Store::new(&url, patience).map_err(wrong)?),
            None => {
                tracing::warn!("REDIS_URL is not set: each gateway limits requests by itself");
                None
            }
        };
        let limits = settings.parse("LIMITS", Limits::default())?;
        Ok(Self { limits, store, local: Local::new(), proxies: settings.parse("TRUSTED_PROXIES", 0)? })
    }

    /// Whoever sends this request, by its address.
    pub(crate) fn whoever(&self, request: &poem::Request) -> Who {
        Who::at(request, self.proxies)
    }

    /// Counts one request.
    pub(crate) async fn count(&self, class: Class, who: Who) -> Counted {
        let quota = self.limits.of(class);
        let shared = match &self.store {
            Some(store) => store.take(class, who, quota).await,
            None => None,
        };
        let standing = match shared {
            Some(standing) => {
                if standing.taken {
                    self.local.take(class, who, quota);
                }
                standing
            }
            None => self.local.take(class, who, quota),
        };
        Counted { class, quota, standing }
    }
}

impl Counted {
    /// Whether the request goes on.
    pub(crate) const fn taken(&self) -> bool {
        self.standing.taken
    }

    /// For whoever sent too many.
    pub(crate) fn refusal(&self) -> Problem {
        let (requests, window_s) = (self.quota.requests(), self.quota.window().as_secs());
        let detail = format!("That is more than {requests} {} requests in {window_s} seconds.", self.class.as_str());
        Problem::too_many_requests(detail, Duration::from_micros(self.standing.wait))
    }

    /// Tells the caller how it stands.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        let (class, quota) = (self.class.as_str(), self.quota);
        let left = quota.whole().saturating_sub(self.standing.until_full) / quota.cost();
        let policy = format!("\"{class}\";q={};w={}", quota.requests(), quota.window().as_secs());
        let standing = format!("\"{class}\";r={left};t={}", seconds(self.standing.until_full));
        for (name, text) in [(POLICY, policy), (STANDING, standing)] {
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(name, value);
            }
        }
    }
}

/// Whole seconds, rounded up: who comes back after them is not too early.
const fn seconds(micros: u64) -> u64 {
    micros.div_ceil(1_000_000)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_caller_is_told_how_it_stands() {
        let limiter = Limiter::of(&Settings::default().with("LIMITS", "sign_in=2/60")).unwrap();
        let who = Who::Address("198.51.100.7".parse().unwrap());
        let mut standings = Vec::new();
        for request in 1..=3 {
            let (counted, mut headers) = (limiter.count(Class::SignIn, who).await, HeaderMap::new());
            counted.write(&mut headers);
            assert_eq!(
                (counted.taken(), &headers["ratelimit-policy"]),
                (request <= 2, &"\"sign_in\";q=2;w=60".parse().unwrap())
            );
            standings.push(headers["ratelimit"].to_str().unwrap().to_owned());
        }
        assert_eq!(standings, ["\"sign_in\";r=1;t=30", "\"sign_in\";r=0;t=60", "\"sign_in\";r=0;t=60"]);
        let refusal = limiter.count(Class::SignIn, who).await.refusal().response("", "");
        assert_eq!((refusal.status().as_u16(), refusal.header("Retry-After")), (429, Some("30")));
        assert!(limiter.count(Class::Read, who).await.taken(), "each class is counted by itself");
    }
}
