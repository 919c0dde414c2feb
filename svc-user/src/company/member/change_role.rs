//! `PATCH /v1/companies/{id}/members/{user_id}`: a member may do more, or less.

use diesel::{ExpressionMethods, QueryDsl};
use diesel_async::RunQueryDsl;
use nats::{
    problem::Problem,
    types::{CompanyId, CompanyRole, UserId},
};
use poem_openapi::Object;
use serde::Deserialize;

use super::{
    Member,
    api::{CompanyMember, find},
    not_the_last_owner, role_of,
};
use crate::{Users, schema::company_member};

/// What a member is to be.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub(crate) struct MemberChanges {
    /// What they may do from now on.
    role: CompanyRole,
}

/// Changes the role.
pub(crate) async fn change_role(
    users: &Users,
    (caller, company): (UserId, CompanyId),
    member: UserId,
    MemberChanges { role }: MemberChanges,
) -> Result<CompanyMember, Problem> {
    let mut tx = users.database.begin().await?;
    let caller = Member::locking(&mut tx, company, caller).await?.at_least(CompanyRole::Admin)?;
    let before = role_of(&mut tx, company, member).await?.ok_or_else(|| Problem::not_found("member"))?;
    caller.may_grant(before)?;
    caller.may_grant(role)?;
    if before == CompanyRole::Owner && role < before {
        not_the_last_owner(&mut tx, company, member).await?;
    }
    diesel::update(company_member::table.find((company, member)))
        .set(company_member::role.eq(role))
        .execute(&mut tx)
        .await?;
    let changed = find(&mut tx, company, member).await?;
    tx.commit().await?;
    tracing::info!(%company, %member, %role, by = %caller.user, "a member has another role");
    Ok(changed)
}
