//! Tokens in links of mails: the right to do one thing, once, for whoever reads a person's mail.
//!
//! A person has one of each purpose: a new one takes the place of the one before, so that only the link of the last mail
//! works.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, dsl::now, sql_query, sql_types};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    database::DatabaseError,
    types::{Secret, UserId},
};

use crate::{Users, schema::mail_token, token::Token};

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To set a new password.
    PasswordReset,
    /// To show that the person reads what is sent to their address.
    EmailVerification,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::PasswordReset => "password_reset",
            Self::EmailVerification => "email_verification",
        }
    }

    /// For how many seconds.
    const fn lifetime_s(self) -> i32 {
        match self {
            Self::PasswordReset => 3600,
            Self::EmailVerification => 24 * 3600,
        }
    }
}

/// A new token, which ends the one before.
pub(crate) async fn issue(
    connection: &mut AsyncPgConnection,
    user: UserId,
    purpose: Purpose,
) -> Result<Secret<String>, DatabaseError> {
    let token = Token::random();
    sql_query(
        "insert into mail_token (user_id, purpose, hash, expires_at)
         values ($1, $2, $3, now() + $4 * interval '1 second')
         on conflict (user_id, purpose) do update
         set hash = excluded.hash, created_at = excluded.created_at, expires_at = excluded.expires_at",
    )
    .bind::<sql_types::Uuid, _>(user)
    .bind::<sql_types::Text, _>(purpose.as_str())
    .bind::<sql_types::Binary, _>(token.hash().as_slice())
    .bind::<sql_types::Integer, _>(purpose.lifetime_s())
    .execute(connection)
    .await?;
    Ok(token.text())
}

/// Whose token it is, when it is good at this moment; it stays so.
pub(crate) async fn owner(
    connection: &mut AsyncPgConnection,
    token: &Token,
    purpose: Purpose,
) -> Result<Option<UserId>, DatabaseError> {
    let hash = token.hash();
    let good = mail_token::table
        .filter(mail_token::hash.eq(hash.as_slice()))
        .filter(mail_token::purpose.eq(purpose.as_str()))
        .filter(mail_token::expires_at.gt(now));
    Ok(good.select(mail_token::user_id).first(connection).await.optional()?)
}

/// Uses the token up; false unless it was good. One statement decides who has it, but lock its owner's row before: others
/// who have that revoke tokens.
pub(crate) async fn redeem(
    connection: &mut AsyncPgConnection,
    token: &Token,
    purpose: Purpose,
) -> Result<bool, DatabaseError> {
    let hash = token.hash();
    let good = mail_token::table
        .filter(mail_token::hash.eq(hash.as_slice()))
        .filter(mail_token::purpose.eq(purpose.as_str()))
        .filter(mail_token::expires_at.gt(now));
    Ok(diesel::delete(good).execute(connection).await? == 1)
}

/// Ends a person's token, if there is one.
pub(crate) async fn revoke(
    connection: &mut AsyncPgConnection,
    user: UserId,
    purpose: Purpose,
) -> Result<(), DatabaseError> {
    diesel::delete(mail_token::table.find((user, purpose.as_str()))).execute(connection).await?;
    Ok(())
}

/// Deletes those that have expired.
///
/// # Errors
/// The database's.
pub(crate) async fn forget_mail_tokens(users: Users) -> Result<(), DatabaseError> {
    let mut connection = users.database.connection().await?;
    let forgotten =
        diesel::delete(mail_token::table.filter(mail_token::expires_at.le(now))).execute(&mut connection).await?;
    tracing::debug!(forgotten, "expired tokens of mails are deleted");
    Ok(())
}
