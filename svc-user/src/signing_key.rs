//! The keys that access tokens are signed with: ECDSA on P-256 (ES256).
//!
//! The first instance that starts makes one and keeps it in the database; all others find it there. One key signs at a
//! time; the key set has those that will sign as well, and those whose tokens may still be out. When a key begins to sign
//! and when it leaves the set is decided when keys are rotated, and stands in its row.
//!
//! Trap: whoever verifies our tokens keeps the key set for a while. A key is in it for that long before it signs.

pub(crate) mod access_token;
pub mod api;
pub(crate) mod rotate;
pub(crate) mod signer;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, QueryDsl, Queryable, Selectable, SelectableHelper, dsl::now,
    sql_query, sql_types,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    contracts::{
        Never,
        user::{GetSigningKeys, JsonWebKey, JsonWebKeySet},
    },
    database::DatabaseError,
    invoke::CallError,
};
use p256::{
    PublicKey, SecretKey,
    elliptic_curve::{rand_core::OsRng, sec1::ToEncodedPoint},
    pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding},
};
use sha2::{Digest, Sha256};

use crate::{Users, schema::signing_key};

/// Held while looking for a key and making one.
const LOCK: i64 = 0x6b_65_79;

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

    /// All that are in the key set, the newest first.
    async fn published(connection: &mut AsyncPgConnection) -> Result<Vec<Self>, DatabaseError> {
        Ok(signing_key::table
            .filter(signing_key::retired_at.is_null().or(signing_key::retired_at.gt(now)))
            .order((signing_key::signs_from.desc(), signing_key::kid))
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

/// Has whoever makes keys do it one after the other, until the transaction ends.
async fn one_at_a_time(connection: &mut AsyncPgConnection) -> Result<(), DatabaseError> {
    sql_query("select pg_advisory_xact_lock($1)").bind::<sql_types::BigInt, _>(LOCK).execute(connection).await?;
    Ok(())
}

/// The public halves of all keys that are not retired.
async fn key_set(users: &Users) -> Result<JsonWebKeySet, DatabaseError> {
    let mut connection = users.database.connection().await?;
    let keys = SigningKey::published(&mut connection).await?;
    Ok(JsonWebKeySet { keys: keys.iter().map(SigningKey::public).collect::<Result<_, _>>()? })
}

/// `svc.user.get_signing_keys`: what tokens are verified with.
pub(crate) async fn get_signing_keys(users: Users, _: GetSigningKeys) -> Result<JsonWebKeySet, CallError<Never>> {
    Ok(key_set(&users).await?)
}

/// Deletes the keys that are out of the set: nobody needs them any more, and somebody could want them.
///
/// # Errors
/// The database's.
pub(crate) async fn forget_retired_keys(users: Users) -> Result<(), DatabaseError> {
    let mut connection = users.database.connection().await?;
    let retired = signing_key::table.filter(signing_key::retired_at.le(now));
    let forgotten = diesel::delete(retired).execute(&mut connection).await?;
    if forgotten > 0 {
        tracing::info!(forgotten, "retired signing keys are deleted");
    }
    Ok(())
}
