//! `PUT /v1/users/me/password`: a new password, for whoever knows the current one.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;
use nats::{
    identity::Identity,
    problem::{Code, Problem},
    types::Secret,
};
use poem_openapi::Object;
use serde::Deserialize;

use super::Account;
use crate::{
    Users,
    auth::{
        attempts::{Attempts, Purpose},
        mail_token, password,
    },
    schema::user,
    session::{EndReason, Session},
};

// Not `Debug`: it holds passwords.
/// The password, and what it is to be.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub(crate) struct PasswordChange {
    /// The one that was good so far.
    // By a function, so that a missing one is said to be missing: the derived way hides that along with the value.
    #[serde(deserialize_with = "Secret::deserialize")]
    current_password: Secret<String>,
    /// 8 to 200 characters, taken as they are.
    #[serde(deserialize_with = "password::acceptable")]
    #[oai(validator(min_length = 8, max_length = 200))]
    new_password: Secret<String>,
}

/// Sets the password and ends the person's other sessions; links to set a new one are worthless from now on.
pub(crate) async fn change_password(users: &Users, caller: &Identity, change: PasswordChange) -> Result<(), Problem> {
    let session = caller.session.ok_or_else(|| {
        Problem::new(Code::Conflict, "This credential belongs to no session. Sign in to change the password.")
    })?;
    let known: Option<(Account, Option<String>)> = user::table
        .find(caller.user)
        .select((Account::as_select(), user::password_hash))
        .first(&mut users.database.connection().await?)
        .await
        .optional()?;
    let (account, hash) = known.ok_or_else(|| Problem::not_found("user"))?;
    let hash = hash.ok_or_else(|| {
        let detail = "You have no password yet. Ask for the link that is sent to those who forgot theirs, and set one.";
        Problem::new(Code::Conflict, detail)
    })?;
    // Whoever has found a device unlocked must not guess faster here than at sign-in.
    let attempts = Attempts::of(&account.email, Purpose::PasswordChange);
    attempts.check(&mut *users.database.connection().await?).await?;
    if !users.passwords.verify(change.current_password, Some(hash.clone())).await? {
        attempts.failed(&mut *users.database.connection().await?).await?;
        return Err(Problem::invalid("/current_password", "This is not your password."));
    }
    let password_hash = users.passwords.hash(change.new_password).await?;

    let mut tx = users.database.begin().await?;
    let unchanged = user::table.find(account.id).filter(user::password_hash.eq(hash));
    let changed = diesel::update(unchanged)
        .set((user::password_hash.eq(password_hash), user::updated_at.eq(diesel::dsl::now)))
        .execute(&mut tx)
        .await?;
    if changed == 0 {
        return Err(Problem::new(Code::Conflict, "The password was changed at the same moment. Sign in again."));
    }
    attempts.succeeded(&mut tx).await?;
    mail_token::revoke(&mut tx, account.id, mail_token::Purpose::PasswordReset).await?;
    Session::end_all(&mut tx, account.id, Some(session), EndReason::PasswordChange).await?;
    tx.commit().await?;
    tracing::info!(user_id = %account.id, "password changed; other sessions are ended");
    Ok(())
}
