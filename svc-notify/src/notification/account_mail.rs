//! What mails with a link for one's account share. svc-user makes the link when it is asked for it, so whatever is asked last
//! has the one that works.

use nats::{
    consume::Failure,
    contracts::user::{AccountMail, Unknown},
    database::Tx,
    invoke::CallError,
    types::{EventId, UserId},
};
use serde::Serialize;

use super::{Addressee, Occasion, queue};
use crate::{
    Notify,
    mail::{Template, text},
};

// Not `Debug`: the link works for whoever has it.
/// What the mail is made of.
#[derive(Serialize)]
pub(crate) struct AccountMailData {
    /// What to call the person, if that can be said.
    pub(crate) name: Option<String>,
    pub(crate) link_url: String,
}

/// The templates whose mails let whoever reads them into an account or a company: they are not kept once they are sent, or
/// given up.
pub(super) const TEMPLATES: [&str; 3] = ["password_reset", "email_verification", "company_invitation"];

/// Writes the mail, unless svc-user says that there is nothing to write.
pub(super) async fn write(
    tx: &mut Tx,
    notify: &Notify,
    (event_id, user_id): (EventId, UserId),
    template: Template,
    asked: Result<AccountMail, CallError<Unknown>>,
) -> Result<(), Failure> {
    let AccountMail { email, name, locale, link } = match asked {
        Ok(mail) => mail,
        Err(CallError::Refused(_)) => {
            tracing::info!(user = %user_id, template = template.name(), "the account is gone, or needs no such mail");
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let mail = AccountMailData { name: text::name(&name), link_url: notify.templates.public_url().at(&link) };
    let to = Addressee { user_id: Some(user_id), email: &email, locale: &locale, wanted: true };
    queue(tx, notify, Occasion { event_id, order_id: None }, template, to, &mail).await
}
