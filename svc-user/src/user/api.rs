//! Profiles: one's own, and everybody's for whoever may read those.

use chrono::{DateTime, Utc};
use diesel::{
    AsChangeset, BoolExpressionMethods, ExpressionMethods, OptionalExtension, PgTextExpressionMethods, QueryDsl,
    SelectableHelper,
};
use diesel_async::RunQueryDsl;
use nats::{
    http::{Body, Listed, NoContent},
    identity::{Role, User, UsersRead},
    problem::Problem,
    types::{Cursor, Email, Limit, Locale, Name, Page, Text, UserId},
};
use poem::web::Data;
use poem_openapi::{
    Object, OpenApi, Tags,
    param::{Path, Query},
};
use serde::{Deserialize, Serialize};

use super::{
    Account,
    change_password::{self, PasswordChange},
};
use crate::{Users, role::holders, schema::user};

#[derive(Tags)]
enum Tag {
    /// Who people are.
    Users,
}

/// A person with an account.
#[derive(Clone, Serialize, Deserialize, Object)]
pub struct UserProfile {
    /// Names the person everywhere.
    pub(crate) id: UserId,
    /// Where mail goes, and what one signs in with.
    email: Email,
    /// Whether a link that was sent there came back.
    email_verified: bool,
    /// What to call them.
    name: Name,
    /// The language they read.
    locale: Locale,
    /// Their roles, which let them do what they may.
    roles: Vec<Role>,
    /// When they registered.
    created_at: DateTime<Utc>,
}

impl From<Account> for UserProfile {
    fn from(account: Account) -> Self {
        let Account { id, email, name, email_verified_at, locale, roles, created_at } = account;
        let email_verified = email_verified_at.is_some();
        Self { id, email, email_verified, name, locale, roles: roles.to_vec(), created_at }
    }
}

/// What to change of one's profile; what is left out stays.
#[derive(Deserialize, Object, AsChangeset)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
#[diesel(table_name = user)]
pub struct ProfileChanges {
    /// What to call them.
    name: Option<Name>,
    /// The language they read.
    locale: Option<Locale>,
}

/// The endpoints of profiles.
pub struct UserApi;

#[OpenApi(prefix_path = "/v1/users", tag = "Tag::Users")]
impl UserApi {
    /// Read one's own profile
    ///
    /// The roles are those of the next access token; the one at hand may have been issued before a change. A
    /// person who is gone is `not_found`.
    #[oai(path = "/me", method = "get", operation_id = "get_me")]
    async fn get_me(&self, Data(users): Data<&Users>, User(identity): User) -> Result<Body<UserProfile>, Problem> {
        let mut connection = users.database.connection().await?;
        let account = Account::find(&mut connection, identity.user).await?.ok_or_else(|| Problem::not_found("user"))?;
        Ok(Body(account.into()))
    }

    /// Change one's own profile
    ///
    /// Name and language; fields that are left out stay as they are. A person who is gone is `not_found`.
    #[oai(path = "/me", method = "patch", operation_id = "update_me")]
    async fn update_me(
        &self,
        Data(users): Data<&Users>,
        User(identity): User,
        Body(changes): Body<ProfileChanges>,
    ) -> Result<Body<UserProfile>, Problem> {
        let mut connection = users.database.connection().await?;
        let changed: Option<Account> = diesel::update(user::table.find(identity.user))
            .set((changes, user::updated_at.eq(diesel::dsl::now)))
            .returning(Account::as_returning())
            .get_result(&mut connection)
            .await
            .optional()?;
        let account = changed.ok_or_else(|| Problem::not_found("user"))?;
        Ok(Body(account.into()))
    }

    /// Change one's own password
    ///
    /// Needs the current one, and ends every other session. A current password that is wrong makes wait, as at sign-in.
    /// A change that comes second to another is a `conflict`, and a person who is gone is `not_found`.
    #[oai(path = "/me/password", method = "put", operation_id = "change_password")]
    async fn change_password(
        &self,
        Data(users): Data<&Users>,
        User(identity): User,
        Body(change): Body<PasswordChange>,
    ) -> Result<NoContent, Problem> {
        change_password::change_password(users, &identity, change).await?;
        Ok(NoContent)
    }

    /// List the people with an account
    ///
    /// Newest first.
    #[oai(path = "/", method = "get", operation_id = "list_users")]
    async fn list_users(
        &self,
        Data(users): Data<&Users>,
        UsersRead(_caller): UsersRead,
        /// Only people whose e-mail address or name contains this, in whatever case.
        search: Query<Option<Text<3, 100>>>,
        /// Only people with this role.
        role: Query<Option<Role>>,
        limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Listed<UserProfile>, Problem> {
        let mut query = role.0.as_ref().map_or_else(|| user::table.into_boxed(), holders);
        if let Some(text) = search.0 {
            let pattern = containing(&text);
            query = query.filter(user::email.ilike(pattern.clone()).or(user::name.ilike(pattern)));
        }
        if let Some(cursor) = cursor.0 {
            query = query.filter(user::id.lt(cursor.after::<UserId>()?));
        }
        let query = query.order(user::id.desc()).limit(limit.0.rows()).select(Account::as_select());
        let mut connection = users.database.connection().await?;
        let rows: Vec<Account> = query.load(&mut connection).await?;
        Ok(Listed(Page::from_rows(rows, limit.0, |account| account.id, UserProfile::from)?))
    }

    /// Read a person's profile
    #[oai(path = "/:id", method = "get", operation_id = "get_user")]
    async fn get_user(
        &self,
        Data(users): Data<&Users>,
        UsersRead(_caller): UsersRead,
        /// Who.
        id: Path<UserId>,
    ) -> Result<Body<UserProfile>, Problem> {
        let mut connection = users.database.connection().await?;
        let account = Account::find(&mut connection, id.0).await?.ok_or_else(|| Problem::not_found("user"))?;
        Ok(Body(account.into()))
    }
}

/// The `LIKE` pattern of texts that contain this one, sign by sign.
fn containing(text: &str) -> String {
    let literal = text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
    format!("%{literal}%")
}

#[cfg(test)]
mod tests {
    use super::containing;

    #[test]
    fn wildcards_are_letters_like_others() {
        assert_eq!(containing("ada"), "%ada%");
        assert_eq!(containing(r"100%_\"), r"%100\%\_\\%");
    }
}
