//! Issuing: a draft gets its number, its documents are queued, and it is told.

use chrono::{NaiveDate, Utc};
use diesel::{ExpressionMethods, QueryDsl, insert_into};
use diesel_async::RunQueryDsl;
use nats::{consume::Failure, contracts::invoice::InvoiceIssued, database::Tx, telemetry::Trace};

use super::{Invoice, series, values::InvoiceState};
use crate::{
    Invoices,
    schema::{document, invoice},
};

/// Issues a draft within `tx`; it is paid already when `paid_on` says so.
///
/// # Errors
/// The database's; then nothing is issued, and no number is used up.
pub(crate) async fn issue(
    tx: &mut Tx,
    invoices: &Invoices,
    draft: &Invoice,
    paid_on: Option<NaiveDate>,
) -> Result<(), Failure> {
    let (number, sequence) = match &draft.number {
        Some(own) => (own.clone(), None),
        None => series::next(tx, draft).await.map(|(number, sequence)| (number, Some(sequence)))?,
    };
    let state = if paid_on.is_some() { InvoiceState::Paid } else { InvoiceState::Issued };
    diesel::update(invoice::table.find(draft.id))
        .set((
            invoice::state.eq(state),
            invoice::number.eq(&number),
            invoice::sequence.eq(sequence),
            invoice::paid_on.eq(paid_on),
            invoice::issued_at.eq(Utc::now()),
        ))
        .execute(tx)
        .await?;
    let trace = Trace::current();
    let queued: Vec<_> = draft
        .data
        .formats
        .iter()
        .map(|format| {
            (
                document::invoice_id.eq(draft.id),
                document::format.eq(*format),
                document::traceparent.eq(trace.traceparent()),
                document::request_id.eq(trace.request_id()),
            )
        })
        .collect();
    insert_into(document::table).values(queued).execute(tx).await?;
    tx.wake(&invoices.press.queue);
    tx.record(&InvoiceIssued {
        invoice_id: draft.id,
        number,
        order_id: draft.order_id,
        user_id: draft.user_id,
        total: draft.totals.tax_inclusive,
    })
    .await?;
    Ok(())
}
