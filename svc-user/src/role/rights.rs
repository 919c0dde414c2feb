//! What somebody may do at a moment: their roles, what these let do, and as of which revision.

use diesel::{OptionalExtension, QueryableByName, sql_query, sql_types};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{database::DatabaseError, identity::Permissions, types::UserId};

use crate::user::roles::Roles;

/// See the head of this file.
#[derive(Debug, Clone)]
pub(crate) struct Rights {
    pub(crate) roles: Roles,
    pub(crate) permissions: Permissions,
    pub(crate) revision: i64,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = sql_types::Array<sql_types::Text>)]
    roles: Roles,
    #[diesel(sql_type = sql_types::BigInt)]
    revision: i64,
    #[diesel(sql_type = sql_types::Array<sql_types::Text>)]
    permissions: Vec<String>,
    #[diesel(sql_type = sql_types::Bool)]
    all: bool,
}

impl Rights {
    /// Those of this person; `None` when there is no such person.
    pub(crate) async fn of(connection: &mut AsyncPgConnection, user: UserId) -> Result<Option<Self>, DatabaseError> {
        // One statement sees one moment. With two, a token could have the roles of before a change and the revision of after
        // it, and would be believed until it expires.
        let row: Option<Row> = sql_query(
            "select roles, revision,
                    array(select distinct unnest(permissions) from role where name = any(roles)) as permissions,
                    exists(select from role where name = any(roles) and permissions is null) as all
             from \"user\" cross join role_revision where id = $1",
        )
        .bind::<sql_types::Uuid, _>(user)
        .get_result(connection)
        .await
        .optional()?;
        Ok(row.map(|Row { roles, revision, permissions, all }| {
            let permissions = if all { Permissions::all() } else { Permissions::named(permissions) };
            Self { roles, permissions, revision }
        }))
    }
}
