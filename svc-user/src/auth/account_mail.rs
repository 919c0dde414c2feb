//! `svc.user.get_password_reset_mail`, `svc.user.get_email_verification_mail`: what a mail with a link says, for whoever
//! sends it.
//!
//! Only here is a token made, and only the mail has it: events are kept for days, by many, and hold none.

use nats::{
    contracts::user::{AccountMail, GetEmailVerificationMail, GetPasswordResetMail, Unknown},
    invoke::CallError,
    types::UserId,
};

use super::mail_token::{self, Purpose};
use crate::{Users, user::Account};

/// The mail with the link to set a new password.
pub(crate) async fn get_password_reset_mail(
    users: Users,
    question: GetPasswordResetMail,
) -> Result<AccountMail, CallError<Unknown>> {
    write(&users, question.user_id, Purpose::PasswordReset).await
}

/// The mail with the link to verify the address.
pub(crate) async fn get_email_verification_mail(
    users: Users,
    question: GetEmailVerificationMail,
) -> Result<AccountMail, CallError<Unknown>> {
    write(&users, question.user_id, Purpose::EmailVerification).await
}

async fn write(users: &Users, user_id: UserId, purpose: Purpose) -> Result<AccountMail, CallError<Unknown>> {
    let nobody = || CallError::Refused(Unknown::Unknown);
    let mut tx = users.database.begin().await?;
    let account = Account::find(&mut tx, user_id).await?.ok_or_else(nobody)?;
    let page = match purpose {
        Purpose::PasswordReset => "/password-reset",
        Purpose::EmailVerification if account.email_verified_at.is_some() => return Err(nobody()),
        Purpose::EmailVerification => "/verify-email",
    };
    let token = mail_token::issue(&mut tx, user_id, purpose).await?;
    tx.commit().await?;
    let Account { email, name, locale, .. } = account;
    Ok(AccountMail { email, name: name.into_string(), locale, link: format!("{page}#token={}", token.expose()) })
}
