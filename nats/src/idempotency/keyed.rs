//! Keys that are claimed together with their answers, many in one statement.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use diesel::{QueryableByName, sql_types};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde::{Serialize, de::DeserializeOwned};

use super::{IdempotencyKey, hash_of, in_flight, reused};
use crate::{
    batch::{Batcher, Limits},
    database::{Database, DatabaseError, Tx, sql},
    problem::Problem,
};

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
    pub async fn begin<T: DeserializeOwned>(&mut self, lookups: &Lookups) -> Result<Option<Answered<T>>, Problem> {
        let found = lookups.0.ask(self.clone()).await?;
        self.since = found.at;
        self.answer_in(found)
    }

    /// The answer that this request has got meanwhile.
    ///
    /// # Errors
    /// `idempotency_key_reused` when the key belongs to another request.
    pub async fn answered<T: DeserializeOwned>(&self, lookups: &Lookups) -> Result<Option<Answered<T>>, Problem> {
        let found = lookups.0.ask(self.clone()).await?;
        self.answer_in(found)
    }

    fn answer_in<T: DeserializeOwned>(&self, found: Found) -> Result<Option<Answered<T>>, Problem> {
        let Found { request_hash: Some(hash), location, body, .. } = found else { return Ok(None) };
        if hash != self.hash {
            return Err(reused());
        }
        let body = serde_json::from_str(body.as_deref().unwrap_or("null"))?;
        Ok(Some(Answered { location: location.unwrap_or_default(), body }))
    }
}

/// Looks keys up, those that are asked for at the same time in one statement; cheap to clone.
#[derive(Debug, Clone)]
pub struct Lookups(Batcher<Keyed, Found>);

impl Lookups {
    /// Looks them up in this database.
    pub fn start(database: Database) -> Self {
        let look = move |asked: Vec<Keyed>| {
            let database = database.clone();
            async move { find_all(&mut *database.connection().await?, &asked).await }
        };
        Self(Batcher::start(Limits::default(), |_| 1, look))
    }
}

async fn find_all(connection: &mut AsyncPgConnection, asked: &[Keyed]) -> Result<Vec<Found>, DatabaseError> {
    let keyed: Vec<&Keyed> = asked.iter().collect();
    Ok(sql("select now() as at, request_hash, location, body
         from unnest($1::text[], $2::text[], $3::text[]) with ordinality as asked (principal, operation, key, position)
         left join idempotency on idempotency.principal = asked.principal and idempotency.operation = asked.operation
             and idempotency.key = asked.key and status is not null
         order by position")
    .bind::<sql_types::Array<sql_types::Text>, _>(column(&keyed, |keyed| keyed.principal.as_str()))
    .bind::<sql_types::Array<sql_types::Text>, _>(column(&keyed, |keyed| keyed.operation))
    .bind::<sql_types::Array<sql_types::Text>, _>(column(&keyed, |keyed| keyed.key.0.as_str()))
    .load(connection)
    .await?)
}

/// What is known of a key; nothing but the time, when there is no answer.
#[derive(Debug, QueryableByName)]
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
    let claim = sql(
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
    let fence = sql("with asked as (
             select * from unnest($1::text[], $2::text[], $3::text[], $4::bytea[])
                 with ordinality as asked (principal, operation, key, hash, position)),
         fenced as (
             insert into idempotency (principal, operation, key, request_hash)
             select distinct on (principal, operation, key) principal, operation, key, hash from asked
             order by principal, operation, key
             on conflict (principal, operation, key) do update set created_at = now() where idempotency.status is null
             returning principal, operation, key)
         select position from asked join fenced using (principal, operation, key)");
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
