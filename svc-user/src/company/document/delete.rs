//! `DELETE /v1/companies/{id}/documents/{document_id}`: what does not count can be taken back.

use diesel::QueryDsl;
use diesel_async::RunQueryDsl;
use nats::{
    contracts::user::company::COMPANY_DOCUMENTS,
    problem::Problem,
    types::{CompanyDocumentId, CompanyId, CompanyRole, UserId},
};

use super::{decided, lock};
use crate::{
    Users,
    company::{member::Member, values::DocumentState},
    schema::company_document,
};

/// Deletes it and its content. What was accepted stays: it is why the company may order.
pub(crate) async fn delete(
    users: &Users,
    (caller, company): (UserId, CompanyId),
    id: CompanyDocumentId,
) -> Result<(), Problem> {
    let mut tx = users.database.begin().await?;
    Member::locking(&mut tx, company, caller).await?.at_least(CompanyRole::Admin)?;
    let row = lock(&mut tx, company, id).await?;
    if row.state == DocumentState::Accepted {
        return Err(decided(row.state));
    }
    diesel::delete(company_document::table.find(id)).execute(&mut tx).await?;
    tx.commit().await?;
    users.objects.delete(COMPANY_DOCUMENTS, &id.to_string()).await;
    Ok(())
}
