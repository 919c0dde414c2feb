//! `POST /v1/auth/login`: from e-mail address and password to tokens.

use nats::{
    problem::{Code, Problem},
    types::{Email, Secret},
};
use poem_openapi::Object;
use serde::Deserialize;

use super::{TokenAnswer, attempts::Attempts};
use crate::{
    Users,
    session::{Session, device::Device},
    user::Account,
};

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

/// Opens a session. An unknown account takes as long as a wrong password, gets the same answer, and makes wait as long.
pub(crate) async fn login(users: &Users, credentials: Credentials, device: &Device) -> Result<TokenAnswer, Problem> {
    let Credentials { email, password } = credentials;
    let (attempts, account, hash) = {
        let mut connection = users.database.connection().await?;
        let known = match device.network {
            Some(network) => Session::began_at(&mut connection, &email, network).await?,
            None => false,
        };
        let attempts = Attempts::to_sign_in(&email, device.network, known);
        attempts.check(&mut connection).await?;
        let (account, hash) = Account::with_password_hash(&mut connection, &email).await?.unzip();
        // Whoever signs in by other means only has no password that could be right.
        (attempts, account, hash.flatten())
    };
    let concerned = account.as_ref().map(|account| account.id);
    let concerning = |problem: Problem| match concerned {
        Some(user) => problem.concerning(user),
        None => problem,
    };
    // Hashing takes a while; nobody's connection waits for it.
    let right = users.passwords.verify(password, hash.clone()).await?;
    let Some((account, hash)) = account.zip(hash).filter(|_| right) else {
        attempts.failed(&mut *users.database.connection().await?).await.map_err(concerning)?;
        return Err(concerning(wrong()));
    };

    let mut tx = users.database.begin().await?;
    // A password that was changed meanwhile has ended the sessions that were there: this one must not come after.
    Account::lock_with_password(&mut tx, account.id, &hash).await?.ok_or_else(wrong)?;
    attempts.succeeded(&mut tx).await?;
    let (session, refresh_token) = Session::open(&mut tx, account.id, device).await?;
    let answer = TokenAnswer::of(users, &mut tx, account, &session, refresh_token).await?;
    tx.commit().await?;
    Ok(answer)
}

fn wrong() -> Problem {
    Problem::new(Code::BadCredentials, "The e-mail address or the password is wrong.")
}
