//! `PUT /v1/users/{id}/roles`: which roles a person has.

use diesel::{ExpressionMethods, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::user::UserRolesChanged,
    database::{DatabaseError, Tx},
    identity::{Identity, Permissions, Role},
    problem::{Code, Problem},
    types::UserId,
};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::{MOST_OF_ONE, RoleRow, may_change, revise};
use crate::{
    Users,
    schema::user,
    user::{Account, roles::Roles},
};

/// The roles that a person is to have.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub(crate) struct RolesOfUser {
    /// All of them; those that are not here are taken away.
    #[oai(validator(min_items = 1, max_items = 16, unique_items = true))]
    roles: Vec<Role>,
}

/// Gives and takes roles, so that the person has these.
pub(crate) async fn set_roles(
    users: &Users,
    caller: &Identity,
    id: UserId,
    wanted: RolesOfUser,
) -> Result<Account, Problem> {
    let wanted = Roles::of(wanted.roles);
    if wanted.is_empty() || wanted.len() > MOST_OF_ONE {
        return Err(Problem::invalid("/roles", format!("A person has 1 to {MOST_OF_ONE} roles.")));
    }
    let mut tx = users.database.begin().await?;
    let revision = revise(&mut tx).await?;
    // Before anything is told of the person.
    may_change(&mut tx, caller, &Permissions::default()).await?;
    Account::lock(&mut tx, id).await?.ok_or_else(|| Problem::not_found("user"))?;
    let before = Account::find(&mut tx, id).await?.ok_or_else(|| Problem::not_found("user"))?;
    let changed = before.roles.other_than(&wanted);
    if changed.is_empty() {
        return Ok(before);
    }
    let rows = RoleRow::named(&mut tx, &changed).await?;
    let unknown = |role: &&Role| wanted.contains(role) && !rows.iter().any(|row| row.name == **role);
    if let Some(role) = changed.iter().find(unknown) {
        return Err(Problem::invalid("/roles", format!("There is no role `{role}`.")));
    }
    let about = rows.iter().fold(Permissions::default(), |all, row| all.with(&row.permissions()));
    may_change(&mut tx, caller, &about).await?;
    let an_admin_no_more = changed.contains(&Role::ADMIN) && !wanted.contains(&Role::ADMIN);
    if an_admin_no_more && !RoleRow::is_held(&mut tx, &Role::ADMIN, Some(id)).await? {
        return Err(Problem::new(Code::Conflict, "This is the last person with the role `admin`; give it to another."));
    }
    let account = store(&mut tx, id, &wanted, revision).await?;
    tx.commit().await?;
    tracing::info!(by = %caller.user, user_id = %id, roles = wanted.names().join(" "), "roles set");
    Ok(account)
}

/// Writes the roles down, and tells whoever believes tokens of before.
pub(crate) async fn store(tx: &mut Tx, id: UserId, roles: &Roles, revision: i64) -> Result<Account, DatabaseError> {
    let account = diesel::update(user::table.find(id))
        .set((user::roles.eq(roles), user::updated_at.eq(diesel::dsl::now)))
        .returning(Account::as_returning())
        .get_result(tx)
        .await?;
    tx.record(&UserRolesChanged { user_id: id, revision }).await?;
    Ok(account)
}
