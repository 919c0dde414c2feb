//! Access tokens: verified once, here, with the public keys of svc-user. No look-up per request.
//!
//! RFC 9068 and RFC 8725: ES256 only, `typ: at+jwt`, issuer and audience fixed, `kid` only looked up among our own keys.
//! An unknown `kid` makes the gateway ask svc-user again, at most once in thirty seconds.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
    time::Duration,
};

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use nats::{
    contracts::user::{AccessClaims, GetSigningKeys, TOKEN_AUDIENCE, TOKEN_ISSUER},
    identity::Identity,
    invoke::Caller,
    problem::{Code, Problem},
};
use tokio::{sync::Mutex, time::Instant};

const LONGEST: usize = 8 * 1024;
/// Clocks may differ by this much.
const LEEWAY_S: u64 = 30;
const ASK_AGAIN: Duration = Duration::from_secs(30);
/// A key that svc-user no longer names is believed for this long at most.
const KEYS_LAST: Duration = Duration::from_secs(300);
const ASK_AGAIN_WITHOUT_KEYS: Duration = Duration::from_secs(1);

/// The keys by their ids, and when svc-user named them.
type Keys = Arc<(Option<Instant>, HashMap<String, DecodingKey>)>;

/// Verifies access tokens.
pub struct Tokens {
    caller: Caller,
    keys: RwLock<Keys>,
    /// When svc-user was asked last, and whether it answered.
    asked: Mutex<Option<(Instant, bool)>>,
}

impl Tokens {
    /// Without keys yet; the first token makes it ask for them.
    pub fn new(caller: Caller) -> Self {
        Self { caller, keys: RwLock::default(), asked: Mutex::new(None) }
    }

    /// Who an `Authorization` header speaks for; `None` without one.
    ///
    /// # Errors
    /// `unauthenticated` for a token that is not ours, malformed or expired; `unavailable` when no key could be had.
    pub async fn identify(&self, authorization: Option<&str>) -> Result<Option<Identity>, Problem> {
        let Some(authorization) = authorization else { return Ok(None) };
        let (scheme, token) = authorization.split_once(' ').unwrap_or((authorization, ""));
        if !scheme.eq_ignore_ascii_case("bearer") || token.len() > LONGEST {
            return Err(refused("Send the access token as `Authorization: Bearer …`."));
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
        Ok(Some(Identity { user: claims.sub, session: Some(claims.sid), roles: claims.roles }))
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

fn validation() -> Validation {
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_issuer(&[TOKEN_ISSUER]);
    validation.set_audience(&[TOKEN_AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.leeway = LEEWAY_S;
    validation
}

fn refused(detail: &str) -> Problem {
    Problem::new(Code::Unauthenticated, detail)
}
