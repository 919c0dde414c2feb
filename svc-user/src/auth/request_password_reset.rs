//! `POST /v1/auth/password-reset`: whoever forgot their password gets a mail with a link to set a new one.
//!
//! The answer is the same for every address, and so is what is done for it, but for the event. Asked again during the pause
//! that each request begins, nothing more is sent: a mailbox is not to be flooded, and the link that is in it works.

use nats::{contracts::user::UserPasswordResetRequested, problem::Problem, types::Email};
use poem_openapi::Object;
use serde::Deserialize;

use super::attempts::{Attempts, Purpose};
use crate::{Users, user::Account};

/// Who forgot their password.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub(crate) struct PasswordResetRequest {
    /// What they registered with, in whatever case.
    email: Email,
}

/// Records that the mail is wanted. The token is made when it is written.
pub(crate) async fn request_password_reset(users: &Users, request: PasswordResetRequest) -> Result<(), Problem> {
    let attempts = Attempts::of(&request.email, Purpose::PasswordReset);
    let mut tx = users.database.begin().await?;
    let counted = attempts.count(&mut tx).await?;
    let account = Account::with_email(&mut tx, &request.email).await?;
    if let Some(account) = account.filter(|_| counted) {
        tx.record(&UserPasswordResetRequested { user_id: account.id }).await?;
    }
    tx.commit().await?;
    Ok(())
}
