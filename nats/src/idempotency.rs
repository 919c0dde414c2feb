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

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryableByName, insert_into, sql_types};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromParameter, ParseResult, Type},
};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::{
    database::{Database, DatabaseError, Tx, schema::idempotency},
    problem::{Code, Problem},
};

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

/// A request with its key, for [`claim_all`].
#[derive(Debug, Clone)]
pub struct Keyed {
    principal: String,
    operation: &'static str,
    key: IdempotencyKey,
    hash: Vec<u8>,
    /// When the work on it began, by the database's clock.
    since: DateTime<Utc>,
}

/// The answer that the first request with a key got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered<T> {
    /// Its `Location`.
    pub location: String,
    /// Its body.
    pub body: T,
}

/// An answer as it is kept with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    status: u16,
    location: String,
    body: String,
}

impl KeptAnswer {
    /// The answer with this status, `Location` and body.
    ///
    /// # Errors
    /// When the body cannot be written as JSON.
    pub fn new<T: Serialize>(status: u16, location: &str, body: &T) -> serde_json::Result<Self> {
        Ok(Self { status, location: location.to_owned(), body: serde_json::to_string(body)? })
    }
}

impl Keyed {
    /// `request` of `principal` to `operation`, under `key`.
    ///
    /// # Errors
    /// When the request cannot be written as JSON.
    pub fn new<Q: Serialize>(
        principal: &impl ToString,
        operation: &'static str,
        key: IdempotencyKey,
        request: &Q,
    ) -> Result<Self, Problem> {
        let (principal, hash) = (principal.to_string(), hash_of(request)?);
        Ok(Self { principal, operation, key, hash, since: DateTime::UNIX_EPOCH })
    }

    /// The answer that this request got before; `None` when it is new, and the work on it begins now.
    ///
    /// # Errors
    /// `idempotency_key_reused` when the key belongs to another request.
    pub async fn begin<T: DeserializeOwned>(
        &mut self,
        connection: &mut AsyncPgConnection,
    ) -> Result<Option<Answered<T>>, Problem> {
        let found = self.find(connection).await?;
        self.since = found.at;
        self.answer_in(found)
    }

    /// The answer that this request has got meanwhile.
    ///
    /// # Errors
    /// `idempotency_key_reused` when the key belongs to another request.
    pub async fn answered<T: DeserializeOwned>(
        &self,
        connection: &mut AsyncPgConnection,
    ) -> Result<Option<Answered<T>>, Problem> {
        let found = self.find(connection).await?;
        self.answer_in(found)
    }

    async fn find(&self, connection: &mut AsyncPgConnection) -> Result<Found, Problem> {
        let found = diesel::sql_query(
            "select now() as at, request_hash, location, body from (select 1) as one
             left join idempotency on principal = $1 and operation = $2 and key = $3 and status is not null",
        );
        let (principal, operation, key) = self.name();
        let found = found.bind::<sql_types::Text, _>(principal).bind::<sql_types::Text, _>(operation);
        Ok(found.bind::<sql_types::Text, _>(key).get_result(connection).await?)
    }

    fn answer_in<T: DeserializeOwned>(&self, found: Found) -> Result<Option<Answered<T>>, Problem> {
        let Found { request_hash: Some(hash), location, body, .. } = found else { return Ok(None) };
        if hash != self.hash {
            return Err(reused());
        }
        let body = serde_json::from_str(body.as_deref().unwrap_or("null"))?;
        Ok(Some(Answered { location: location.unwrap_or_default(), body }))
    }

    fn name(&self) -> (&str, &str, &str) {
        (&self.principal, self.operation, &self.key.0)
    }
}

/// What is known of a key; nothing but the time, when there is no answer.
#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = sql_types::Timestamptz)]
    at: DateTime<Utc>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Bytea>)]
    request_hash: Option<Vec<u8>>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Text>)]
    location: Option<String>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Text>)]
    body: Option<String>,
}

#[derive(QueryableByName)]
struct Ours {
    #[diesel(sql_type = sql_types::BigInt)]
    position: i64,
}

impl Ours {
    /// Which of so many requests these are.
    fn among(ours: &[Self], requests: usize) -> Vec<bool> {
        let mut among = vec![false; requests];
        for Self { position } in ours {
            if let Some(one) = usize::try_from(position.saturating_sub(1)).ok().and_then(|index| among.get_mut(index)) {
                *one = true;
            }
        }
        among
    }
}

