//! One's own API keys.

use chrono::{DateTime, Utc};
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;
use nats::{
    http::{Body, Created, Listed, NoContent},
    identity::User,
    problem::Problem,
    types::{ApiKeyId, Cursor, Limit, Page},
};
use poem::web::Data;
use poem_openapi::{
    Object, OpenApi, Tags,
    param::{Path, Query},
    payload::Response,
};
use serde::{Deserialize, Serialize};

use super::{
    ApiKey,
    create::{self, NewApiKey},
    revoke,
};
use crate::{Users, schema::api_key};

#[derive(Tags)]
enum Tag {
    /// Accounts and tokens.
    Authentication,
}

/// An API key, without the key itself.
#[derive(Clone, Serialize, Deserialize, Object)]
#[oai(rename = "ApiKey")]
pub struct ApiKeyView {
    /// Names the key.
    id: ApiKeyId,
    /// What it is for, in its owner's words.
    name: String,
    /// What it may be used for, such as `catalog:write`.
    scopes: Vec<String>,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it was last used, to the minute.
    #[oai(nullable)]
    last_used_at: Option<DateTime<Utc>>,
    /// When it ends.
    expires_at: DateTime<Utc>,
}

impl From<ApiKey> for ApiKeyView {
    fn from(row: ApiKey) -> Self {
        let ApiKey { id, name, scopes, created_at, last_used_at, expires_at } = row;
        Self { id, name, scopes, created_at, last_used_at, expires_at }
    }
}

// Not `Debug`: it holds a key.
/// An API key that was made just now.
#[derive(Serialize, Object)]
pub struct CreatedApiKey {
    /// For `Authorization: Bearer …`. It is told here and never again.
    key: String,
    /// What is known of it from now on.
    #[serde(flatten)]
    #[oai(flatten)]
    about: ApiKeyView,
}

/// The endpoints of API keys.
pub struct ApiKeyApi;

#[OpenApi(prefix_path = "/v1/api-keys", tag = "Tag::Authentication")]
impl ApiKeyApi {
    /// List one's API keys
    ///
    /// The newest first. Those that have expired are shown for another month.
    #[oai(path = "/", method = "get", operation_id = "list_api_keys")]
    async fn list_api_keys(
        &self,
        Data(users): Data<&Users>,
        User(identity): User,
        limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Listed<ApiKeyView>, Problem> {
        let owned = ApiKey::owned_by(identity.user);
        let mut query = owned.select(ApiKey::as_select()).order(api_key::id.desc()).limit(limit.0.rows()).into_boxed();
        if let Some(cursor) = cursor.0 {
            query = query.filter(api_key::id.lt(cursor.after::<ApiKeyId>()?));
        }
        let mut connection = users.database.connection().await?;
        let rows: Vec<ApiKey> = query.load(&mut connection).await?;
        Ok(Listed(Page::from_rows(rows, limit.0, |row| row.id, ApiKeyView::from)?))
    }

    /// Make an API key
    ///
    /// For programs: it is sent like an access token and may do what its owner may, within its scopes. It is told in this
    /// answer only. Up to 50 for each person, one more is a `conflict`; a key cannot make keys. A person who is gone is
    /// `not_found`.
    #[oai(path = "/", method = "post", operation_id = "create_api_key")]
    async fn create_api_key(
        &self,
        Data(users): Data<&Users>,
        User(identity): User,
        Body(new): Body<NewApiKey>,
    ) -> Result<Response<Created<CreatedApiKey>>, Problem> {
        let (row, key) = create::create_api_key(users, &identity, new).await?;
        let location = format!("/v1/api-keys/{}", row.id);
        let created = CreatedApiKey { key: key.into_exposed(), about: row.into() };
        // As tokens do (RFC 6749, 5.1), it stays out of caches.
        Ok(Response::new(Created::new(location, created)).header("Cache-Control", "no-store"))
    }

    /// Read one of one's API keys
    ///
    /// What is known of it; the key itself is not.
    #[oai(path = "/:id", method = "get", operation_id = "get_api_key")]
    async fn get_api_key(
        &self,
        Data(users): Data<&Users>,
        User(identity): User,
        id: Path<ApiKeyId>,
    ) -> Result<Body<ApiKeyView>, Problem> {
        let mut connection = users.database.connection().await?;
        let owned = ApiKey::owned_by(identity.user).filter(api_key::id.eq(id.0));
        let found = owned.select(ApiKey::as_select()).first(&mut connection).await.optional()?;
        Ok(Body(found.ok_or_else(|| Problem::not_found("API key"))?.into()))
    }

    /// Revoke an API key
    ///
    /// It is worthless from now on, and not shown any more.
    #[oai(path = "/:id", method = "delete", operation_id = "revoke_api_key")]
    async fn revoke_api_key(
        &self,
        Data(users): Data<&Users>,
        User(identity): User,
        id: Path<ApiKeyId>,
    ) -> Result<NoContent, Problem> {
        revoke::revoke_api_key(users, identity.user, id.0).await?;
        Ok(NoContent)
    }
}
