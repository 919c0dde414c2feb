//! `PATCH /v1/roles/{name}`: what a role lets do.

use diesel::{ExpressionMethods, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::user::RoleChanged,
    identity::{Identity, Permission, Permissions, Role},
    problem::{Code, Problem},
    types::Text,
};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::{RoleRow, may_change, revise};
use crate::{Users, schema::role};

/// What to change of a role; what is left out stays.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub(crate) struct RoleChanges {
    /// What it is for.
    description: Option<Text<1, 200>>,
    /// What it lets do; takes the place of all that was there.
    #[oai(validator(unique_items = true))]
    permissions: Option<Vec<Permission>>,
}

/// Changes the role, if it is still what `if_match` says. Whoever has it gets tokens of that from now on.
pub(crate) async fn update_role(
    users: &Users,
    caller: &Identity,
    name: &Role,
    if_match: Option<&str>,
    changes: RoleChanges,
) -> Result<RoleRow, Problem> {
    let mut tx = users.database.begin().await?;
    let revision = revise(&mut tx).await?;
    let before = RoleRow::find(&mut tx, name).await?.ok_or_else(|| Problem::not_found("role"))?;
    before.unchanged_since(if_match)?;
    // What everyone has who registers is nothing that one person decides, and nobody is to lock all others out.
    if [Role::CUSTOMER, Role::ADMIN].contains(name) {
        return Err(Problem::new(Code::Conflict, format!("The role `{name}` is built in and stays as it is.")));
    }
    let held = before.permissions();
    let wanted = changes.permissions.map_or_else(|| held.clone(), Permissions::from_iter);
    let about = held.without(&wanted).with(&wanted.without(&held));
    may_change(&mut tx, caller, &about).await?;
    let description = changes.description.map_or(before.description, Text::into_string);
    let row: RoleRow = diesel::update(role::table.find(name))
        .set((
            role::description.eq(description),
            role::permissions.eq(Some(wanted.names())),
            role::version.eq(role::version + 1),
            role::updated_at.eq(diesel::dsl::now),
        ))
        .returning(RoleRow::as_returning())
        .get_result(&mut tx)
        .await?;
    if !about.is_empty() {
        tx.record(&RoleChanged { role: name.clone(), revision }).await?;
    }
    tx.commit().await?;
    tracing::info!(by = %caller.user, role = %name, changed = about.names().join(" "), "role changed");
    Ok(row)
}
