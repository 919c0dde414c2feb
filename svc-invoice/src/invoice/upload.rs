//! `POST /v1/invoices`: an invoice is accepted; its number and documents follow.

use chrono::{Datelike as _, Utc};
use diesel::{
    insert_into,
    result::{DatabaseErrorKind, Error},
};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::invoice::{InvoiceUploaded, UPLOADS},
    http::Accepted,
    idempotency::{Claim, IdempotencyKey, claim},
    identity::Identity,
    problem::{Code, Problem},
    types::{InvoiceId, UserId},
};
use sha2::{Digest as _, Sha256};

use super::{
    NewInvoice,
    content::{InvoiceParty, InvoiceUpload},
    raw::Raw,
    rules,
    summary::{InvoiceSummary, SummaryRow},
    values::InvoiceState,
};
use crate::{Invoices, schema::invoice};

/// Checks the invoice, keeps what was sent byte for byte, and queues it.
pub(crate) async fn upload(
    invoices: &Invoices,
    identity: &Identity,
    key: Option<IdempotencyKey>,
    raw: Raw<InvoiceUpload>,
) -> Result<Accepted<InvoiceSummary>, Problem> {
    let draft = draft(identity.user, raw.value)?;
    let (id, number) = (draft.id, draft.number.clone());
    let mut tx = invoices.database.begin().await?;
    let fingerprint = Sha256::digest(&raw.bytes).to_vec();
    let slot = match claim(&mut tx, &identity.user, "upload_invoice", key, &fingerprint).await? {
        Claim::New(slot) => slot,
        Claim::Replay { location, body } => return Ok(Accepted { location, body, replayed: true }),
    };
    insert_into(invoice::table)
        .values(draft)
        .execute(&mut tx)
        .await
        .map_err(|error| taken(error, number.as_deref()))?;
    // Before the commit: an accepted invoice without what it was made from must not be. A stray copy harms nobody.
    invoices.objects.put(UPLOADS, &id.to_string(), raw.bytes.into()).await.map_err(|error| {
        Problem::new(Code::Unavailable, "What you sent cannot be kept at the moment. Nothing was done.").because(error)
    })?;
    tx.record(&InvoiceUploaded { invoice_id: id }).await?;
    let (location, body) = (format!("/v1/invoices/{id}"), InvoiceSummary::from(SummaryRow::find(&mut tx, id).await?));
    slot.store(&mut tx, 202, &location, &body).await?;
    tx.commit().await?;
    Ok(Accepted { location, body, replayed: false })
}

fn draft(user_id: UserId, upload: InvoiceUpload) -> Result<NewInvoice, Problem> {
    let issue_date = upload.issue_date.unwrap_or_else(|| Utc::now().date_naive());
    let totals = rules::check(&upload, issue_date)?;
    Ok(NewInvoice {
        id: InvoiceId::new(),
        user_id,
        order_id: None,
        seller_key: seller_key(user_id, &upload.seller),
        series: upload.series.clone(),
        year: issue_date.year(),
        number: upload.number.as_ref().map(ToString::to_string),
        kind: upload.kind,
        state: InvoiceState::Draft,
        issue_date,
        data: upload.into(),
        totals,
    })
}

/// In whose books the number counts: one seller of one account. The VAT identifier tells sellers apart; a name may be
/// written in many ways.
fn seller_key(user_id: UserId, seller: &InvoiceParty) -> String {
    let name = || seller.name.to_lowercase();
    let tax_number = || seller.tax_number.as_ref().map(ToString::to_string);
    let seller = seller.vat_id.as_ref().map(ToString::to_string).or_else(tax_number).unwrap_or_else(name);
    format!("{user_id}/{seller}")
}

fn taken(error: Error, number: Option<&str>) -> Problem {
    match (&error, number) {
        (Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _), Some(number)) => {
            let detail =
                format!("This seller has an invoice {number} already; leave `number` out to get the next one.");
            Problem::new(Code::Conflict, detail).at("/number", "this number is taken")
        }
        _ => error.into(),
    }
}
