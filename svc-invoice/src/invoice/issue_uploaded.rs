//! `invoice.uploaded` → the invoice is issued.

use nats::{
    consume::{Failure, Received},
    contracts::invoice::InvoiceUploaded,
    database::Tx,
};

use super::{Invoice, issue::issue, values::InvoiceState};
use crate::Invoices;

/// Issues what was uploaded; what is issued already stays as it is.
pub(crate) async fn issue_uploaded(
    tx: &mut Tx,
    invoices: Invoices,
    received: Received<InvoiceUploaded>,
) -> Result<(), Failure> {
    let id = received.event.invoice_id;
    let draft = Invoice::lock(tx, id).await?.ok_or_else(|| Failure::Dead(format!("there is no invoice {id}")))?;
    if draft.state != InvoiceState::Draft {
        return Ok(());
    }
    issue(tx, &invoices, &draft, None).await
}
