//! `DELETE /v1/companies/{id}/members/{user_id}`: a member goes, or is made to.

use diesel::QueryDsl;
use diesel_async::RunQueryDsl;
use nats::{
    problem::Problem,
    types::{CompanyId, CompanyRole, UserId},
};

use super::{Member, not_the_last_owner, role_of};
use crate::{Users, schema::company_member};

/// Removes the member. Everyone may leave; only the last owner stays.
pub(crate) async fn remove(
    users: &Users,
    (caller, company): (UserId, CompanyId),
    member: UserId,
) -> Result<(), Problem> {
    let mut tx = users.database.begin().await?;
    let caller = Member::locking(&mut tx, company, caller).await?;
    if member != caller.user {
        caller.at_least(CompanyRole::Admin)?;
    }
    let role = role_of(&mut tx, company, member).await?.ok_or_else(|| Problem::not_found("member"))?;
    caller.may_grant(role)?;
    if role == CompanyRole::Owner {
        not_the_last_owner(&mut tx, company, member).await?;
    }
    diesel::delete(company_member::table.find((company, member))).execute(&mut tx).await?;
    tx.commit().await?;
    tracing::info!(%company, %member, by = %caller.user, "a member is gone");
    Ok(())
}
