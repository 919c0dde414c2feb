//! `svc.user.grant_role`: the operator gives a registered person a role.
//!
//! The role stands in the next access token that the person gets; tokens that are out keep the old ones.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::user::{GrantRole, RoleGranted, Unknown},
    invoke::CallError,
    types::UserId,
};

use super::roles::Roles;
use crate::{
    Users,
    schema::{lower, user},
};

/// Adds the role; granting one that the person has changes nothing.
pub(crate) async fn grant_role(users: Users, question: GrantRole) -> Result<RoleGranted, CallError<Unknown>> {
    let mut tx = users.database.begin().await?;
    let held: Option<(UserId, Roles)> = user::table
        .filter(lower(user::email).eq(lower(question.email.as_str())))
        .select((user::id, user::roles))
        // Two grants at once must both be there afterwards.
        .for_update()
        .first(&mut *tx)
        .await
        .optional()?;
    let (user_id, roles) = held.ok_or(CallError::Refused(Unknown::Unknown))?;
    diesel::update(user::table.find(user_id))
        .set((user::roles.eq(roles.with(question.role)), user::updated_at.eq(diesel::dsl::now)))
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    tracing::info!(%user_id, role = question.role.as_str(), "role granted");
    Ok(RoleGranted { user_id })
}
