//! API keys: what programs send in place of an access token.
//!
//! svc-user is asked whose a key is, by its hash; the key itself stays here. What it says holds for thirty seconds, or until
//! it tells that the key is revoked ([`crate::revoked`]), which counts at once, or that its owner may do other things. Of a key
//! that it does not know nothing is asked for five. When it is away, the caller is told so: that says nothing against the key.
//!
//! Trap: guessing keys is making us ask. A key of another form than ours is refused without, and who sends a new one with
//! every request is held up by its address.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use nats::{
    contracts::user::{API_KEY_PREFIX, Unknown, VerifiedApiKey, VerifyApiKey},
    invoke::{CallError, Caller},
    problem::{Code, Problem},
};
use sha2::{Digest, Sha256};

use crate::{
    expiring::{Expiring, Until},
    limit::{
        Quota, Who,
        gcra::{self, Standing},
    },
    revoked::Revoked,
    token::now,
};

/// For how long what is said of a good key holds, in seconds.
const GOOD_FOR: u64 = 30;
/// For how long a key is unknown, in seconds.
const UNKNOWN_FOR: u64 = 5;
/// A few hundred bytes each.
const MOST: usize = 20_000;
/// 256 bits in base64url.
const RANDOM_PART: usize = 43;
/// How often is asked for one address: each of its keys that is in use costs two questions a minute.
const QUESTIONS: Quota = Quota::of(300, 60);
const MOST_ADDRESSES: usize = 20_000;

/// Verifies API keys.
pub(crate) struct ApiKeys {
    caller: Caller,
    revoked: Arc<Revoked>,
    /// By the keys' hashes: whoever reads this memory gets no key. `None` for those that svc-user does not know.
    known: Expiring<[u8; 32], Option<Arc<VerifiedApiKey>>>,
    /// Until when each address has paid for its questions, in microseconds since the start.
    asked: Expiring<Who, u64>,
    start: Instant,
}

impl ApiKeys {
    /// Asks through `caller`.
    pub(crate) fn new(caller: Caller, revoked: Arc<Revoked>) -> Self {
        let (known, asked) = (Expiring::holding(MOST), Expiring::holding(MOST_ADDRESSES));
        Self { caller, revoked, known, asked, start: Instant::now() }
    }

    /// Whether this is meant as an API key.
    pub(crate) fn is_one(credential: &str) -> bool {
        credential.starts_with(API_KEY_PREFIX)
    }

    /// Whose key this is and what it may do. `who` sends it: an address.
    ///
    /// # Errors
    /// `unauthenticated` for a key that is not good (any more), `unavailable` when nobody can tell, `too_many_requests` when
    /// the address has had too many looked up.
    pub(crate) async fn verify(&self, key: &str, who: Who) -> Result<Arc<VerifiedApiKey>, Problem> {
        if !is_well_formed(key) {
            return Err(refused());
        }
        let hash: [u8; 32] = Sha256::digest(key).into();
        let said = match self.known.get(&hash, now()) {
            Some(said) if !said.as_deref().is_some_and(|said| self.is_outdated(said)) => said,
            Some(_) | None => self.ask(key, &hash, who).await?,
        };
        said.filter(|key| !self.revoked.api_key(key.api_key_id)).ok_or_else(refused)
    }

    fn is_outdated(&self, said: &VerifiedApiKey) -> bool {
        self.revoked.is_outdated(said.user_id, &said.roles, said.revision)
    }

    /// Asks svc-user, and remembers what it says.
    async fn ask(&self, key: &str, hash: &[u8; 32], who: Who) -> Result<Option<Arc<VerifiedApiKey>>, Problem> {
        let standing = self.may_ask(who);
        if !standing.taken {
            let detail = "Too many API keys were tried from your address.";
            return Err(Problem::too_many_requests(detail, Duration::from_micros(standing.wait)));
        }
        let said = match self.caller.call(&VerifyApiKey::of(key)).await {
            Ok(verified) => Some(Arc::new(verified)),
            Err(CallError::Refused(Unknown::Unknown)) => None,
            Err(CallError::Unavailable { .. } | CallError::TimedOut { .. }) => {
                let detail = "The user service cannot be reached to verify the API key.";
                return Err(Problem::new(Code::Unavailable, detail));
            }
            Err(CallError::Failed(reason)) => return Err(Problem::internal(reason)),
        };
        let now = now();
        let end = match &said {
            Some(verified) => {
                u64::try_from(verified.expires_at.timestamp()).unwrap_or_default().min(now.saturating_add(GOOD_FOR))
            }
            None => now.saturating_add(UNKNOWN_FOR),
        };
        self.known.put(hash, Until { end, value: said.clone() }, now);
        Ok(said)
    }

    fn may_ask(&self, who: Who) -> Standing {
        let now = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.asked.change(&who, now, |paid| {
            let (standing, then_paid) = gcra::take(QUESTIONS, paid.copied(), now);
            (standing.taken.then_some(Until { end: then_paid, value: then_paid }), standing)
        })
    }
}

/// Whether a key has the form of ours.
fn is_well_formed(key: &str) -> bool {
    key.strip_prefix(API_KEY_PREFIX).is_some_and(|random| {
        random.len() == RANDOM_PART && random.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    })
}

fn refused() -> Problem {
    Problem::new(Code::Unauthenticated, "The API key is not valid: it is unknown, has expired or was revoked.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_the_form_of_a_key_is_asked_about() {
        let key = |random: String| format!("{API_KEY_PREFIX}{random}");
        let almost = "aZ09-_".repeat(7);
        assert!(is_well_formed(&key(format!("{almost}x"))));
        for wrong in ["", "xx", " ", "=", "\u{e9}"] {
            assert!(!is_well_formed(&key(format!("{almost}{wrong}"))), "{wrong}");
        }
        assert!(!is_well_formed(&format!("{almost}x")));
    }
}
