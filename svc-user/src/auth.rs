//! Signing in: from a password to tokens, and from a refresh token to the next ones.
//!
//! Every way in ends with the same [`TokenAnswer`]: a short-lived access token (a JWT that anyone can verify) and a
//! refresh token that works once.

pub(crate) mod account_mail;
pub mod api;
pub(crate) mod attempts;
pub(crate) mod confirm_password_reset;
pub mod google;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod mail_token;
pub(crate) mod password;
pub(crate) mod refresh;
pub(crate) mod register;
pub(crate) mod request_password_reset;
pub(crate) mod resend_verification;
pub(crate) mod verify_email;

use diesel_async::AsyncPgConnection;
use nats::{
    problem::Problem,
    types::{Secret, UserId},
};
use poem_openapi::Object;
use serde::Serialize;

use crate::{
    Users,
    role::rights::Rights,
    session::Session,
    signing_key::access_token,
    user::{Account, api::UserProfile},
};

// Not `Debug`: it holds tokens.
/// Who signed in, and with what to go on (RFC 6749, 5.1).
#[derive(Serialize, Object)]
pub struct TokenAnswer {
    /// Who.
    user: UserProfile,
    /// For `Authorization: Bearer …`.
    access_token: String,
    /// Gets the next token answer, once.
    refresh_token: String,
    /// How long the access token lasts, in seconds.
    expires_in: i64,
    /// `Bearer`.
    token_type: String,
}

impl TokenAnswer {
    /// Who signed in.
    const fn user_id(&self) -> UserId {
        self.user.id
    }

    /// An access token of this moment, and the given refresh token.
    async fn of(
        users: &Users,
        connection: &mut AsyncPgConnection,
        account: Account,
        session: &Session,
        refresh_token: Secret<String>,
    ) -> Result<Self, Problem> {
        let rights = Rights::of(connection, account.id).await?;
        let rights = rights.ok_or_else(|| Problem::internal("an account that signs in is not there"))?;
        let claims = access_token::claims(&account, session, &rights);
        let account = Account { roles: rights.roles, ..account };
        let access_token = users.signer.sign(&claims)?;
        Ok(Self {
            user: account.into(),
            access_token,
            refresh_token: refresh_token.into_exposed(),
            expires_in: access_token::LIFETIME.num_seconds(),
            token_type: "Bearer".to_owned(),
        })
    }
}
