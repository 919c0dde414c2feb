//! Documents: what companies show, and what staff makes of it.
//!
//! A document and its content are rows of PostgreSQL; the object store has a copy while one is being downloaded, put there
//! when it is asked for. So nothing is lost with the object store, and what is deleted is gone from it after a week at the
//! latest.

pub mod api;
pub(crate) mod delete;
pub(crate) mod download;
pub(crate) mod file;
pub(crate) mod review;
pub(crate) mod upload;

use chrono::{DateTime, Utc};
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper, pg::Pg};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    problem::{Code, Problem},
    types::{CompanyDocumentId, CompanyId, DocumentTypeId, Text, UserId},
};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::values::{DocumentState, Reason};
use crate::schema::{company_document, document_type};

/// A row of `company_document`, without the content.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = company_document, check_for_backend(Pg))]
pub(crate) struct DocumentRow {
    pub(crate) id: CompanyDocumentId,
    pub(crate) document_type_id: DocumentTypeId,
    pub(crate) filename: Text<1, 200>,
    pub(crate) media_type: String,
    pub(crate) size: i64,
    pub(crate) sha256: String,
    pub(crate) state: DocumentState,
    pub(crate) reason: Option<Reason>,
    pub(crate) uploaded_by: UserId,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) reviewed_at: Option<DateTime<Utc>>,
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

/// A document that a company shows.
#[derive(Clone, Serialize, Deserialize, Object)]
pub struct CompanyDocument {
    /// Names the document.
    id: CompanyDocumentId,
    /// What kind of document it is.
    document_type_id: DocumentTypeId,
    /// What that is called.
    document_type: Text<1, 100>,
    /// What its owner calls it.
    filename: Text<1, 200>,
    /// What it is made of: `application/pdf`, `image/png` or `image/jpeg`.
    media_type: String,
    /// Its length in bytes.
    size: i64,
    /// The SHA-256 of its content, in hexadecimal.
    sha256: String,
    /// Whether it counts.
    state: DocumentState,
    /// Why it was rejected; null unless it was.
    #[oai(nullable)]
    reason: Option<Reason>,
    /// Who uploaded it.
    uploaded_by: UserId,
    /// When they did.
    created_at: DateTime<Utc>,
    /// When staff looked at it; null until then.
    #[oai(nullable)]
    reviewed_at: Option<DateTime<Utc>>,
    /// From when on it does not count any more; null when it always does, or never did.
    #[oai(nullable)]
    expires_at: Option<DateTime<Utc>>,
}

/// A document's row, and what its type is called.
pub(crate) type Named = (DocumentRow, Text<1, 100>);

impl From<Named> for CompanyDocument {
    fn from((row, document_type): Named) -> Self {
        Self {
            id: row.id,
            document_type_id: row.document_type_id,
            document_type,
            filename: row.filename,
            media_type: row.media_type,
            size: row.size,
            sha256: row.sha256,
            state: row.state,
            reason: row.reason,
            uploaded_by: row.uploaded_by,
            created_at: row.created_at,
            reviewed_at: row.reviewed_at,
            expires_at: row.expires_at,
        }
    }
}

/// A document of a company, by the ids of both.
///
/// # Errors
/// `not_found`.
pub(crate) async fn find(
    connection: &mut AsyncPgConnection,
    company: CompanyId,
    id: CompanyDocumentId,
) -> Result<Named, Problem> {
    let found = company_document::table
        .inner_join(document_type::table)
        .filter(company_document::id.eq(id))
        .filter(company_document::company_id.eq(company))
        .select((DocumentRow::as_select(), document_type::name))
        .first(connection)
        .await
        .optional()?;
    found.ok_or_else(|| Problem::not_found("document"))
}

/// As [`find`], and nobody else changes it until the transaction ends.
pub(crate) async fn lock(
    connection: &mut AsyncPgConnection,
    company: CompanyId,
    id: CompanyDocumentId,
) -> Result<DocumentRow, Problem> {
    let found = company_document::table
        .find(id)
        .filter(company_document::company_id.eq(company))
        .select(DocumentRow::as_select())
        .for_no_key_update()
        .first(connection)
        .await
        .optional()?;
    found.ok_or_else(|| Problem::not_found("document"))
}

/// What was decided stays.
fn decided(state: DocumentState) -> Problem {
    Problem::new(Code::Conflict, format!("The document is {state}; this is not possible any more."))
}
