//! `DELETE /v1/roles/{name}`: a role that nobody has.

use diesel::QueryDsl;
use diesel_async::RunQueryDsl;
use nats::{
    identity::{Identity, Role},
    problem::{Code, Problem},
};

use super::{RoleRow, may_change, revise};
use crate::{Users, schema::role};

/// Removes the role, if it is still what `if_match` says.
pub(crate) async fn delete_role(
    users: &Users,
    caller: &Identity,
    name: &Role,
    if_match: Option<&str>,
) -> Result<(), Problem> {
    let mut tx = users.database.begin().await?;
    // Nobody is given the role from here on.
    revise(&mut tx).await?;
    let row = RoleRow::find(&mut tx, name).await?.ok_or_else(|| Problem::not_found("role"))?;
    row.unchanged_since(if_match)?;
    if row.built_in {
        return Err(Problem::new(Code::Conflict, format!("The role `{name}` is built in and stays.")));
    }
    may_change(&mut tx, caller, &row.permissions()).await?;
    if RoleRow::is_held(&mut tx, name, None).await? {
        let detail = format!("There are people with the role `{name}`; GET /v1/users?role={name} tells who.");
        return Err(Problem::new(Code::Conflict, detail));
    }
    diesel::delete(role::table.find(name)).execute(&mut tx).await?;
    tx.commit().await?;
    tracing::info!(by = %caller.user, role = %name, "role removed");
    Ok(())
}
