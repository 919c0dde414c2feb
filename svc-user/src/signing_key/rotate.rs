//! `svc.user.rotate_signing_keys`: the operator has tokens signed with a new key.
//!
//! The new key is published now and signs later, by when everybody has it; the keys before it are published until the last
//! token that they signed has expired, and then deleted. Nobody is signed out.
//!
//! | setting | meaning | when unset |
//! |---|---|---|
//! | `SIGNING_KEY_LEAD_S` | how many seconds a new key is published before it signs; no less than verifiers keep the key set (the gateway: 300) | 900 |

use chrono::{DateTime, Utc};
use diesel::{OptionalExtension, QueryableByName, sql_query, sql_types};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    config::{SettingError, Settings},
    contracts::{
        Never,
        user::{RotateSigningKeys, SigningKeysRotated},
    },
    database::DatabaseError,
    invoke::CallError,
};

use super::{SigningKey, access_token, one_at_a_time};
use crate::Users;

/// When not set otherwise: three times as long as the gateway keeps the key set.
const LEAD_S: u32 = 900;
/// How long after a key's last token expired it is published, in seconds: clocks differ, and instances change over one after
/// the other.
const MARGIN_S: i64 = 300;

/// How long a new key is published before it signs, in seconds.
pub(crate) fn lead(settings: &Settings) -> Result<u32, SettingError> {
    settings.parse("SIGNING_KEY_LEAD_S", LEAD_S)
}

/// A rotation: the key that takes over, and when those before it retire.
#[derive(QueryableByName)]
struct Rotation {
    #[diesel(sql_type = sql_types::Text)]
    kid: String,
    #[diesel(sql_type = sql_types::Timestamptz)]
    signs_from: DateTime<Utc>,
    #[diesel(sql_type = sql_types::Timestamptz)]
    others_until: DateTime<Utc>,
}

/// Makes the key that takes over; when one waits to take over already, that is the answer.
pub(crate) async fn rotate_signing_keys(
    users: Users,
    _: RotateSigningKeys,
) -> Result<SigningKeysRotated, CallError<Never>> {
    let broken = |error: &dyn std::fmt::Display| CallError::Failed(error.to_string());
    let key = SigningKey::generate().map_err(|error| broken(&error))?;
    let mut tx = users.database.begin().await?;
    one_at_a_time(&mut tx).await?;
    let rotation = match under_way(&mut tx).await? {
        Some(rotation) => rotation,
        None => {
            let rotation = rotate(&mut tx, &key, users.key_lead_s).await?;
            tx.commit().await?;
            tracing::info!(kid = rotation.kid, signs_from = %rotation.signs_from, "a new signing key is published");
            rotation
        }
    };
    // The other instances learn of it in time; this one may as well now.
    users.signer.follow(&users.database).await.map_err(|error| broken(&error))?;
    let Rotation { kid, signs_from, others_until } = rotation;
    Ok(SigningKeysRotated { kid, signs_from, others_until })
}

async fn under_way(connection: &mut AsyncPgConnection) -> Result<Option<Rotation>, DatabaseError> {
    let rotation = sql_query(
        "select kid, signs_from, signs_from + $1 * interval '1 second' as others_until
         from signing_key where signs_from > now() and retired_at is null order by signs_from desc limit 1",
    );
    Ok(rotation.bind::<sql_types::BigInt, _>(lives_on_s()).get_result(connection).await.optional()?)
}

async fn rotate(connection: &mut AsyncPgConnection, key: &SigningKey, lead_s: u32) -> Result<Rotation, DatabaseError> {
    let rotation: Rotation = sql_query(
        "insert into signing_key (kid, private_key, signs_from) values ($1, $2, now() + $3 * interval '1 second')
         returning kid, signs_from, signs_from + $4 * interval '1 second' as others_until",
    )
    .bind::<sql_types::Text, _>(&key.kid)
    .bind::<sql_types::Text, _>(&key.private_key)
    .bind::<sql_types::BigInt, _>(i64::from(lead_s))
    .bind::<sql_types::BigInt, _>(lives_on_s())
    .get_result(connection)
    .await?;
    // Those that retire already, do so at their time.
    sql_query("update signing_key set retired_at = $2 where kid <> $1 and retired_at is null")
        .bind::<sql_types::Text, _>(&rotation.kid)
        .bind::<sql_types::Timestamptz, _>(rotation.others_until)
        .execute(connection)
        .await?;
    Ok(rotation)
}

/// How long a key is published after it signed for the last time.
fn lives_on_s() -> i64 {
    access_token::LIFETIME.num_seconds() + MARGIN_S
}
