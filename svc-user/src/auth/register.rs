//! `POST /v1/auth/register`: a person becomes a user, and is signed in.

use nats::{
    contracts::user::{UserEmailVerificationRequested, UserRegistered},
    problem::{Code, Problem},
    types::{Email, Locale, Name, Secret, UserId},
};
use poem_openapi::Object;
use serde::Deserialize;

use super::{TokenAnswer, password};
use crate::{
    Users,
    session::{Session, device::Device},
    user::{Account, NewAccount},
};

// Not `Debug`: it holds a password.
/// Who registers.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub(crate) struct Registration {
    /// Where mail goes, and what to sign in with; one account per address.
    email: Email,
    /// 8 to 200 characters, taken as they are.
    #[serde(deserialize_with = "password::acceptable")]
    #[oai(validator(min_length = 8, max_length = 200))]
    password: Secret<String>,
    /// What to call them.
    name: Name,
    /// The language they read; `en` when unset.
    locale: Option<Locale>,
}

/// Account, first session, `user.registered` and the wish for a mail that verifies the address commit together.
///
/// There is no `Idempotency-Key` here: its stored answer would be a token in plain text, and the address itself keeps a
/// repeat from having an effect.
pub(crate) async fn register(
    users: &Users,
    registration: Registration,
    device: &Device,
) -> Result<TokenAnswer, Problem> {
    let Registration { email, password, name, locale } = registration;
    // A taken address need not cost a hash; whether it is still free, the insert decides.
    if Account::exists(&mut *users.database.connection().await?, &email).await? {
        return Err(taken());
    }
    let password_hash = Some(users.passwords.hash(password).await?);
    let new = NewAccount { id: UserId::new(), email, name, password_hash, locale: locale.unwrap_or_default() };

    let mut tx = users.database.begin().await?;
    let account = new.insert(&mut tx).await?.ok_or_else(taken)?;
    let (session, refresh_token) = Session::open(&mut tx, account.id, device).await?;
    tx.record(&UserRegistered { user_id: account.id }).await?;
    tx.record(&UserEmailVerificationRequested { user_id: account.id }).await?;
    let answer = TokenAnswer::of(users, &mut tx, account, &session, refresh_token).await?;
    tx.commit().await?;
    Ok(answer)
}

fn taken() -> Problem {
    let detail = "There is an account with this e-mail address. Sign in, or register with another one.";
    Problem::new(Code::Conflict, "The e-mail address is taken.").at("/email", detail)
}
