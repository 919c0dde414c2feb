//! `svc.user.verify_api_key`: whose a key is, and what it may do, for the gateway.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl,
    dsl::{now, sql},
    sql_types,
};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::user::{Unknown, VerifiedApiKey, VerifyApiKey},
    invoke::CallError,
    types::{ApiKeyId, UserId},
};

use crate::{Users, role::rights::Rights, schema::api_key};

type Found = (ApiKeyId, UserId, Vec<String>, DateTime<Utc>);

/// The key with this hash, when it has neither expired nor been revoked. That it was used is noted once a minute.
pub(crate) async fn verify_api_key(users: Users, question: VerifyApiKey) -> Result<VerifiedApiKey, CallError<Unknown>> {
    let unknown = || CallError::Refused(Unknown::Unknown);
    let hash = URL_SAFE_NO_PAD.decode(&question.hash).map_err(|_not_a_hash| unknown())?;
    let mut connection = users.database.connection().await?;
    let found: Option<Found> = api_key::table
        .filter(api_key::hash.eq(hash))
        .filter(api_key::expires_at.gt(now))
        .select((api_key::id, api_key::user_id, api_key::scopes, api_key::expires_at))
        .first(&mut connection)
        .await
        .optional()?;
    let (api_key_id, user_id, scopes, expires_at) = found.ok_or_else(unknown)?;
    let Rights { roles, permissions, revision } = Rights::of(&mut connection, user_id).await?.ok_or_else(unknown)?;

    let a_minute_ago = sql::<sql_types::Nullable<sql_types::Timestamptz>>("now() - interval '1 minute'");
    let noted_long_ago = api_key::last_used_at.is_null().or(api_key::last_used_at.lt(a_minute_ago));
    diesel::update(api_key::table.find(api_key_id).filter(noted_long_ago))
        .set(api_key::last_used_at.eq(now))
        .execute(&mut connection)
        .await?;
    let (roles, permissions) = (roles.to_vec(), permissions.names());
    Ok(VerifiedApiKey { api_key_id, user_id, scopes, roles, permissions, revision, expires_at })
}
