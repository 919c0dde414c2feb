//! The policies, by name: deadline, tries, breaker and bulkhead.
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

use std::{str::FromStr, time::Duration};

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
    pub(super) fn pause_after(&self, tries: u32) -> Duration {
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

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
}
