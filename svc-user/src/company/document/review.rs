//! What staff makes of a document: it counts, or why it does not.

use diesel::{ExpressionMethods, QueryDsl, dsl::now, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    database::sql,
    problem::Problem,
    types::{CompanyDocumentId, CompanyId, UserId},
};

use super::{CompanyDocument, decided, find, lock};
use crate::{
    Users,
    company::values::{DocumentState, Reason},
    schema::company_document,
};

/// Accepts a document that was submitted, for as long as its type says, or rejects it with a reason.
pub(crate) async fn review(
    users: &Users,
    staff: UserId,
    (company, id): (CompanyId, CompanyDocumentId),
    refusal: Option<Reason>,
) -> Result<CompanyDocument, Problem> {
    let mut tx = users.database.begin().await?;
    let row = lock(&mut tx, company, id).await?;
    if row.state != DocumentState::Submitted {
        return Err(decided(row.state));
    }
    let state = if refusal.is_some() { DocumentState::Rejected } else { DocumentState::Accepted };
    diesel::update(company_document::table.find(id))
        .set((
            company_document::state.eq(state),
            company_document::reason.eq(refusal),
            company_document::reviewed_at.eq(now),
            company_document::reviewed_by.eq(staff),
        ))
        .execute(&mut tx)
        .await?;
    if state == DocumentState::Accepted {
        sql("update company_document set expires_at = now() + validity_days * interval '1 day'
             from document_type where company_document.id = $1 and document_type.id = document_type_id")
        .bind::<sql_types::Uuid, _>(id)
        .execute(&mut tx)
        .await?;
    }
    let reviewed = find(&mut tx, company, id).await?.into();
    tx.commit().await?;
    tracing::info!(%company, document = %id, %state, by = %staff, "a document was looked at");
    Ok(reviewed)
}
