//! `DELETE /v1/companies/{id}/invitations/{invitation_id}`: the company takes it back, and its link is worthless.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper, dsl::now};
use diesel_async::RunQueryDsl;
use nats::{
    problem::Problem,
    types::{CompanyId, CompanyRole, InvitationId, UserId},
};

use super::{Invitation, no_such_invitation, over};
use crate::{Users, company::member::Member, schema::company_invitation};

/// Revokes it; once more changes nothing. One that was accepted is a member by now.
pub(crate) async fn revoke(
    users: &Users,
    (caller, company): (UserId, CompanyId),
    id: InvitationId,
) -> Result<(), Problem> {
    let mut tx = users.database.begin().await?;
    let caller = Member::locking(&mut tx, company, caller).await?.at_least(CompanyRole::Admin)?;
    let theirs = company_invitation::table.find(id).filter(company_invitation::company_id.eq(company));
    let before: Option<Invitation> = theirs.select(Invitation::as_select()).first(&mut tx).await.optional()?;
    let before = before.ok_or_else(no_such_invitation)?;
    caller.may_grant(before.role)?;
    if before.accepted_at.is_some() {
        return Err(over());
    }
    diesel::update(company_invitation::table.find(id).filter(company_invitation::revoked_at.is_null()))
        .set(company_invitation::revoked_at.eq(now))
        .execute(&mut tx)
        .await?;
    tx.commit().await?;
    Ok(())
}
