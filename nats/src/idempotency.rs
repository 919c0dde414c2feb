//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): the same request has its effect once.
//!
//! The key is claimed in the transaction of the write itself, per caller and operation: they commit together or not at
//! all. The first answer is kept for 24 hours and replayed; the same key with another body is refused, and so is one whose
//! first request is still running.
//!
//! Two ways: [`claim`], where one transaction does the work of one request, and [`Keyed`], where the work is done before
//! and the writes of many requests share a transaction: then the key is claimed together with its final answer
//! ([`claim_all`]), and [`InFlight`] tells a repeat that the first request still runs.
//!
//! Trap: claim before any other effect of the transaction, store the answer as its last. With `claim_all`, two instances
//! may do the work of one key at once; the one whose claim comes second has to undo its own. And a refusal is final only
//! once it is [fenced](fence_all): otherwise the other instance may still succeed, after the caller was told that nothing
//! was done.

mod keyed;

use std::time::Duration;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, insert_into, sql_types};
use diesel_async::RunQueryDsl;
use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromParameter, ParseResult, Type},
};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::{
    database::{Database, DatabaseError, Tx, schema::idempotency, sql},
    problem::{Code, Problem},
};

pub use keyed::{Answered, InFlight, InFlightGuard, KeptAnswer, Keyed, Lookups, claim_all, fence_all};

/// The value of an `Idempotency-Key` header: 1 to 255 visible ASCII characters, quoted or not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

impl std::str::FromStr for IdempotencyKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let key = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
        if key.is_empty() || key.len() > 255 || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("an Idempotency-Key has 1 to 255 visible ASCII characters".to_owned());
        }
        Ok(Self(key.to_owned()))
    }
}

impl Type for IdempotencyKey {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> std::borrow::Cow<'static, str> {
        "string_idempotency_key".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        let mut schema = MetaSchema::new("string");
        schema.min_length = Some(1);
        schema.max_length = Some(255);
        MetaSchemaRef::Inline(Box::new(schema))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromParameter for IdempotencyKey {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        value.parse().map_err(ParseError::custom)
    }
}

/// The key of a request that needs one.
///
/// # Errors
/// `idempotency_key_missing`.
pub fn required(key: Option<IdempotencyKey>) -> Result<IdempotencyKey, Problem> {
    key.ok_or_else(|| {
        Problem::new(
            Code::IdempotencyKeyMissing,
            "Send an `Idempotency-Key` header: a fresh random value for a new request, the same one when repeating it.",
        )
    })
}

/// What claiming a key led to.
pub enum Claim<T> {
    /// The key is ours; do the work, then [`Slot::store`] its answer.
    New(Slot),
    /// The request was done before: its location and body.
    Replay {
        /// The `Location` of the first answer.
        location: String,
        /// The body of the first answer.
        body: T,
    },
}

/// A claimed key, without an answer yet.
pub struct Slot {
    principal: String,
    operation: &'static str,
    key: Option<IdempotencyKey>,
}

/// Claims `key` for `principal` and `operation` within `tx`. Without a key there is nothing to claim, and each request
/// is new.
///
/// # Errors
/// `idempotency_key_in_flight`, `idempotency_key_reused`, or the database's.
pub async fn claim<Q: Serialize, T: DeserializeOwned>(
    tx: &mut Tx,
    principal: &impl ToString,
    operation: &'static str,
    key: Option<IdempotencyKey>,
    request: &Q,
) -> Result<Claim<T>, Problem> {
    let principal = principal.to_string();
    let Some(key) = key else { return Ok(Claim::New(Slot { principal, operation, key: None })) };
    if !lock_patiently(tx, &principal, operation, &key).await? {
        return Err(in_flight());
    }
    let hash = hash_of(request)?;
    let fresh = insert_into(idempotency::table)
        .values((
            idempotency::principal.eq(&principal),
            idempotency::operation.eq(operation),
            idempotency::key.eq(&key.0),
            idempotency::request_hash.eq(&hash),
        ))
        .on_conflict_do_nothing()
        .execute(tx)
        .await?;
    if fresh == 1 {
        return Ok(Claim::New(Slot { principal, operation, key: Some(key) }));
    }
    let (first_hash, location, body): (Vec<u8>, Option<String>, Option<String>) = idempotency::table
        .find((&principal, operation, &key.0))
        .select((idempotency::request_hash, idempotency::location, idempotency::body))
        .first(tx)
        .await?;
    if first_hash != hash {
        return Err(reused());
    }
    let body = serde_json::from_str(body.as_deref().unwrap_or("null"))?;
    Ok(Claim::Replay { location: location.unwrap_or_default(), body })
}

fn hash_of<Q: Serialize>(request: &Q) -> Result<Vec<u8>, Problem> {
    Ok(Sha256::digest(serde_json::to_vec(request)?).to_vec())
}

/// The first request with this key still runs.
pub fn in_flight() -> Problem {
    let detail = "The first request with this Idempotency-Key is still running; try again in a moment.";
    Problem::new(Code::IdempotencyKeyInFlight, detail)
}

fn reused() -> Problem {
    let detail = "This Idempotency-Key was used before with another body; use a new key for a new request.";
    Problem::new(Code::IdempotencyKeyReused, detail)
}

impl Slot {
    /// Keeps the answer for repeats of the request.
    ///
    /// # Errors
    /// The database's.
    pub async fn store<T: Serialize>(self, tx: &mut Tx, status: u16, location: &str, body: &T) -> Result<(), Problem> {
        let Some(key) = self.key else { return Ok(()) };
        diesel::update(idempotency::table.find((self.principal, self.operation, key.0)))
            .set((
                idempotency::status.eq(i16::try_from(status).unwrap_or_default()),
                idempotency::location.eq(location),
                idempotency::body.eq(serde_json::to_string(body)?),
            ))
            .execute(tx)
            .await?;
        Ok(())
    }
}

/// As [`lock`], with a moment's patience: a refused request rolls back a little after it was answered.
async fn lock_patiently(tx: &mut Tx, principal: &str, operation: &str, key: &IdempotencyKey) -> Result<bool, Problem> {
    for _ in 0..5 {
        if lock(tx, principal, operation, key).await? {
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    lock(tx, principal, operation, key).await
}

/// A lock for the length of the transaction; false when another one has it.
async fn lock(tx: &mut Tx, principal: &str, operation: &str, key: &IdempotencyKey) -> Result<bool, Problem> {
    #[derive(diesel::QueryableByName)]
    struct Locked {
        #[diesel(sql_type = sql_types::Bool)]
        locked: bool,
    }
    let locked: Option<Locked> = sql("select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as locked")
        .bind::<sql_types::Text, _>(format!("{principal}\n{operation}\n{}", key.0))
        .get_result(tx)
        .await
        .optional()?;
    Ok(locked.is_some_and(|row| row.locked))
}

/// Forgets answers older than 24 hours, by the database's clock.
pub(crate) async fn forget_old(database: &Database) -> Result<(), DatabaseError> {
    let mut connection = database.connection().await?;
    let forget = "
        delete from idempotency where ctid = any(array(
            select ctid from idempotency where created_at < now() - interval '24 hours' limit 10000))";
    while diesel::sql_query(forget).execute(&mut connection).await? > 0 {}
    Ok(())
}
