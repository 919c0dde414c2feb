//! `notify-invoice`: an invoice can be downloaded, so its buyer gets the link, and is told.

use nats::{
    consume::{Failure, Received},
    contracts::{
        invoice::{GetInvoiceMail, InvoiceMail, InvoiceRendered},
        notify::{MessageAbout, MessageKind},
        user::{GetUserDetails, Unknown},
    },
    database::Tx,
    invoke::CallError,
    types::{Email, UserId, format_locale},
};
use serde::Serialize;

use super::{Addressee, Occasion, queue};
use crate::{
    Notify,
    mail::{Template, text},
    realtime,
};

/// What the mail is made of.
#[derive(Debug, Serialize)]
pub(crate) struct InvoiceMailData {
    /// What to call the buyer, if that can be said.
    pub(crate) name: Option<String>,
    pub(crate) number: String,
    pub(crate) order_number: Option<String>,
    pub(crate) total: String,
    pub(crate) document_url: String,
}

/// Writes the mail, when the buyer has an address, and the message.
pub(crate) async fn rendered(tx: &mut Tx, notify: Notify, received: Received<InvoiceRendered>) -> Result<(), Failure> {
    let InvoiceRendered { invoice_id, order_id, user_id } = received.event;
    match notify.calls.call(&GetInvoiceMail { invoice_id }).await {
        Ok(invoice) => {
            let occasion = Occasion { event_id: received.id, order_id };
            write(tx, &notify, occasion, user_id, invoice).await?;
        }
        Err(CallError::Refused(Unknown::Unknown)) => {
            tracing::info!(invoice = %invoice_id, "its buyer has no mail address; nobody is written to");
        }
        Err(error) => return Err(error.into()),
    }
    // Without the token of the mail's link: whoever is told is signed in.
    let link = Some(format!("/v1/invoices/{invoice_id}/documents/pdf"));
    let about = MessageAbout { invoice_id: Some(invoice_id), order_id, link, ..MessageAbout::default() };
    Ok(realtime::post(tx, (received.id, user_id), MessageKind::InvoiceRendered, about).await?)
}

async fn write(
    tx: &mut Tx,
    notify: &Notify,
    occasion: Occasion,
    user_id: UserId,
    invoice: InvoiceMail,
) -> Result<(), Failure> {
    let mail = InvoiceMailData {
        name: text::name(&invoice.name),
        number: invoice.number,
        order_number: invoice.order_number,
        total: format_locale(&invoice.total, invoice.locale.as_str()),
        document_url: notify.templates.public_url().at(&invoice.link),
    };
    let wanted = wanted(notify, user_id, &invoice.email).await?;
    let to = Addressee { user_id: Some(user_id), email: &invoice.email, locale: &invoice.locale, wanted };
    queue(tx, notify, occasion, Template::Invoice, to, &mail).await
}

/// Whether the mail is wanted. What people prefer is about their own mailbox: an invoice that goes to another one goes there.
async fn wanted(notify: &Notify, user_id: UserId, email: &Email) -> Result<bool, Failure> {
    match notify.calls.call(&GetUserDetails { user_id }).await {
        Ok(user) => Ok(user.preferences.emails.invoices || user.email != *email),
        Err(CallError::Refused(Unknown::Unknown)) => Ok(true),
        Err(error) => Err(error.into()),
    }
}
