//! `POST /v1/auth/verify-email`: the link of a mail came back, so somebody reads what is sent to that address.

use diesel::{ExpressionMethods, QueryDsl};
use diesel_async::RunQueryDsl;
use nats::{problem::Problem, types::Secret};
use poem_openapi::Object;
use serde::Deserialize;

use super::mail_token::{self, Purpose};
use crate::{Users, schema::user, token::Token, user::Account};

// Not `Debug`: it holds a token.
/// What came with the mail.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub(crate) struct EmailVerification {
    /// The one of the link.
    #[serde(deserialize_with = "Secret::deserialize")]
    token: Secret<String>,
}

/// Uses the token up and notes when.
pub(crate) async fn verify_email(users: &Users, verification: EmailVerification) -> Result<(), Problem> {
    let token = Token::parse(&verification.token).ok_or_else(worthless)?;
    let mut tx = users.database.begin().await?;
    let user_id = mail_token::owner(&mut tx, &token, Purpose::EmailVerification).await?.ok_or_else(worthless)?;
    Account::lock(&mut tx, user_id).await?.ok_or_else(worthless)?;
    if !mail_token::redeem(&mut tx, &token, Purpose::EmailVerification).await? {
        return Err(worthless());
    }
    diesel::update(user::table.find(user_id))
        .set((user::email_verified_at.eq(diesel::dsl::now), user::updated_at.eq(diesel::dsl::now)))
        .execute(&mut tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// One answer for unknown, expired, used and replaced.
fn worthless() -> Problem {
    Problem::invalid("/token", "This link is not valid, or not any more. Ask for a new one.")
}
