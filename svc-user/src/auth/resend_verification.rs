//! `POST /v1/auth/verify-email/resend`: another mail with a link to verify the address.

use nats::{
    contracts::user::UserEmailVerificationRequested,
    problem::{Code, Problem},
    types::UserId,
};

use super::attempts::{Attempts, Purpose};
use crate::{Users, user::Account};

/// Records that the mail is wanted, after a pause that grows with each one. The token is made when it is written.
pub(crate) async fn resend_verification(users: &Users, user_id: UserId) -> Result<(), Problem> {
    let mut tx = users.database.begin().await?;
    let account = Account::find(&mut tx, user_id).await?.ok_or_else(|| Problem::not_found("user"))?;
    if account.email_verified_at.is_some() {
        return Err(Problem::new(Code::Conflict, "Your e-mail address is verified already."));
    }
    Attempts::of(&account.email, Purpose::EmailVerification).failed(&mut tx).await?;
    tx.record(&UserEmailVerificationRequested { user_id }).await?;
    tx.commit().await?;
    Ok(())
}
