//! `notify-email-verification`: an address is to be verified, so a link goes there.

use nats::{
    consume::{Failure, Received},
    contracts::user::{GetEmailVerificationMail, UserEmailVerificationRequested},
    database::Tx,
};

use super::account_mail;
use crate::{Notify, mail::Template};

/// Writes the mail.
pub(crate) async fn requested(
    tx: &mut Tx,
    notify: Notify,
    received: Received<UserEmailVerificationRequested>,
) -> Result<(), Failure> {
    let user_id = received.event.user_id;
    let asked = notify.calls.call(&GetEmailVerificationMail { user_id }).await;
    account_mail::write(tx, &notify, (received.id, user_id), Template::EmailVerification, asked).await
}
