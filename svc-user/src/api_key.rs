//! API keys: what a person's programs sign in with, in place of the person.
//!
//! A key is `argosy_key_` and 256 random bits, told once, of which only the SHA-256 is kept. It may do what its owner may,
//! within its scopes, until it expires or is revoked.
//!
//! Trap: an API key has no session. What only a person should do (a new password, another key) asks for one.

pub mod api;
pub(crate) mod create;
pub(crate) mod revoke;
pub mod scope;
pub(crate) mod verify;

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods, QueryDsl, Queryable, Selectable,
    dsl::{Eq, Filter, sql},
    sql_types,
};
use diesel_async::RunQueryDsl;
use nats::{
    database::DatabaseError,
    types::{ApiKeyId, UserId},
};

use crate::{Users, schema::api_key};

/// A row of `api_key`, without the hash: only verifying reads that.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = api_key)]
pub(crate) struct ApiKey {
    pub(crate) id: ApiKeyId,
    pub(crate) name: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) last_used_at: Option<DateTime<Utc>>,
    pub(crate) expires_at: DateTime<Utc>,
}

impl ApiKey {
    /// The keys of this person: the only way in from outside.
    pub(crate) fn owned_by(user: UserId) -> Filter<api_key::table, Eq<api_key::user_id, UserId>> {
        api_key::table.filter(api_key::user_id.eq(user))
    }
}

/// Deletes the keys that expired a month ago; until then their owners see why a program is refused.
///
/// # Errors
/// The database's.
pub(crate) async fn forget_api_keys(users: Users) -> Result<(), DatabaseError> {
    let mut connection = users.database.connection().await?;
    let a_month_ago = sql::<sql_types::Timestamptz>("now() - interval '30 days'");
    let forgotten =
        diesel::delete(api_key::table.filter(api_key::expires_at.lt(a_month_ago))).execute(&mut connection).await?;
    tracing::debug!(forgotten, "expired API keys are deleted");
    Ok(())
}
