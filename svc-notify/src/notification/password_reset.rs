//! `notify-password-reset`: someone forgot their password, so they get a link to set a new one.

use nats::{
    consume::{Failure, Received},
    contracts::user::{GetPasswordResetMail, UserPasswordResetRequested},
    database::Tx,
};

use super::account_mail;
use crate::{Notify, mail::Template};

/// Writes the mail.
pub(crate) async fn requested(
    tx: &mut Tx,
    notify: Notify,
    received: Received<UserPasswordResetRequested>,
) -> Result<(), Failure> {
    let user_id = received.event.user_id;
    let asked = notify.calls.call(&GetPasswordResetMail { user_id }).await;
    account_mail::write(tx, &notify, (received.id, user_id), Template::PasswordReset, asked).await
}
