//! Refresh tokens: each works once and brings its successor (RFC 9700, 4.14).
//!
//! A client that did not get its answer sends the token again, and so does one that sends it twice at once. For
//! [ten seconds](GRACE) it gets the same successor as the first time: two successors would be two lines, of which one could
//! be a thief's. The successor is not kept for that, it is computed again: HMAC-SHA256 of a random salt, under the token
//! that is being exchanged. The salt is kept, the token is not, so whoever reads the database can compute nothing; and a
//! salt goes when its successor is consumed, so whoever finds an old token can compute nothing from it later.
//!
//! Trap: only the token just before the active one has grace. An older one is a stolen one, however young.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, dsl::now, dsl::sql, insert_into, sql_types};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use hmac::{Hmac, Mac};
use nats::{
    database::DatabaseError,
    types::{Secret, SessionId},
};
use sha2::Sha256;

use super::Session;
use crate::{
    schema::refresh_token,
    token::{LENGTH, Token},
};

const ACTIVE: &str = "active";
const CONSUMED: &str = "consumed";
/// Whether a token was consumed so short a time ago that it may come again.
const GRACE: &str = "coalesce(consumed_at > now() - interval '10 seconds', false)";

/// What became of a token that was presented.
pub(crate) enum Exchanged {
    /// The session goes on with the successor; `again` when that was there already.
    For { session_id: SessionId, successor: Token, again: bool },
    /// It was exchanged before, and not a moment ago or its successor too: somebody else may have it.
    Reused(SessionId),
    /// It has expired, or was never ours.
    Nothing,
}

/// The first token of a session.
pub(crate) async fn issue(
    connection: &mut AsyncPgConnection,
    session: &Session,
) -> Result<Secret<String>, DatabaseError> {
    let first = Token::random();
    store(connection, session, &first).await?;
    Ok(first.text())
}

/// Stores the token with which the session goes on; the one before must be consumed.
pub(crate) async fn store(
    connection: &mut AsyncPgConnection,
    session: &Session,
    token: &Token,
) -> Result<(), DatabaseError> {
    insert_into(refresh_token::table)
        .values((
            refresh_token::hash.eq(token.hash().as_slice()),
            refresh_token::session_id.eq(session.id),
            refresh_token::expires_at.eq(session.good_until()),
        ))
        .execute(connection)
        .await?;
    Ok(())
}

/// Consumes the token if it is active and has not expired, else finds out why it is not. The successor is not stored yet.
///
/// One statement decides who wins when a token comes twice at once.
pub(crate) async fn exchange(connection: &mut AsyncPgConnection, token: &Token) -> Result<Exchanged, DatabaseError> {
    let (hash, salt): (_, [u8; 32]) = (token.hash(), rand::random());
    let active = refresh_token::table
        .find(hash.as_slice())
        .filter(refresh_token::state.eq(ACTIVE))
        .filter(refresh_token::expires_at.gt(now));
    let consumed: Option<SessionId> = diesel::update(active)
        .set((
            refresh_token::state.eq(CONSUMED),
            refresh_token::consumed_at.eq(now),
            refresh_token::successor_salt.eq(salt.as_slice()),
        ))
        .returning(refresh_token::session_id)
        .get_result(connection)
        .await
        .optional()?;
    let Some(session_id) = consumed else { return exchanged_before(connection, token).await };
    let before = refresh_token::table
        .filter(refresh_token::session_id.eq(session_id))
        .filter(refresh_token::successor_salt.is_not_null())
        .filter(refresh_token::hash.ne(hash.as_slice()));
    diesel::update(before).set(refresh_token::successor_salt.eq(None::<Vec<u8>>)).execute(connection).await?;
    Ok(Exchanged::For { session_id, successor: successor(token, &salt), again: false })
}

async fn exchanged_before(connection: &mut AsyncPgConnection, token: &Token) -> Result<Exchanged, DatabaseError> {
    let found: Option<(SessionId, Option<Vec<u8>>, bool)> = refresh_token::table
        .find(token.hash().as_slice())
        .filter(refresh_token::state.eq(CONSUMED))
        .select((refresh_token::session_id, refresh_token::successor_salt, sql::<sql_types::Bool>(GRACE)))
        .first(connection)
        .await
        .optional()?;
    Ok(match found {
        Some((session_id, Some(salt), true)) => {
            Exchanged::For { session_id, successor: successor(token, &salt), again: true }
        }
        Some((session_id, ..)) => Exchanged::Reused(session_id),
        None => Exchanged::Nothing,
    })
}

fn successor(token: &Token, salt: &[u8]) -> Token {
    // HMAC itself fills a key that is shorter than a block with zeros.
    let mut block = [0_u8; 64];
    block.iter_mut().zip(token.bytes()).for_each(|(place, byte)| *place = *byte);
    let mut mac = <Hmac<Sha256> as hmac::digest::KeyInit>::new((&block).into());
    mac.update(salt);
    let bytes: [u8; LENGTH] = mac.finalize().into_bytes().into();
    Token::of(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_is_of_its_token_and_salt() {
        let (token, other) = (Token::random(), Token::random());
        let next = successor(&token, &[1; 32]);
        assert_eq!(next.bytes(), successor(&token, &[1; 32]).bytes(), "the same again");
        assert_ne!(next.bytes(), successor(&token, &[2; 32]).bytes());
        assert_ne!(next.bytes(), successor(&other, &[1; 32]).bytes());
        assert_ne!(next.bytes(), token.bytes());
    }
}
