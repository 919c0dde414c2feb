//! Access tokens: JWTs (RFC 9068) that are believed for ten minutes, by whoever has our public keys.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{Duration, Utc};
use nats::contracts::user::{AccessClaims, TOKEN_AUDIENCE, TOKEN_ISSUER};

use crate::{role::rights::Rights, session::Session, user::Account};

/// How long an access token lasts.
pub(crate) const LIFETIME: Duration = Duration::minutes(10);
/// The only client yet: our own front ends, whatever they are.
const CLIENT: &str = "argosy";

/// What a token of this moment says of the account in this session, which may do this.
pub(crate) fn claims(account: &Account, session: &Session, rights: &Rights) -> AccessClaims {
    let now = Utc::now();
    AccessClaims {
        iss: TOKEN_ISSUER.to_owned(),
        aud: TOKEN_AUDIENCE.to_owned(),
        sub: account.id,
        sid: session.id,
        client_id: CLIENT.to_owned(),
        roles: rights.roles.to_vec(),
        permissions: rights.permissions.names(),
        roles_revision: rights.revision,
        iat: now.timestamp(),
        exp: (now + LIFETIME).timestamp(),
        jti: URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>()),
    }
}
