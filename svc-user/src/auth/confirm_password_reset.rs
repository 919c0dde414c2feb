//! `POST /v1/auth/password-reset/confirm`: a new password for whoever has the link of the mail.

use diesel::{ExpressionMethods, QueryDsl, dsl::sql, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    problem::Problem,
    types::{Email, Secret, UserId},
};
use poem_openapi::Object;
use serde::Deserialize;

use super::{
    attempts::forget_sign_ins,
    mail_token::{self, Purpose},
    password,
};
use crate::{
    Users,
    api_key::revoke::revoke_all,
    schema::user,
    session::{EndReason, Session},
    token::Token,
    user::Account,
};

// Not `Debug`: it holds a token and a password.
/// A new password, and the right to set it.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub(crate) struct PasswordReset {
    /// The one of the link.
    #[serde(deserialize_with = "Secret::deserialize")]
    token: Secret<String>,
    /// 8 to 200 characters, taken as they are.
    #[serde(deserialize_with = "password::acceptable")]
    #[oai(validator(min_length = 8, max_length = 200))]
    password: Secret<String>,
}

/// Sets the password, ends every session and API key, and lets the person sign in at once, whatever was tried as them before.
/// Whose account it was.
pub(crate) async fn confirm_password_reset(users: &Users, reset: PasswordReset) -> Result<UserId, Problem> {
    let token = Token::parse(&reset.token).ok_or_else(worthless)?;
    // A hash is dear: not for a link that is none.
    let user_id = {
        let mut connection = users.database.connection().await?;
        mail_token::owner(&mut connection, &token, Purpose::PasswordReset).await?.ok_or_else(worthless)?
    };
    let password_hash = users.passwords.hash(reset.password).await?;

    let mut tx = users.database.begin().await?;
    Account::lock(&mut tx, user_id).await?.ok_or_else(worthless)?;
    if !mail_token::redeem(&mut tx, &token, Purpose::PasswordReset).await? {
        return Err(worthless());
    }
    // Whoever has the link reads the mail that is sent there.
    let verified = sql::<sql_types::Nullable<sql_types::Timestamptz>>("coalesce(email_verified_at, now())");
    let email: Email = diesel::update(user::table.find(user_id))
        .set((
            user::password_hash.eq(password_hash),
            user::email_verified_at.eq(verified),
            user::updated_at.eq(diesel::dsl::now),
        ))
        .returning(user::email)
        .get_result(&mut tx)
        .await?;
    mail_token::revoke(&mut tx, user_id, Purpose::EmailVerification).await?;
    Session::end_all(&mut tx, user_id, None, EndReason::PasswordReset).await?;
    // Whoever had the account until now may have made itself a way back.
    revoke_all(&mut tx, user_id).await?;
    forget_sign_ins(&mut tx, &email).await?;
    tx.commit().await?;
    tracing::info!(%user_id, "password reset; all sessions and API keys are ended");
    Ok(user_id)
}

/// One answer for unknown, expired, used and replaced.
fn worthless() -> Problem {
    Problem::invalid("/token", "This link is not valid, or not any more. Ask for a new one.")
}
