//! `POST /v1/api-keys`: one more key, up to [`MOST`].

use std::collections::BTreeSet;

use chrono::{DateTime, Duration, Utc};
use diesel::{ExpressionMethods, QueryDsl, SelectableHelper, insert_into};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::user::API_KEY_PREFIX,
    identity::Identity,
    problem::{Code, Problem},
    types::{ApiKeyId, Secret, Text},
};
use poem_openapi::Object;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{ApiKey, scope::Scope};
use crate::{Users, schema::api_key, session::Session, token::Token, user::Account};

/// How many keys a person may have, those that have expired included.
pub(crate) const MOST: i64 = 50;
/// How many scopes a key may have.
const MOST_SCOPES: usize = 32;
/// How long a key lasts at most.
const LONGEST: Duration = Duration::days(366);

/// A key that is to be made.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub(crate) struct NewApiKey {
    /// What it is for, in its owner's words.
    name: Text<1, 100>,
    /// What it may be used for, within what its owner may do.
    #[oai(validator(min_items = 1, max_items = 32, unique_items = true))]
    scopes: Vec<Scope>,
    /// When it ends, within 366 days.
    expires_at: DateTime<Utc>,
}

/// Makes a key. It is told here and never again.
///
/// There is no `Idempotency-Key` here: its stored answer would be a key in plain text. One that was made and not seen can be
/// found by its name, and revoked.
pub(crate) async fn create_api_key(
    users: &Users,
    caller: &Identity,
    new: NewApiKey,
) -> Result<(ApiKey, Secret<String>), Problem> {
    let session =
        caller.session.ok_or_else(|| Problem::new(Code::Conflict, "A key cannot make keys. Sign in to make one."))?;
    let scopes: BTreeSet<Scope> = new.scopes.iter().cloned().collect();
    if !(1..=MOST_SCOPES).contains(&new.scopes.len()) || scopes.len() != new.scopes.len() {
        return Err(Problem::invalid("/scopes", format!("A key has 1 to {MOST_SCOPES} scopes, each once.")));
    }
    let now = Utc::now();
    if new.expires_at <= now || new.expires_at > now + LONGEST {
        let detail = format!("A key ends in the future, within {} days.", LONGEST.num_days());
        return Err(Problem::invalid("/expires_at", detail));
    }
    let key = format!("{API_KEY_PREFIX}{}", Token::random().text().expose());

    let mut tx = users.database.begin().await?;
    // The owner's row is locked, else two requests at once would both see room for one more.
    Account::lock(&mut tx, caller.user).await?.ok_or_else(|| Problem::not_found("user"))?;
    // An access token may be believed for a moment longer than its session lasts; a key that it makes would last for a year.
    if Session::owned_by(&mut tx, caller.user, session).await?.is_none() {
        return Err(Problem::new(Code::Unauthenticated, "Your session has ended. Sign in to make a key."));
    }
    let kept: i64 = ApiKey::owned_by(caller.user).count().get_result(&mut tx).await?;
    if kept >= MOST {
        return Err(Problem::new(Code::Conflict, format!("You have {MOST} API keys already; revoke one first.")));
    }
    let created: ApiKey = insert_into(api_key::table)
        .values((
            api_key::id.eq(ApiKeyId::new()),
            api_key::user_id.eq(caller.user),
            api_key::name.eq(new.name.as_str()),
            api_key::hash.eq(Sha256::digest(&key).to_vec()),
            api_key::scopes.eq(scopes.iter().map(Scope::to_string).collect::<Vec<_>>()),
            api_key::expires_at.eq(new.expires_at),
        ))
        .returning(ApiKey::as_returning())
        .get_result(&mut tx)
        .await?;
    tx.commit().await?;
    tracing::info!(user_id = %caller.user, api_key = %created.id, "API key made");
    Ok((created, Secret::new(key)))
}
