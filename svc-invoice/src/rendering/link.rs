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
    invoice::{Invoice, values::DocumentFormat},
    schema::document_link,
};

/// How long a link works.
const VALID_DAYS: i64 = 30;

/// A new link to the invoice's document: path and query at the gateway.
///
/// # Errors
/// The database's.
pub(crate) async fn make(connection: &mut AsyncPgConnection, invoice: &Invoice) -> Result<String, DatabaseError> {
    let format = if let [first, ..] = invoice.data.formats.as_slice() { *first } else { DocumentFormat::Pdf };
    let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    insert_into(document_link::table)
        .values((
            document_link::token_sha256.eq(hash(&token)),
            document_link::invoice_id.eq(invoice.id),
            document_link::format.eq(format),
            document_link::expires_at.eq(Utc::now() + Duration::days(VALID_DAYS)),
        ))
        .execute(connection)
        .await?;
    Ok(format!("/v1/invoices/{}/documents/{format}?token={token}", invoice.id))
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
