//! `notify-invoice`: an invoice can be downloaded, so its buyer gets the link.

use nats::{
    consume::{Failure, Received},
    contracts::invoice::{GetInvoiceMail, InvoiceRendered},
    database::Tx,
    invoke::CallError,
    types::format_locale,
};
use serde::Serialize;

use super::{Addressee, Occasion, queue};
use crate::{
    Notify,
    mail::{Template, text},
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

/// Writes the mail.
pub(crate) async fn rendered(tx: &mut Tx, notify: Notify, received: Received<InvoiceRendered>) -> Result<(), Failure> {
    let invoice = match notify.calls.call(&GetInvoiceMail { invoice_id: received.event.invoice_id }).await {
        Ok(invoice) => invoice,
        Err(CallError::Refused(_)) => {
            tracing::info!(invoice = %received.event.invoice_id, "its buyer has no mail address; nobody is written to");
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let mail = InvoiceMailData {
        name: text::name(&invoice.name),
        number: invoice.number,
        order_number: invoice.order_number,
        total: format_locale(&invoice.total, invoice.locale.as_str()),
        document_url: notify.templates.public_url().at(&invoice.link),
    };
    let to = Addressee { user_id: Some(received.event.user_id), email: &invoice.email, locale: &invoice.locale };
    let occasion = Occasion { event_id: received.id, order_id: received.event.order_id };
    queue(tx, &notify, occasion, Template::Invoice, to, &mail).await
}
