//! `svc.user.grant_role`: the operator gives a registered person a role.
//!
//! The operator is asked nothing: somebody has to be the first `admin`.

use nats::{
    contracts::user::{CannotGrant, GrantRole, RoleGranted},
    invoke::CallError,
};

use super::Account;
use crate::{
    Users,
    role::{MOST_OF_ONE, RoleRow, assign, revise},
};

/// Adds the role; granting one that the person has changes nothing.
pub(crate) async fn grant_role(users: Users, question: GrantRole) -> Result<RoleGranted, CallError<CannotGrant>> {
    let refused = CallError::Refused;
    let mut tx = users.database.begin().await?;
    let revision = revise(&mut tx).await?;
    let account = Account::with_email(&mut tx, &question.email).await?;
    let user_id = account.ok_or(refused(CannotGrant::UnknownUser))?.id;
    let role = RoleRow::find(&mut tx, &question.role).await?.ok_or(refused(CannotGrant::UnknownRole))?.name;
    Account::lock(&mut tx, user_id).await?;
    let account = Account::find(&mut tx, user_id).await?.ok_or(refused(CannotGrant::UnknownUser))?;
    if account.roles.contains(&role) {
        return Ok(RoleGranted { user_id });
    }
    let roles = account.roles.with(role);
    if roles.len() > MOST_OF_ONE {
        return Err(refused(CannotGrant::TooManyRoles));
    }
    assign::store(&mut tx, user_id, &roles, revision).await?;
    tx.commit().await?;
    tracing::info!(%user_id, role = %question.role, "role granted");
    Ok(RoleGranted { user_id })
}
