//! Links to a document that work without signing in: for the mail that brings the invoice.
//!
//! Trap: the token is the key. It is 256 random bits, is never logged, and the database has only its SHA-256.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{Duration, Utc};
use diesel::{ExpressionMethods, QueryDsl, insert_into};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{database::DatabaseError, types::InvoiceId};
use sha2::{Digest as _, Sha256};

use crate::{
    Invoices,
    invoice::values::{DocumentFormat, DocumentState},
    rendering::Document,
    schema::document_link,
};

/// How long a link works.
const VALID_DAYS: i64 = 30;

/// A new link to the best document that there is: path and query at the gateway. None when the invoice has no documents
/// yet.
///
/// # Errors
/// The database's.
pub(crate) async fn make(
    connection: &mut AsyncPgConnection,
    invoice: InvoiceId,
) -> Result<Option<String>, DatabaseError> {
    let documents = Document::of_invoice(connection, invoice).await?;
    let Some(format) = best(documents.iter().map(|document| (document.state, document.format))) else {
        return Ok(None);
    };
    let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    insert_into(document_link::table)
        .values((
            document_link::token_sha256.eq(hash(&token)),
            document_link::invoice_id.eq(invoice),
            document_link::format.eq(format),
            document_link::expires_at.eq(Utc::now() + Duration::days(VALID_DAYS)),
        ))
        .execute(connection)
        .await?;
    Ok(Some(format!("/v1/invoices/{invoice}/documents/{format}?token={token}")))
}

/// What can be opened, before what may come to be, before what could not be made; of equals what people can read.
fn best(documents: impl Iterator<Item = (DocumentState, DocumentFormat)>) -> Option<DocumentFormat> {
    let rank = |state| match state {
        DocumentState::Rendered => 0,
        DocumentState::Queued => 1,
        DocumentState::Failed => 2,
    };
    let for_people = |format| match format {
        DocumentFormat::Pdf => 0,
        DocumentFormat::Facturx => 1,
        DocumentFormat::Xlsx => 2,
        DocumentFormat::Csv | DocumentFormat::Ubl | DocumentFormat::Cii => 3,
    };
    documents.min_by_key(|(state, format)| (rank(*state), for_people(*format))).map(|(_, format)| format)
}

/// Whether the token is that of a live link to this document.
///
/// # Errors
/// The database's.
pub(crate) async fn opens(
    connection: &mut AsyncPgConnection,
    token: Option<&str>,
    invoice: InvoiceId,
    format: DocumentFormat,
) -> diesel::QueryResult<bool> {
    let Some(token) = token else { return Ok(false) };
    let live: i64 = document_link::table
        .find(hash(token))
        .filter(document_link::invoice_id.eq(invoice))
        .filter(document_link::format.eq(format))
        .filter(document_link::expires_at.gt(Utc::now()))
        .filter(document_link::revoked_at.is_null())
        .count()
        .get_result(connection)
        .await?;
    Ok(live > 0)
}

/// Deletes the links that ended a while ago.
///
/// # Errors
/// The database's.
pub(crate) async fn forget_expired(invoices: Invoices) -> Result<(), DatabaseError> {
    let mut connection = invoices.database.connection().await?;
    let ended = document_link::table.filter(document_link::expires_at.lt(Utc::now() - Duration::days(1)));
    diesel::delete(ended).execute(&mut connection).await?;
    Ok(())
}

fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token).to_vec()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_what_can_be_opened() {
        use DocumentFormat::{Facturx, Pdf, Ubl, Xlsx};
        use DocumentState::{Failed, Queued, Rendered};
        for (documents, expected) in [
            (vec![], None),
            (vec![(Failed, Pdf), (Queued, Ubl), (Rendered, Xlsx)], Some(Xlsx)),
            (vec![(Rendered, Ubl), (Rendered, Xlsx), (Rendered, Pdf)], Some(Pdf)),
            (vec![(Rendered, Xlsx), (Rendered, Facturx), (Failed, Pdf)], Some(Facturx)),
            (vec![(Failed, Ubl), (Queued, Pdf)], Some(Pdf)),
            // As it is while WeasyPrint is not installed: the PDF comes once it is, the other one never.
            (vec![(Failed, Ubl), (Failed, Pdf)], Some(Pdf)),
        ] {
            assert_eq!(best(documents.iter().copied()), expected, "{documents:?}");
        }
    }
}
