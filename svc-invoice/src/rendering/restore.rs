//! Documents that the object store has lost: made again when somebody asks for them.
//!
//! JetStream may lose what it stores (a wiped or damaged disk, a store set back to a backup); PostgreSQL knows what was
//! rendered, and has all that it was rendered from. Nobody is told again: it is the same document.

use diesel::{ExpressionMethods, QueryDsl};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::invoice::DOCUMENTS,
    problem::{Code, Problem},
};

use super::{Document, make::make};
use crate::{Invoices, invoice::Invoice, schema::document};

/// The document, which is where it says, unless it was never rendered.
///
/// # Errors
/// `unavailable` when the object store is away, or the document is lost and cannot be made now.
pub(crate) async fn restored(
    invoices: &Invoices,
    invoice: &Invoice,
    mut document: Document,
) -> Result<Document, Problem> {
    let Some(object) = &document.object else { return Ok(document) };
    let away = |error: &dyn std::fmt::Display| {
        tracing::error!(invoice = %invoice.id, %error, "a document cannot be had");
        Problem::new(Code::Unavailable, "The document cannot be had at the moment; try again in a moment.")
    };
    if invoices.objects.has(DOCUMENTS, object).await.map_err(|error| away(&error))? {
        return Ok(document);
    }
    tracing::warn!(invoice = %invoice.id, "the object store has lost a document; it is made again");
    let stored = make(invoices, invoice, document.format, object).await.map_err(|unmade| away(&unmade))?;
    // Another version of the renderer makes other bytes of the same page.
    let size = i64::try_from(stored.size).unwrap_or(i64::MAX);
    if document.sha256.as_ref() != Some(&stored.sha256) {
        diesel::update(document::table.find((invoice.id, document.format)))
            .set((document::size.eq(size), document::sha256.eq(&stored.sha256)))
            .execute(&mut invoices.database.connection().await?)
            .await?;
    }
    (document.size, document.sha256) = (Some(size), Some(stored.sha256));
    Ok(document)
}
