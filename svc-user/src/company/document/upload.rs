//! `POST /v1/companies/{id}/documents`: a company shows something.

use diesel::{ExpressionMethods, QueryDsl, SelectableHelper, insert_into};
use diesel_async::RunQueryDsl;
use nats::{
    database::Tx,
    http::Created,
    idempotency::{Claim, IdempotencyKey, claim},
    problem::{Code, Problem},
    types::{CompanyDocumentId, CompanyId, CompanyRole, DocumentTypeId, Text, UserId},
};
use sha2::{Digest, Sha256};

use super::{CompanyDocument, DocumentRow, file::File};
use crate::{
    Users,
    company::{document_type::TypeRow, member::Member},
    schema::{company_document, company_document_content},
};

/// How many documents a company may have.
const MOST: i64 = 100;

/// A document that is to be kept.
pub(crate) struct NewDocument {
    pub(crate) document_type: DocumentTypeId,
    pub(crate) filename: Text<1, 200>,
    pub(crate) file: File,
}

/// The document and its content commit together.
pub(crate) async fn upload(
    users: &Users,
    (caller, company): (UserId, CompanyId),
    key: Option<IdempotencyKey>,
    new: NewDocument,
) -> Result<Created<CompanyDocument>, Problem> {
    let NewDocument { document_type, filename, file: File { media_type, content } } = new;
    let sha256: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut tx = users.database.begin().await?;
    let fingerprint = (company, document_type, &filename, media_type, &sha256);
    let slot = match claim(&mut tx, &caller, "upload_company_document", key, &fingerprint).await? {
        Claim::New(slot) => slot,
        Claim::Replay { location, body } => return Ok(Created { location, body, replayed: true }),
    };
    let caller = Member::locking(&mut tx, company, caller).await?.at_least(CompanyRole::Admin)?;
    let asked_for = TypeRow::find(&mut tx, document_type).await?.filter(|kind| kind.retired_at.is_none());
    let kind = asked_for.ok_or_else(|| {
        let detail = "There is no such document type, or it is not asked for any more.";
        Problem::new(Code::MalformedRequest, detail).at("?document_type_id", "take one of /v1/document-types")
    })?;
    not_too_many(&mut tx, company).await?;
    let id = CompanyDocumentId::new();
    let row: DocumentRow = insert_into(company_document::table)
        .values((
            company_document::id.eq(id),
            company_document::company_id.eq(company),
            company_document::document_type_id.eq(document_type),
            company_document::filename.eq(&filename),
            company_document::media_type.eq(media_type),
            company_document::size.eq(i64::try_from(content.len()).unwrap_or(i64::MAX)),
            company_document::sha256.eq(&sha256),
            company_document::uploaded_by.eq(caller.user),
        ))
        .returning(DocumentRow::as_returning())
        .get_result(&mut tx)
        .await?;
    insert_into(company_document_content::table)
        .values((company_document_content::document_id.eq(id), company_document_content::content.eq(content)))
        .execute(&mut tx)
        .await?;
    let location = format!("/v1/companies/{company}/documents/{id}");
    let body = CompanyDocument::from((row, kind.name));
    slot.store(&mut tx, 201, &location, &body).await?;
    tx.commit().await?;
    Ok(Created::new(location, body))
}

async fn not_too_many(tx: &mut Tx, company: CompanyId) -> Result<(), Problem> {
    let theirs = company_document::table.filter(company_document::company_id.eq(company));
    if theirs.count().get_result::<i64>(tx).await? >= MOST {
        let detail = format!("The company has {MOST} documents already; delete one that was not accepted first.");
        return Err(Problem::new(Code::Conflict, detail));
    }
    Ok(())
}
