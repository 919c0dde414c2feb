//! Access tokens: verified once, here, with the public keys of svc-user. No look-up per request.
//!
//! What was verified is remembered until the token ends, so that only its first request costs a signature's arithmetic. The
//! key is looked at each time: when svc-user names it no more, its tokens are no more believed, remembered or not. So is the
//! session: once it has ended, its tokens are refused ([`crate::revoked`]); so are those from before what their user may do
//! changed, until they are refreshed.
//!
//! RFC 9068 and RFC 8725: ES256 only, `typ: at+jwt`, issuer and audience fixed, `kid` only looked up among our own keys.
//! An unknown `kid` makes the gateway ask svc-user again, at most once in thirty seconds.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use nats::{
    contracts::user::{AccessClaims, GetSigningKeys, TOKEN_AUDIENCE, TOKEN_ISSUER},
    identity::{Identity, Permissions},
    invoke::Caller,
    problem::{Code, Problem},
};
use sha2::{Digest, Sha256};
use tokio::{sync::Mutex, time::Instant};

use crate::{
    expiring::{Expiring, Until},
    revoked::Revoked,
};

/// A few hundred bytes each.
const MOST_VERIFIED: usize = 20_000;
const LONGEST: usize = 8 * 1024;
/// No token of ours lives for longer. One that did would outlive what is remembered of its session's end.
const LONGEST_LIFE_S: i64 = 600;
/// Clocks may differ by this much.
const LEEWAY_S: u64 = 30;
const ASK_AGAIN: Duration = Duration::from_secs(30);
/// A key that svc-user no longer names is believed for this long at most.
const KEYS_LAST: Duration = Duration::from_secs(300);
const ASK_AGAIN_WITHOUT_KEYS: Duration = Duration::from_secs(1);

/// The keys by their ids, and when svc-user named them.
type Keys = Arc<(Option<Instant>, HashMap<String, DecodingKey>)>;

/// A token that was found good.
struct Verified {
    kid: String,
    identity: Identity,
    /// As of which revision of what people may do.
    revision: i64,
    /// When it ends, in seconds since 1970.
    end: u64,
}

/// Verifies access tokens.
pub struct Tokens {
    caller: Caller,
    keys: RwLock<Keys>,
    /// By the tokens' hashes: whoever reads this memory gets no token.
    verified: Expiring<[u8; 32], Arc<Verified>>,
    revoked: Arc<Revoked>,
    /// When svc-user was asked last, and whether it answered.
    asked: Mutex<Option<(Instant, bool)>>,
}

impl Tokens {
    /// Without keys yet; the first token makes it ask for them.
    pub(crate) fn new(caller: Caller, revoked: Arc<Revoked>) -> Self {
        let verified = Expiring::holding(MOST_VERIFIED);
        Self { caller, keys: RwLock::default(), verified, revoked, asked: Mutex::new(None) }
    }

    /// Whom a token speaks for, and until when, in seconds since 1970.
    ///
    /// # Errors
    /// `unauthenticated` for a token that is not ours, malformed, expired or outdated, or of a session that has ended;
    /// `unavailable` when no key could be had.
    pub(crate) async fn identify(&self, token: &str) -> Result<(Identity, u64), Problem> {
        let verified = self.verify(token).await?;
        let identity = &verified.identity;
        if identity.session.is_some_and(|session| self.revoked.session(session)) {
            return Err(refused("The session of this access token has ended. Sign in again."));
        }
        if self.revoked.is_outdated(identity.user, &identity.roles, verified.revision) {
            return Err(refused("What you may do has changed since this access token was issued. Refresh it."));
        }
        Ok((identity.clone(), verified.end))
    }

