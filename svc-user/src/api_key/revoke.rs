//! `DELETE /v1/api-keys/{id}`: a key is worthless from now on.

use diesel::{ExpressionMethods, QueryDsl};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::user::UserApiKeyRevoked,
    problem::Problem,
    types::{ApiKeyId, UserId},
};

use super::ApiKey;
use crate::{Users, schema::api_key};

/// Deletes the key, and tells whoever remembers it.
pub(crate) async fn revoke_api_key(users: &Users, user_id: UserId, api_key_id: ApiKeyId) -> Result<(), Problem> {
    let mut tx = users.database.begin().await?;
    let owned = ApiKey::owned_by(user_id).filter(api_key::id.eq(api_key_id));
    if diesel::delete(owned).execute(&mut tx).await? == 0 {
        return Err(Problem::not_found("API key"));
    }
    tx.record(&UserApiKeyRevoked { user_id, api_key_id }).await?;
    tx.commit().await?;
    Ok(())
}
