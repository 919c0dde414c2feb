//! The keys that access tokens are signed with: ECDSA on P-256 (ES256).
//!
//! The first instance that starts makes one and keeps it in the database; all others find it there. Tokens are verified
//! with any key that is not retired, so a further key can be added before the first goes.
//!
//! Trap: an instance signs with the newest key that was there when it started.

pub(crate) mod access_token;
pub mod api;

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use diesel::{
    ExpressionMethods, Insertable, QueryDsl, Queryable, Selectable, SelectableHelper, insert_into, sql_types,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use nats::{
    contracts::{
        Never,
        user::{AccessClaims, GetSigningKeys, JsonWebKey, JsonWebKeySet},
    },
    database::{Database, DatabaseError},
    invoke::CallError,
    service::StartError,
};
use p256::{
    PublicKey, SecretKey,
    elliptic_curve::{rand_core::OsRng, sec1::ToEncodedPoint},
    pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding},
};
use sha2::{Digest, Sha256};

use crate::{Users, schema::signing_key};

/// Held while looking for a key and making the first one.
const FIRST_KEY_LOCK: i64 = 0x6b_65_79;

/// A row of `signing_key`. Not `Debug`: it holds a private key.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = signing_key)]
struct SigningKey {
    kid: String,
    private_key: String,
}

impl SigningKey {
    /// A new key, named by its thumbprint.
    fn generate() -> Result<Self, p256::pkcs8::Error> {
        let secret = SecretKey::random(&mut OsRng);
        let private_key = secret.to_pkcs8_pem(LineEnding::LF)?.to_string();
        Ok(Self { kid: public_half(&secret.public_key()).kid, private_key })
    }

    /// All that are not retired, newest first.
    async fn usable(connection: &mut AsyncPgConnection) -> Result<Vec<Self>, DatabaseError> {
        Ok(signing_key::table
            .filter(signing_key::retired_at.is_null())
            .order((signing_key::created_at.desc(), signing_key::kid))
            .select(Self::as_select())
            .load(connection)
            .await?)
    }

    fn public(&self) -> Result<JsonWebKey, DatabaseError> {
        let secret = SecretKey::from_pkcs8_pem(&self.private_key).map_err(|error| {
            let reason = format!("the signing key `{}` is no P-256 key in PKCS #8: {error}", self.kid);
            diesel::result::Error::DeserializationError(reason.into())
        })?;
        Ok(public_half(&secret.public_key()))
    }
}

/// The JWK of a public key; its `kid` is the thumbprint (RFC 7638).
fn public_half(key: &PublicKey) -> JsonWebKey {
    let point = key.to_encoded_point(false);
    let text =
        |coordinate: Option<&p256::FieldBytes>| URL_SAFE_NO_PAD.encode(coordinate.map_or(&[][..], |bytes| bytes));
    let (x, y) = (text(point.x()), text(point.y()));
    let kid = URL_SAFE_NO_PAD.encode(Sha256::digest(format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#)));
    let (kty, crv) = ("EC".to_owned(), "P-256".to_owned());
    JsonWebKey { kty, crv, x, y, kid, alg: "ES256".to_owned(), key_use: "sig".to_owned() }
}

/// Signs access tokens; cheap to clone.
#[derive(Clone)]
pub(crate) struct Signer {
    header: Arc<Header>,
    key: Arc<EncodingKey>,
}

impl Signer {
    /// The newest usable key; the first one is made here.
    pub(crate) async fn open(database: &Database) -> Result<Self, StartError> {
        let other = |error: &dyn std::fmt::Display| StartError::Other(format!("no key to sign tokens with: {error}"));
        let key = newest_or_first(database).await.map_err(|error| other(&error))?;
        Self::with(&key).map_err(|error| other(&error))
    }

    fn with(key: &SigningKey) -> jsonwebtoken::errors::Result<Self> {
        // RFC 9068: the type keeps other JWTs of ours from passing as access tokens.
        let header =
            Header { typ: Some("at+jwt".to_owned()), kid: Some(key.kid.clone()), ..Header::new(Algorithm::ES256) };
        let key = EncodingKey::from_ec_pem(key.private_key.as_bytes())?;
        Ok(Self { header: Arc::new(header), key: Arc::new(key) })
    }

    /// The token that makes these claims.
    pub(crate) fn sign(&self, claims: &AccessClaims) -> jsonwebtoken::errors::Result<String> {
        jsonwebtoken::encode(&self.header, claims, &self.key)
    }
}

async fn newest_or_first(database: &Database) -> Result<SigningKey, Box<dyn std::error::Error + Send + Sync>> {
    let mut tx = database.begin().await?;
    // Instances that start together look one after the other, so one of them makes the key.
    diesel::sql_query("select pg_advisory_xact_lock($1)")
        .bind::<sql_types::BigInt, _>(FIRST_KEY_LOCK)
        .execute(&mut *tx)
        .await?;
    if let Some(newest) = SigningKey::usable(&mut tx).await?.into_iter().next() {
        newest.public()?;
        return Ok(newest);
    }
    let first = SigningKey::generate()?;
    insert_into(signing_key::table).values(&first).execute(&mut *tx).await?;
    tx.commit().await?;
    tracing::info!(kid = first.kid, "made the first signing key");
    Ok(first)
}

/// The public halves of all keys that are not retired.
async fn key_set(users: &Users) -> Result<JsonWebKeySet, DatabaseError> {
    let mut connection = users.database.connection().await?;
    let keys = SigningKey::usable(&mut connection).await?;
    Ok(JsonWebKeySet { keys: keys.iter().map(SigningKey::public).collect::<Result<_, _>>()? })
}

/// `svc.user.get_signing_keys`: what tokens are verified with.
pub(crate) async fn get_signing_keys(users: Users, _: GetSigningKeys) -> Result<JsonWebKeySet, CallError<Never>> {
    Ok(key_set(&users).await?)
}
