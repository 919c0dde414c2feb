//! `DELETE /v1/api-keys/{id}`: a key is worthless from now on. All of a person's are when the password is reset.

use diesel::{ExpressionMethods, QueryDsl};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::user::UserApiKeyRevoked,
    database::{DatabaseError, Tx},
    outbox::Traced,
    problem::Problem,
    telemetry::Trace,
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

/// Deletes all of a person's keys, and tells whoever remembers them: someone else may have made them. Lock the person's row
/// before.
pub(crate) async fn revoke_all(tx: &mut Tx, user_id: UserId) -> Result<(), DatabaseError> {
    let mine = api_key::table.filter(api_key::user_id.eq(user_id));
    let revoked: Vec<ApiKeyId> = diesel::delete(mine).returning(api_key::id).get_results(tx).await?;
    let trace = Trace::current();
    let told = |api_key_id| Traced { event: UserApiKeyRevoked { user_id, api_key_id }, trace: trace.clone() };
    tx.record_all(&revoked.into_iter().map(told).collect::<Vec<_>>()).await
}
