//! `POST /v1/roles`: one more role, up to [`MOST`].

use diesel::{ExpressionMethods, QueryDsl, SelectableHelper, insert_into};
use diesel_async::RunQueryDsl;
use nats::{
    http::Created,
    idempotency::{Claim, IdempotencyKey, claim},
    identity::{Identity, Permission, Permissions, Role},
    problem::{Code, Problem},
    types::Text,
};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::{MOST, RoleRow, api::RoleView, may_change, revise};
use crate::{Users, schema::role};

/// A role that is to be made.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub(crate) struct NewRole {
    /// What it is called everywhere; it stays so.
    name: Role,
    /// What it is for.
    description: Text<1, 200>,
    /// What it lets do: of what its maker may do.
    #[oai(validator(unique_items = true))]
    permissions: Vec<Permission>,
}

/// Makes a role of what `caller` may do.
pub(crate) async fn create_role(
    users: &Users,
    caller: &Identity,
    key: Option<IdempotencyKey>,
    new: NewRole,
) -> Result<Created<RoleView>, Problem> {
    let mut tx = users.database.begin().await?;
    let slot = match claim(&mut tx, &caller.user, "create_role", key, &new).await? {
        Claim::New(slot) => slot,
        Claim::Replay { location, body } => return Ok(Created { location, body, replayed: true }),
    };
    revise(&mut tx).await?;
    let permissions: Permissions = new.permissions.iter().copied().collect();
    may_change(&mut tx, caller, &permissions).await?;
    if RoleRow::find(&mut tx, &new.name).await?.is_some() {
        let taken = Problem::new(Code::Conflict, "There is a role of this name already.");
        return Err(taken.at("/name", format!("`{}` is taken", new.name)));
    }
    let there: i64 = role::table.count().get_result(&mut tx).await?;
    if there >= MOST {
        return Err(Problem::new(Code::Conflict, format!("There are {MOST} roles already; remove one first.")));
    }
    let row: RoleRow = insert_into(role::table)
        .values((
            role::name.eq(&new.name),
            role::description.eq(new.description.as_str()),
            role::permissions.eq(Some(permissions.names())),
        ))
        .returning(RoleRow::as_returning())
        .get_result(&mut tx)
        .await?;
    let (location, view) = (format!("/v1/roles/{}", new.name), RoleView::from(row));
    slot.store(&mut tx, 201, &location, &view).await?;
    tx.commit().await?;
    tracing::info!(by = %caller.user, role = %new.name, permissions = permissions.names().join(" "), "role made");
    Ok(Created::new(location, view))
}