/// Claims the keys of these requests, each together with its answer, in one statement; tells which of them are ours. A key
/// that another transaction is claiming is waited for; one that was [fenced](fence_all) since the work began is not ours.
///
/// # Errors
/// The database's.
pub async fn claim_all(tx: &mut Tx, requests: &[(&Keyed, &KeptAnswer)]) -> Result<Vec<bool>, DatabaseError> {
    // Everyone waits for keys in the same order, so nobody waits in a circle. Of two requests with one key in one batch, the
    // first has it.
    let claim = diesel::sql_query(
        "with asked as (
             select distinct on (principal, operation, key) * from unnest(
                 $1::text[], $2::text[], $3::text[], $4::bytea[], $5::timestamptz[], $6::smallint[], $7::text[], $8::text[])
                 with ordinality as asked (principal, operation, key, hash, since, status, location, body, position)
             order by principal, operation, key, position),
         claimed as (
             insert into idempotency (principal, operation, key, request_hash, created_at, status, location, body)
             select principal, operation, key, hash, since, status, location, body from asked
             order by principal, operation, key
             on conflict (principal, operation, key) do update
             set request_hash = excluded.request_hash, created_at = excluded.created_at, status = excluded.status,
                 location = excluded.location, body = excluded.body
             where idempotency.status is null and idempotency.created_at < excluded.created_at
             returning principal, operation, key)
         select position from asked join claimed using (principal, operation, key)",
    );
    let keyed: Vec<&Keyed> = requests.iter().map(|(keyed, _)| *keyed).collect();
    let since: Vec<DateTime<Utc>> = keyed.iter().map(|keyed| keyed.since).collect();
    let statuses = requests.iter().map(|(_, answer)| i16::try_from(answer.status).unwrap_or_default());
    let locations = requests.iter().map(|(_, answer)| answer.location.as_str());
    let bodies = requests.iter().map(|(_, answer)| answer.body.as_str());
    let ours: Vec<Ours> = claim
        .bind::<sql_types::Array<sql_types::Text>, _>(column(&keyed, |keyed| keyed.principal.as_str()))
        .bind::<sql_types::Array<sql_types::Text>, _>(column(&keyed, |keyed| keyed.operation))
        .bind::<sql_types::Array<sql_types::Text>, _>(column(&keyed, |keyed| keyed.key.0.as_str()))
        .bind::<sql_types::Array<sql_types::Bytea>, _>(column(&keyed, |keyed| keyed.hash.as_slice()))
        .bind::<sql_types::Array<sql_types::Timestamptz>, _>(since)
        .bind::<sql_types::Array<sql_types::SmallInt>, _>(statuses.collect::<Vec<_>>())
        .bind::<sql_types::Array<sql_types::Text>, _>(locations.collect::<Vec<_>>())
        .bind::<sql_types::Array<sql_types::Text>, _>(bodies.collect::<Vec<_>>())
        .load(tx)
        .await?;
    Ok(Ours::among(&ours, requests.len()))
}

fn column<'a, T: ?Sized>(keyed: &[&'a Keyed], of: fn(&'a Keyed) -> &'a T) -> Vec<&'a T> {
    keyed.iter().map(|keyed| of(keyed)).collect()
}

/// Fences these requests, which are to be refused for good: work on one of them that began before, on another instance,
/// cannot claim its key any more. Tells for each whether it may be refused; otherwise it has an answer by now.
///
/// A later repeat may succeed all the same: what was refused may be there then.
///
/// # Errors
/// The database's.
pub async fn fence_all(connection: &mut AsyncPgConnection, requests: &[Keyed]) -> Result<Vec<bool>, DatabaseError> {
    let fence = diesel::sql_query(
        "with asked as (
             select * from unnest($1::text[], $2::text[], $3::text[], $4::bytea[])
                 with ordinality as asked (principal, operation, key, hash, position)),
         fenced as (
             insert into idempotency (principal, operation, key, request_hash)
             select distinct on (principal, operation, key) principal, operation, key, hash from asked
             order by principal, operation, key
             on conflict (principal, operation, key) do update set created_at = now() where idempotency.status is null
             returning principal, operation, key)
         select position from asked join fenced using (principal, operation, key)",
    );
    let keyed: Vec<&Keyed> = requests.iter().collect();
    let fenced: Vec<Ours> = fence
        .bind::<sql_types::Array<sql_types::Text>, _>(column(&keyed, |keyed| keyed.principal.as_str()))
        .bind::<sql_types::Array<sql_types::Text>, _>(column(&keyed, |keyed| keyed.operation))
        .bind::<sql_types::Array<sql_types::Text>, _>(column(&keyed, |keyed| keyed.key.0.as_str()))
        .bind::<sql_types::Array<sql_types::Bytea>, _>(column(&keyed, |keyed| keyed.hash.as_slice()))
        .load(connection)
        .await?;
    Ok(Ours::among(&fenced, requests.len()))
}

type Running = HashSet<(String, &'static str, String)>;

/// The requests of this instance that run, by their keys; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct InFlight(Arc<Mutex<Running>>);

impl InFlight {
    /// Notes that this request runs, until the guard is dropped.
    ///
    /// # Errors
    /// `idempotency_key_in_flight` when one with its key does already.
    pub fn begin(&self, keyed: &Keyed) -> Result<InFlightGuard, Problem> {
        let name = (keyed.principal.clone(), keyed.operation, keyed.key.0.clone());
        let fresh = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
        if fresh { Ok(InFlightGuard { running: self.clone(), name }) } else { Err(in_flight()) }
    }
}

/// A request that runs.
#[derive(Debug)]
pub struct InFlightGuard {
    running: InFlight,
    name: (String, &'static str, String),
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.running.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
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
    let locked: Option<Locked> =
        diesel::sql_query("select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as locked")
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
