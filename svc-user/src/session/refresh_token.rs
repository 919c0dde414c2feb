//! Refresh tokens: 256 random bits, base64url, of which only the SHA-256 is kept.
//!
//! A plain hash is enough here, unlike for passwords: nobody guesses 256 bits.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::Utc;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, dsl::now, insert_into};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    database::DatabaseError,
    types::{Secret, SessionId},
};
use sha2::{Digest, Sha256};

use super::Session;
use crate::schema::refresh_token;

const ACTIVE: &str = "active";
const CONSUMED: &str = "consumed";
/// Bytes of a token before it is base64url.
const LENGTH: usize = 32;

/// What is kept of a token.
pub(crate) type Hash = [u8; 32];

/// What is kept of this token; `None` when it cannot be one of ours.
pub(crate) fn hash_of(token: &Secret<String>) -> Option<Hash> {
    let mut bytes = [0; LENGTH];
    let length = URL_SAFE_NO_PAD.decode_slice(token.expose(), &mut bytes).ok()?;
    (length == LENGTH).then(|| Sha256::digest(bytes).into())
}

/// A new token of this session; the one before must be consumed.
pub(crate) async fn issue(
    connection: &mut AsyncPgConnection,
    session: &Session,
) -> Result<Secret<String>, DatabaseError> {
    let bytes: [u8; LENGTH] = rand::random();
    let hash: Hash = Sha256::digest(bytes).into();
    insert_into(refresh_token::table)
        .values((
            refresh_token::hash.eq(hash.as_slice()),
            refresh_token::session_id.eq(session.id),
            refresh_token::expires_at.eq(session.good_until(Utc::now())),
        ))
        .execute(connection)
        .await?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
}

/// Consumes the token and tells its session; `None` unless it is active and has not expired.
///
/// One statement decides who wins when a token comes twice at once.
pub(crate) async fn consume(
    connection: &mut AsyncPgConnection,
    hash: &Hash,
) -> Result<Option<SessionId>, DatabaseError> {
    let active = refresh_token::table
        .find(hash.as_slice())
        .filter(refresh_token::state.eq(ACTIVE))
        .filter(refresh_token::expires_at.gt(now));
    let consumed = diesel::update(active)
        .set((refresh_token::state.eq(CONSUMED), refresh_token::consumed_at.eq(now)))
        .returning(refresh_token::session_id)
        .get_result(connection)
        .await;
    Ok(consumed.optional()?)
}

/// The session of a token that was consumed before.
pub(crate) async fn consumed_before(
    connection: &mut AsyncPgConnection,
    hash: &Hash,
) -> Result<Option<SessionId>, DatabaseError> {
    let consumed = refresh_token::table.find(hash.as_slice()).filter(refresh_token::state.eq(CONSUMED));
    Ok(consumed.select(refresh_token::session_id).first(connection).await.optional()?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_the_form_of_a_token_is_looked_up() {
        let token = Secret::new(URL_SAFE_NO_PAD.encode([7; LENGTH]));
        assert_eq!(hash_of(&token).unwrap().as_slice(), Sha256::digest([7; LENGTH]).to_vec());
        for text in ["", "x", "not base64url!", &"A".repeat(42), &"A".repeat(44), &"A".repeat(100_000), "eyJ.eyJ.sig"] {
            assert!(hash_of(&Secret::new(text.to_owned())).is_none(), "{text:.20}");
        }
    }
}
