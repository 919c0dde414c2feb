//! Roles: sets of permissions with a name, which people have.
//!
//! `customer`, `staff` and `admin` are built in; others are made by whoever holds `roles:write`. Who changes anything here
//! may give and take only what they hold themselves, as the database says at that moment: what a token says may be older.
//!
//! A change takes effect with the next token. It is told by an event with the number of its revision, so that whoever believes
//! tokens refuses those from before it: their holders refresh them. No session ends.
//!
//! Trap: whoever changes a role, or who has it, begins with `revise`, so that what was looked at stays so.

pub mod api;
pub(crate) mod assign;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod rights;
pub(crate) mod update;

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper,
    dsl::{exists, sql},
    pg::Pg,
    select, sql_types,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    database::{DatabaseError, Tx},
    identity::{Identity, Permission, Permissions, Role},
    problem::{Code, Problem},
    types::UserId,
};

use crate::schema::{role, role_revision, user};
use rights::Rights;

/// How many roles there can be.
pub(crate) const MOST: i64 = 100;
/// How many roles one person can have.
pub(crate) const MOST_OF_ONE: usize = 16;

/// A row of `role`.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = role)]
pub(crate) struct RoleRow {
    pub(crate) name: Role,
    pub(crate) description: String,
    /// `None`: all there are.
    pub(crate) permissions: Option<Vec<String>>,
    pub(crate) built_in: bool,
    pub(crate) version: i64,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

impl RoleRow {
    pub(crate) async fn find(connection: &mut AsyncPgConnection, name: &Role) -> Result<Option<Self>, DatabaseError> {
        Ok(role::table.find(name).select(Self::as_select()).first(connection).await.optional()?)
    }

    /// Those of these names that there are.
    pub(crate) async fn named(connection: &mut AsyncPgConnection, names: &[Role]) -> Result<Vec<Self>, DatabaseError> {
        Ok(role::table.filter(role::name.eq_any(names)).select(Self::as_select()).load(connection).await?)
    }

    /// What it lets do.
    pub(crate) fn permissions(&self) -> Permissions {
        self.permissions.as_ref().map_or_else(Permissions::all, Permissions::named)
    }

    /// Whether anybody has it, or anybody but `except`.
    pub(crate) async fn is_held(
        connection: &mut AsyncPgConnection,
        name: &Role,
        except: Option<UserId>,
    ) -> Result<bool, DatabaseError> {
        let mut held = holders(name);
        if let Some(except) = except {
            held = held.filter(user::id.ne(except));
        }
        Ok(select(exists(held)).get_result(connection).await?)
    }

    /// Its entity tag.
    pub(crate) fn etag(&self) -> String {
        format!("\"{}\"", self.version)
    }

    /// Whether an `If-Match` header (RFC 9110) lets a change through.
    ///
    /// # Errors
    /// `precondition_failed` when somebody else changed the role since it was read.
    pub(crate) fn unchanged_since(&self, if_match: Option<&str>) -> Result<(), Problem> {
        let etag = self.etag();
        if if_match.is_none_or(|tags| tags.split(',').map(str::trim).any(|tag| tag == "*" || tag == etag)) {
            return Ok(());
        }
        Err(Problem::new(Code::PreconditionFailed, "The role was changed since you read it; read it again."))
    }
}

/// The people who have this role. Those who only buy are not in the index, and are not looked for in it.
pub(crate) fn holders(name: &Role) -> user::BoxedQuery<'static, Pg> {
    let indexed = if *name == Role::CUSTOMER { "]" } else { "] and roles <> '{customer}'" };
    let holds = sql::<sql_types::Bool>("roles @> array[").bind::<sql_types::Text, _>(name.clone()).sql(indexed);
    user::table.filter(holds).into_boxed()
}

/// Begins a change of what anybody may do: the next revision. Until the transaction ends, there is no other such change.
pub(crate) async fn revise(tx: &mut Tx) -> Result<i64, DatabaseError> {
    let next = diesel::update(role_revision::table).set(role_revision::revision.eq(role_revision::revision + 1));
    Ok(next.returning(role_revision::revision).get_result(tx).await?)
}

/// Whether `caller` may change roles and holds all that such a change is about, at this moment.
///
/// # Errors
/// `forbidden`, with what is missing.
pub(crate) async fn may_change(tx: &mut Tx, caller: &Identity, about: &Permissions) -> Result<(), Problem> {
    if caller.session.is_none() {
        let detail = "An API key does not change who may do what. Sign in to do this.";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    // Their token may be from before their own roles were changed, and nobody is to give themselves back what was taken.
    let held = Rights::of(tx, caller.user).await?.map(|rights| rights.permissions).unwrap_or_default();
    if !held.contains(Permission::RolesWrite) {
        return Err(Problem::new(Code::Forbidden, "This needs the permission `roles:write`, which you have no more."));
    }
    let missing = about.without(&held);
    if missing.is_empty() {
        return Ok(());
    }
    let detail = format!("Nobody gives or takes what they do not hold themselves: `{}`.", missing.names().join("`, `"));
    Err(Problem::new(Code::Forbidden, detail))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    fn row(permissions: Option<&[&str]>) -> RoleRow {
        RoleRow {
            name: "returns".parse().unwrap(),
            description: "Takes goods back.".to_owned(),
            permissions: permissions.map(|names| names.iter().map(|name| (*name).to_owned()).collect()),
            built_in: false,
            version: 3,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_role_without_a_list_lets_do_everything() {
        assert_eq!(row(None).permissions(), Permissions::all());
        assert_eq!(row(Some(&[])).permissions(), Permissions::default());
        let later = row(Some(&["orders:read", "moons:write"]));
        assert_eq!(later.permissions().names(), ["orders:read"], "what is not known here is nothing");
    }

    #[test]
    fn a_change_is_for_the_version_that_was_read() {
        for (if_match, passes) in [
            (None, true),
            (Some("*"), true),
            (Some("\"3\""), true),
            (Some("\"2\", \"3\""), true),
            (Some("\"2\""), false),
            (Some("W/\"3\""), false),
            (Some(""), false),
        ] {
            assert_eq!(row(None).unchanged_since(if_match).is_ok(), passes, "{if_match:?}");
        }
    }
}
