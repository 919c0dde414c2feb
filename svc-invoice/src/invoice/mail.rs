//! `svc.invoice.get_invoice_mail`: what a mail about an invoice says, with a link to its document.

use nats::{
    contracts::{
        invoice::{GetInvoiceMail, InvoiceMail},
        user::{GetUserDetails, Unknown},
    },
    invoke::CallError,
    types::{Email, Locale},
};

use super::Invoice;
use crate::{Invoices, rendering::link};

/// Makes a link that works for thirty days without signing in. Each call makes another one; older ones stay valid.
pub(crate) async fn get_invoice_mail(
    invoices: Invoices,
    question: GetInvoiceMail,
) -> Result<InvoiceMail, CallError<Unknown>> {
    let unknown = || CallError::Refused(Unknown::Unknown);
    let mut connection = invoices.database.connection().await?;
    let found = Invoice::find(&mut connection, question.invoice_id).await?.filter(Invoice::is_issued);
    let invoice = found.ok_or_else(unknown)?;
    // Not while others are asked: they may take their time.
    drop(connection);
    let (email, name, locale) = recipient(&invoices, &invoice).await?;
    let mut connection = invoices.database.connection().await?;
    let link = link::make(&mut connection, invoice.id).await?.ok_or_else(unknown)?;
    Ok(InvoiceMail {
        email,
        name,
        locale,
        number: invoice.number.ok_or_else(unknown)?,
        order_number: invoice.data.order_reference.filter(|_| invoice.order_id.is_some()).map(String::from),
        total: invoice.totals.tax_inclusive,
        link,
    })
}

/// An order's invoice goes to its buyer, an uploaded one back to who uploaded it.
async fn recipient(invoices: &Invoices, invoice: &Invoice) -> Result<(Email, String, Locale), CallError<Unknown>> {
    let buyer = &invoice.data.buyer;
    if let (Some(_), Some(email)) = (invoice.order_id, &buyer.email) {
        let name = buyer.contact.as_ref().unwrap_or(&buyer.name);
        return Ok((email.clone(), name.to_string(), invoice.data.locale.clone()));
    }
    let user = invoices.calls.call(&GetUserDetails { user_id: invoice.user_id }).await?;
    Ok((user.email, user.name, user.locale))
}
