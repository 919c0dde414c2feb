//! Verifying an ID token (OpenID Connect Core, 3.1.3.7), and what it says of a person.

use chrono::{DateTime, Duration, Utc};
use nats::types::{Email, Locale, Name};
use openidconnect::{
    ClaimsVerificationError, ClientId, IssuerUrl, Nonce,
    core::{
        CoreIdToken, CoreIdTokenClaims, CoreIdTokenVerifier, CoreJsonWebKeySet, CoreJwsSigningAlgorithm as Algorithm,
    },
};

/// What a token may be signed with: private keys that only the provider has. `none` is no signature, and of HS256 the client
/// secret is the key, which others than the provider may come to know.
const ALGORITHMS: [Algorithm; 3] =
    [Algorithm::RsaSsaPkcs1V15Sha256, Algorithm::RsaSsaPssSha256, Algorithm::EcdsaP256Sha256];
/// The longest identifier of a person.
const LONGEST_SUBJECT: usize = 255;
/// How long ago a token may have been issued: it comes straight from the provider.
const OLDEST: Duration = Duration::minutes(10);
/// How far the provider's clock may be ahead of ours.
const LEEWAY: Duration = Duration::minutes(1);

/// Whom the provider vouches for.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) issuer: String,
    /// Names the person at that issuer, for good.
    pub(super) subject: String,
    /// Their address, when the provider has verified that it is theirs.
    pub(super) email: Option<Email>,
    pub(super) name: Option<Name>,
    pub(super) locale: Option<Locale>,
}

/// Verifies the token's signature, issuer, audience, times and nonce.
pub(super) fn verify(
    token: &CoreIdToken,
    (issuer, keys): (&IssuerUrl, &CoreJsonWebKeySet),
    client: &ClientId,
    nonce: &Nonce,
) -> Result<Person, ClaimsVerificationError> {
    // As of a client without a secret: the library would take the secret for a key otherwise.
    let verifier = CoreIdTokenVerifier::new_public_client(client.clone(), issuer.clone(), keys.clone())
        .set_allowed_algs(ALGORITHMS)
        .set_issue_time_verifier_fn(issued_just_now);
    let claims = token.claims(&verifier, nonce)?;
    if claims.authorized_party().is_some_and(|party| party != client) {
        let reason = "the token was issued to another client".to_owned();
        return Err(ClaimsVerificationError::InvalidAudience(reason));
    }
    if !(1..=LONGEST_SUBJECT).contains(&claims.subject().len()) {
        return Err(ClaimsVerificationError::InvalidSubject("the subject is no identifier".to_owned()));
    }
    Ok(Person::of(claims))
}

fn issued_just_now(at: DateTime<Utc>) -> Result<(), String> {
    let age = Utc::now() - at;
    if age > OLDEST {
        return Err(format!("the token was issued {} s ago", age.num_seconds()));
    }
    if age < -LEEWAY {
        return Err(format!("the token will be issued in {} s", -age.num_seconds()));
    }
    Ok(())
}

impl Person {
    /// What of the claims is of use; what does not fit is as if it were not there.
    fn of(claims: &CoreIdTokenClaims) -> Self {
        let verified = claims.email().filter(|_| claims.email_verified() == Some(true));
        let name = claims.name().and_then(|names| names.get(None));
        Self {
            issuer: claims.issuer().to_string(),
            subject: claims.subject().to_string(),
            email: verified.and_then(|email| email.parse().ok()),
            name: name.and_then(|name| name.parse().ok()),
            locale: claims.locale().and_then(|locale| locale.parse().ok()),
        }
    }
}
