//! Roles and permissions, and who has them.

use chrono::{DateTime, Utc};
use diesel::{ExpressionMethods, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;
use nats::{
    http::{Body, Created, Listed, NoContent},
    idempotency::IdempotencyKey,
    identity::{Permission, Role, RolesRead, RolesWrite},
    problem::Problem,
    types::{Cursor, Limit, Page, UserId},
};
use poem::web::Data;
use poem_openapi::{
    Object, OpenApi, Tags,
    param::{Header, Path, Query},
    payload::Response,
};
use serde::{Deserialize, Serialize};

use super::{
    RoleRow,
    assign::{self, RolesOfUser},
    create::{self, NewRole},
    delete,
    update::{self, RoleChanges},
};
use crate::{Users, schema::role, user::api::UserProfile};

#[derive(Tags)]
enum Tag {
    /// What people may do.
    Roles,
}

/// What kind of thing one may do.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct PermissionView {
    /// Its name, as operations ask for it.
    name: Permission,
    /// What it lets do.
    description: String,
}

/// Every permission there is.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct PermissionList {
    /// In the order of their names.
    data: Vec<PermissionView>,
}

/// A set of permissions that people have.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
#[oai(rename = "Role")]
pub struct RoleView {
    /// What it is called everywhere.
    name: Role,
    /// What it is for.
    description: String,
    /// What it lets do.
    permissions: Vec<Permission>,
    /// Whether the system itself brought it; it cannot be removed then.
    built_in: bool,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it was last changed.
    updated_at: DateTime<Utc>,
}

impl From<RoleRow> for RoleView {
    fn from(row: RoleRow) -> Self {
        let permissions = row.permissions().iter().collect();
        let RoleRow { name, description, built_in, created_at, updated_at, .. } = row;
        Self { name, description, permissions, built_in, created_at, updated_at }
    }
}

/// The endpoints of roles.
pub struct RoleApi;

#[OpenApi(prefix_path = "/v1", tag = "Tag::Roles")]
impl RoleApi {
    /// List the permissions
    ///
    /// Every one that roles can be made of, and what it lets do.
    #[oai(path = "/permissions", method = "get", operation_id = "list_permissions")]
    async fn list_permissions(&self, RolesRead(_caller): RolesRead) -> Result<Body<PermissionList>, Problem> {
        let view =
            |permission: &Permission| PermissionView { name: *permission, description: permission.what().to_owned() };
        Ok(Body(PermissionList { data: Permission::ALL.iter().map(view).collect() }))
    }

    /// List the roles
    ///
    /// In the order of their names.
    #[oai(path = "/roles", method = "get", operation_id = "list_roles")]
    async fn list_roles(
        &self,
        Data(users): Data<&Users>,
        RolesRead(_caller): RolesRead,
        limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Listed<RoleView>, Problem> {
        let mut query = role::table.select(RoleRow::as_select()).order(role::name).limit(limit.0.rows()).into_boxed();
        if let Some(cursor) = cursor.0 {
            query = query.filter(role::name.gt(cursor.after::<Role>()?));
        }
        let mut connection = users.database.connection().await?;
        let rows: Vec<RoleRow> = query.load(&mut connection).await?;
        Ok(Listed(Page::from_rows(rows, limit.0, |row| row.name.clone(), RoleView::from)?))
    }

    /// Make a role
    ///
    /// Of permissions that one holds oneself (else `forbidden`), under a name that is not taken (else `conflict`).
    #[oai(path = "/roles", method = "post", operation_id = "create_role")]
    async fn create_role(
        &self,
        Data(users): Data<&Users>,
        RolesWrite(caller): RolesWrite,
        /// A fresh key per role; a repeat with the same key makes none.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<IdempotencyKey>>,
        Body(new): Body<NewRole>,
    ) -> Result<Created<RoleView>, Problem> {
        create::create_role(users, &caller, key.0, new).await
    }

    /// Read a role
    #[oai(
        path = "/roles/:name",
        method = "get",
        operation_id = "get_role",
        response_header(name = "ETag", ty = "String", description = "The role's version, for `If-Match`.")
    )]
    async fn get_role(
        &self,
        Data(users): Data<&Users>,
        RolesRead(_caller): RolesRead,
        /// Which.
        name: Path<Role>,
    ) -> Result<Response<Body<RoleView>>, Problem> {
        let mut connection = users.database.connection().await?;
        let row = RoleRow::find(&mut connection, &name.0).await?.ok_or_else(|| Problem::not_found("role"))?;
        let etag = row.etag();
        Ok(Response::new(Body(row.into())).header("ETag", etag))
    }

    /// Change a role
    ///
    /// What is sent changes, everything else stays. Permissions that are added or taken away must be one's own (else
    /// `forbidden`). Whoever has the role is asked to refresh their access token, and gets one of the new permissions. `customer`
    /// and `admin` stay as they are (`conflict`).
    #[oai(
        path = "/roles/:name",
        method = "patch",
        operation_id = "update_role",
        response_header(name = "ETag", ty = "String", description = "The role's version afterwards.")
    )]
    async fn update_role(
        &self,
        Data(users): Data<&Users>,
        RolesWrite(caller): RolesWrite,
        /// Which.
        name: Path<Role>,
        /// Only when the role still has this `ETag`.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        Body(changes): Body<RoleChanges>,
    ) -> Result<Response<Body<RoleView>>, Problem> {
        let row = update::update_role(users, &caller, &name.0, if_match.0.as_deref(), changes).await?;
        let etag = row.etag();
        Ok(Response::new(Body(row.into())).header("ETag", etag))
    }

    /// Remove a role
    ///
    /// One that nobody has, and that is not built in; else it is a `conflict`.
    #[oai(path = "/roles/:name", method = "delete", operation_id = "delete_role")]
    async fn delete_role(
        &self,
        Data(users): Data<&Users>,
        RolesWrite(caller): RolesWrite,
        /// Which.
        name: Path<Role>,
        /// Only when the role still has this `ETag`.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Result<NoContent, Problem> {
        delete::delete_role(users, &caller, &name.0, if_match.0.as_deref()).await?;
        Ok(NoContent)
    }

    /// Set a person's roles
    ///
    /// All of them. What the roles let do that are given or taken away must be one's own (else `forbidden`), and somebody
    /// stays `admin` (else `conflict`). The person stays signed in; their access tokens have to be refreshed.
    #[oai(path = "/users/:id/roles", method = "put", operation_id = "set_user_roles")]
    async fn set_user_roles(
        &self,
        Data(users): Data<&Users>,
        RolesWrite(caller): RolesWrite,
        /// Whose.
        id: Path<UserId>,
        Body(wanted): Body<RolesOfUser>,
    ) -> Result<Body<UserProfile>, Problem> {
        Ok(Body(assign::set_roles(users, &caller, id.0, wanted).await?.into()))
    }
}
