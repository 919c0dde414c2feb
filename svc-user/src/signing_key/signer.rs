//! Who signs: every instance, with the key whose time has come.
//!
//! An instance knows the keys that are to come, and changes over by itself at the moment that the database said; that it is
//! away at that moment does no harm. What is new it learns [from time to time](Signer::follow).

use std::{
    error::Error,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use diesel::{QueryableByName, insert_into, sql_query, sql_types};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use nats::{
    contracts::user::AccessClaims,
    database::{Database, DatabaseError},
    problem::Problem,
    service::StartError,
};

use super::{SigningKey, one_at_a_time};
use crate::{Users, schema::signing_key};

/// Signs access tokens; cheap to clone.
#[derive(Clone)]
pub(crate) struct Signer {
    /// The one whose time has come last is the first.
    keys: Arc<RwLock<Vec<Arc<Signing>>>>,
}

/// A key, ready to sign.
struct Signing {
    from: Instant,
    header: Header,
    key: EncodingKey,
}

/// A key, and how long it is until it signs.
#[derive(QueryableByName)]
struct Timed {
    #[diesel(sql_type = sql_types::Text)]
    kid: String,
    #[diesel(sql_type = sql_types::Text)]
    private_key: String,
    #[diesel(sql_type = sql_types::BigInt)]
    starts_in_ms: i64,
}

impl Signer {
    /// With the keys that there are; the first one is made here.
    pub(crate) async fn open(database: &Database) -> Result<Self, StartError> {
        let other = |error: &dyn std::fmt::Display| StartError::Other(format!("no key to sign tokens with: {error}"));
        first_key(database).await.map_err(|error| other(&error))?;
        let signer = Self { keys: Arc::default() };
        signer.follow(database).await.map_err(|error| other(&error))?;
        Ok(signer)
    }

    /// Reads which key signs, and which will.
    ///
    /// # Errors
    /// The database's, or that a key is none.
    pub(crate) async fn follow(&self, database: &Database) -> Result<(), Box<dyn Error + Send + Sync>> {
        let timed = timed(&mut *database.connection().await?).await?;
        let read = Instant::now();
        let keys = timed.into_iter().map(|key| Signing::of(&key, read).map(Arc::new)).collect::<Result<_, _>>()?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// The token that makes these claims.
    pub(crate) fn sign(&self, claims: &AccessClaims) -> Result<String, Problem> {
        let now = Instant::now();
        let signing = {
            let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
            keys.iter().find(|key| key.from <= now).cloned()
        };
        let signing = signing.ok_or_else(|| Problem::internal("there is no key whose time to sign has come"))?;
        jsonwebtoken::encode(&signing.header, claims, &signing.key).map_err(Problem::internal)
    }
}

impl Signing {
    fn of(key: &Timed, read: Instant) -> jsonwebtoken::errors::Result<Self> {
        // RFC 9068: the type keeps other JWTs of ours from passing as access tokens.
        let header =
            Header { typ: Some("at+jwt".to_owned()), kid: Some(key.kid.clone()), ..Header::new(Algorithm::ES256) };
        let from = read + Duration::from_millis(u64::try_from(key.starts_in_ms).unwrap_or_default());
        Ok(Self { from, header, key: EncodingKey::from_ec_pem(key.private_key.as_bytes())? })
    }
}

/// The keys that are not retired, and when each signs.
async fn timed(connection: &mut AsyncPgConnection) -> Result<Vec<Timed>, DatabaseError> {
    let timed = sql_query(
        "select kid, private_key, ceil(extract(epoch from signs_from - now()) * 1000)::bigint as starts_in_ms
         from signing_key where retired_at is null or retired_at > now() order by signs_from desc, kid",
    );
    Ok(timed.load(connection).await?)
}

async fn first_key(database: &Database) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut tx = database.begin().await?;
    // Instances that start together look one after the other, so one of them makes the key.
    one_at_a_time(&mut tx).await?;
    let signs = timed(&mut tx).await?.iter().any(|key| key.starts_in_ms <= 0);
    if signs {
        return Ok(());
    }
    let first = SigningKey::generate()?;
    insert_into(signing_key::table).values(&first).execute(&mut tx).await?;
    tx.commit().await?;
    tracing::info!(kid = first.kid, "made the first signing key");
    Ok(())
}

/// Learns of new keys.
///
/// # Errors
/// As [`Signer::follow`].
pub(crate) async fn follow_signing_keys(users: Users) -> Result<(), Box<dyn Error + Send + Sync>> {
    users.signer.follow(&users.database).await
}
