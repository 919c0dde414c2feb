//! `POST /v1/auth/login`: from e-mail address and password to tokens.

use nats::{
    problem::{Code, Problem},
    types::{Email, Secret},
};
use poem_openapi::Object;
use serde::Deserialize;

use super::TokenAnswer;
use crate::{Users, session::Session, user::Account};

// Not `Debug`: it holds a password.
/// Who signs in.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub(crate) struct Credentials {
    /// What they registered with, in whatever case.
    email: Email,
    /// The password. Whatever is not the right one is wrong; its length is no matter here.
    // By a function, so that a missing one is said to be missing: the derived way hides that along with the value.
    #[serde(deserialize_with = "Secret::deserialize")]
    password: Secret<String>,
}

/// Opens a session. An unknown account takes as long as a wrong password, and gets the same answer.
pub(crate) async fn login(users: &Users, credentials: Credentials) -> Result<TokenAnswer, Problem> {
    let found = Account::with_password_hash(&mut *users.database.connection().await?, &credentials.email).await?;
    let (account, hash) = found.unzip();
    let right = users.passwords.verify(credentials.password, hash).await?;
    let account = account.filter(|_| right).ok_or_else(wrong)?;

    let mut tx = users.database.begin().await?;
    let (session, refresh_token) = Session::open(&mut tx, account.id).await?;
    let answer = TokenAnswer::of(users, account, &session, refresh_token)?;
    tx.commit().await?;
    Ok(answer)
}

fn wrong() -> Problem {
    Problem::new(Code::BadCredentials, "The e-mail address or the password is wrong.")
}
