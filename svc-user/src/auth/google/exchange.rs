//! `POST /v1/auth/exchange`: the shop's page exchanges its code for tokens.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, dsl::now};
use diesel_async::RunQueryDsl;
use nats::{
    problem::Problem,
    types::{ExternalIdentityId, Secret, UserId},
};
use poem_openapi::Object;
use serde::Deserialize;

use super::browser::Browser;
use crate::{
    Users,
    auth::TokenAnswer,
    schema::{external_identity, sign_in_code},
    session::{Session, device::Device},
    token::Token,
    user::Account,
};

// Not `Debug`: it holds a code.
/// The code that the shop's page got.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub(crate) struct Exchange {
    /// The one behind the hash sign.
    #[serde(deserialize_with = "Secret::deserialize")]
    code: Secret<String>,
}

/// Uses the code up and opens a session. Without the secret of the browser that it was made for it is like no code at all.
pub(super) async fn exchange(
    users: &Users,
    browser: Option<Browser>,
    exchange: Exchange,
    device: &Device,
) -> Result<TokenAnswer, Problem> {
    let (code, browser) = Token::parse(&exchange.code).zip(browser).ok_or_else(worthless)?;
    let (hash, browser_hash) = (code.hash(), browser.hash());
    let good = || {
        sign_in_code::table
            .find(hash.as_slice())
            .filter(sign_in_code::browser_hash.eq(browser_hash.as_slice()))
            .filter(sign_in_code::expires_at.gt(now))
    };
    let mut tx = users.database.begin().await?;
    let owner: Option<UserId> = good()
        .inner_join(external_identity::table)
        .select(external_identity::user_id)
        .first(&mut tx)
        .await
        .optional()?;
    // Whoever takes the identity away at this moment waits for us, or we for them.
    let owner = Account::lock(&mut tx, owner.ok_or_else(worthless)?).await?.ok_or_else(worthless)?;
    let identity: Option<ExternalIdentityId> =
        diesel::delete(good()).returning(sign_in_code::external_identity_id).get_result(&mut tx).await.optional()?;
    identity.ok_or_else(worthless)?;
    let account = Account::find(&mut tx, owner).await?.ok_or_else(worthless)?;
    let (session, refresh_token) = Session::open(&mut tx, account.id, device).await?;
    let answer = TokenAnswer::of(users, &mut tx, account, &session, refresh_token).await?;
    tx.commit().await?;
    Ok(answer)
}

/// One answer for unknown, expired, used and another browser's.
fn worthless() -> Problem {
    Problem::invalid("/code", "This code is not valid, or not any more, or not for this browser. Sign in again.")
}