    async fn verify(&self, token: &str) -> Result<Arc<Verified>, Problem> {
        if token.len() > LONGEST {
            return Err(refused("The access token is too long to be one of ours."));
        }
        let (hash, now): ([u8; 32], _) = (Sha256::digest(token).into(), now());
        if let Some(verified) = self.verified.get(&hash, now) {
            self.key(&verified.kid).await?;
            return Ok(verified);
        }
        let header = decode_header(token).map_err(|_| refused("The access token is malformed."))?;
        let typed = header.typ.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("at+jwt"));
        let (Some(kid), true, Algorithm::ES256) = (header.kid, typed, header.alg) else {
            return Err(refused("This is not one of our access tokens."));
        };
        let key = self.key(&kid).await?;
        let claims = decode::<AccessClaims>(token, &key, &validation())
            .map_err(|error| match error.kind() {
                jsonwebtoken::errors::ErrorKind::ExpiredSignature => refused("The access token has expired."),
                _ => refused("The access token is not valid."),
            })?
            .claims;
        if claims.exp.saturating_sub(claims.iat) > LONGEST_LIFE_S {
            return Err(refused("The access token lives for longer than ours do."));
        }
        let permissions = Permissions::named(&claims.permissions);
        if claims.iat > i64::try_from(now + LEEWAY_S).unwrap_or(i64::MAX) {
            return Err(refused("The access token is not valid yet."));
        }
        let identity = Identity { user: claims.sub, session: Some(claims.sid), roles: claims.roles, permissions };
        let end = u64::try_from(claims.exp).unwrap_or_default().saturating_add(LEEWAY_S);
        let verified = Arc::new(Verified { kid, identity, revision: claims.roles_revision, end });
        self.verified.put(&hash, Until { end, value: Arc::clone(&verified) }, now);
        Ok(verified)
    }

    async fn key(&self, kid: &str) -> Result<DecodingKey, Problem> {
        if let Some(key) = self.fresh(kid) {
            return Ok(key);
        }
        let mut asked = self.asked.lock().await;
        if let Some(key) = self.fresh(kid) {
            return Ok(key);
        }
        let patience = if self.known().1.is_empty() { ASK_AGAIN_WITHOUT_KEYS } else { ASK_AGAIN };
        if asked.is_none_or(|(at, _)| at.elapsed() >= patience) {
            let answer = self.caller.call(&GetSigningKeys {}).await;
            *asked = Some((Instant::now(), answer.is_ok()));
            let set = match answer {
                Ok(set) => set,
                // svc-user is away: what it said last still holds.
                Err(error) => match self.known().1.get(kid) {
                    Some(key) => return Ok(key.clone()),
                    None => return Err(error.problem(|never| match never {})),
                },
            };
            let keys = set.keys.iter().filter_map(|key| {
                DecodingKey::from_ec_components(&key.x, &key.y).ok().map(|decoding| (key.kid.clone(), decoding))
            });
            let keys: Keys = Arc::new((Some(Instant::now()), keys.collect()));
            match self.keys.write() {
                Ok(mut known) => *known = keys,
                Err(poisoned) => *poisoned.into_inner() = keys,
            }
        }
        self.known().1.get(kid).cloned().ok_or_else(|| match *asked {
            // Not a word against the token: nobody could be asked about it.
            Some((_, false)) => {
                Problem::new(Code::Unavailable, "The user service cannot be reached to verify the token.")
            }
            _ => refused("The access token was signed with a key that is not ours."),
        })
    }

    /// The key, when it is known and was asked for not too long ago.
    fn fresh(&self, kid: &str) -> Option<DecodingKey> {
        let known = self.known();
        let (since, keys) = known.as_ref();
        keys.get(kid).filter(|_| since.is_some_and(|since| since.elapsed() < KEYS_LAST)).cloned()
    }

    fn known(&self) -> Keys {
        match self.keys.read() {
            Ok(keys) => Arc::clone(&keys),
            Err(poisoned) => Arc::clone(&poisoned.into_inner()),
        }
    }
}

/// In seconds since 1970, as tokens count.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn validation() -> Validation {
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_issuer(&[TOKEN_ISSUER]);
    validation.set_audience(&[TOKEN_AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.leeway = LEEWAY_S;
    // Ours have none; a token that has one is held to it.
    validation.validate_nbf = true;
    validation
}

fn refused(detail: &str) -> Problem {
    Problem::new(Code::Unauthenticated, detail)
}
