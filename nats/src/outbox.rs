//! The outbox: events written in the transaction of the state they tell of, then relayed to JetStream.
//!
//! [`Tx::record`] appends to `event_log` and `outbox_pending`; the relay publishes what is pending and deletes it
//! there. Per aggregate, order holds: one event of it is in flight at a time. Shards of aggregates are owned by advisory
//! locks, so any number of instances may run. The loss detector compares the stream with what was last acknowledged and
//! republishes from `event_log` when the stream has lost something; inboxes make the repeats harmless.
//!
//! Trap: a JetStream acknowledgement is written, not yet synced to disk. PostgreSQL is the truth, the stream a copy.

pub(crate) mod detector;
pub(crate) mod relay;
pub(crate) mod republish;

use std::hash::{DefaultHasher, Hash, Hasher};

use chrono::Utc;
use diesel::sql_types::{self, Array};
use diesel_async::RunQueryDsl;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    contracts::Event,
    database::{Database, DatabaseError, Tx, sql},
    telemetry::{REQUEST_ID, TRACEPARENT, Trace},
    types::EventId,
};

/// How many shards the aggregates of a service fall into.
pub(crate) const SHARDS: i16 = 16;

/// An event of one of many requests that are written together, with the trace of its own request.
#[derive(Debug, Clone)]
pub struct Traced<E> {
    /// What happened.
    pub event: E,
    /// The request it happened in.
    pub trace: Trace,
}

impl Tx {
    /// Records that `event` happened; it is published once this transaction has committed.
    ///
    /// # Errors
    /// When the insert fails; the transaction is then lost as a whole.
    pub async fn record<E: Event>(&mut self, event: &E) -> Result<EventId, DatabaseError> {
        let entry = Entry::of(event, &Trace::current())?;
        let id = EventId::from_uuid(entry.event_id);
        self.append(vec![entry]).await?;
        Ok(id)
    }

    /// As [`Tx::record`] for many events at once, in one statement. Events of one entity keep the order of `events`.
    ///
    /// # Errors
    /// As [`Tx::record`].
    pub async fn record_all<E: Event>(&mut self, events: &[Traced<E>]) -> Result<(), DatabaseError> {
        if events.is_empty() {
            return Ok(());
        }
        self.append(events.iter().map(|traced| Entry::of(&traced.event, &traced.trace)).collect::<Result<_, _>>()?)
            .await
    }

    async fn append(&mut self, entries: Vec<Entry>) -> Result<(), DatabaseError> {
        let mut columns = Columns::default();
        entries.into_iter().for_each(|entry| columns.push(entry));
        // In the order of the arrays, and so are the ids.
        sql("with logged as (
                 insert into event_log (event_id, shard, entity_id, subject, headers, payload)
                 select * from unnest($1, $2, $3, $4, $5, $6) returning id, shard)
             insert into outbox_pending (id, shard) select id, shard from logged")
        .bind::<Array<sql_types::Uuid>, _>(columns.event_id)
        .bind::<Array<sql_types::SmallInt>, _>(columns.shard)
        .bind::<Array<sql_types::Text>, _>(columns.entity_id)
        .bind::<Array<sql_types::Text>, _>(columns.subject)
        .bind::<Array<sql_types::Jsonb>, _>(columns.headers)
        .bind::<Array<sql_types::Text>, _>(columns.payload)
        .execute(self)
        .await?;
        self.wakes.push(self.relay.clone());
        Ok(())
    }
}

/// A row of `event_log` that is to be written.
struct Entry {
    event_id: Uuid,
    shard: i16,
    entity_id: String,
    subject: String,
    headers: Value,
    payload: String,
}

/// Rows of `event_log`, column by column.
#[derive(Default)]
struct Columns {
    event_id: Vec<Uuid>,
    shard: Vec<i16>,
    entity_id: Vec<String>,
    subject: Vec<String>,
    headers: Vec<Value>,
    payload: Vec<String>,
}

impl Columns {
    fn push(&mut self, Entry { event_id, shard, entity_id, subject, headers, payload }: Entry) {
        self.event_id.push(event_id);
        self.shard.push(shard);
        self.entity_id.push(entity_id);
        self.subject.push(subject);
        self.headers.push(headers);
        self.payload.push(payload);
    }
}

impl Entry {
    fn of<E: Event>(event: &E, trace: &Trace) -> Result<Self, DatabaseError> {
        let id = EventId::new();
        let entity_id = event.entity_id();
        let headers: Map<String, Value> = headers(id, event, trace)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Value::String(value)))
            .collect();
        let payload =
            serde_json::to_string(event).map_err(|error| diesel::result::Error::SerializationError(error.into()))?;
        Ok(Self {
            event_id: id.uuid(),
            shard: shard_of(&entity_id),
            entity_id,
            subject: event.subject(),
            headers: Value::Object(headers),
            payload,
        })
    }
}

/// The headers of an event's message: CloudEvents 1.0 in binary content mode (NATS protocol binding), the trace of the
/// running task, and the deduplication id.
pub fn envelope<E: Event>(id: EventId, event: &E) -> Vec<(&'static str, String)> {
    headers(id, event, &Trace::current())
}

fn headers<E: Event>(id: EventId, event: &E, trace: &Trace) -> Vec<(&'static str, String)> {
    vec![
        ("ce-specversion", "1.0".to_owned()),
        ("ce-id", id.uuid().to_string()),
        ("ce-source", format!("/argosy/{}", E::SERVICE)),
        ("ce-type", E::event_type()),
        ("ce-subject", event.entity_id()),
        ("ce-time", Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true)),
        ("content-type", "application/json".to_owned()),
        (TRACEPARENT, trace.traceparent()),
        (REQUEST_ID, trace.request_id().to_owned()),
        ("Nats-Msg-Id", id.uuid().to_string()),
    ]
}

/// How many events are forgotten in one statement.
const FORGOTTEN_AT_ONCE: usize = 20_000;

/// Forgets published events after 30 days, a bounded number at a time, and inbox rows after 40; sees to it that the coming
/// days have their partitions. Streams keep events for three days, so no repeat can come from further back.
pub(crate) async fn keep_house(database: &Database) -> Result<(), DatabaseError> {
    let mut connection = database.connection().await?;
    sql("select keep_inbox_days(current_date - 3, current_date + 3, current_date - 40)")
        .execute(&mut connection)
        .await?;
    let forget = format!(
        "delete from event_log where id in (select id from event_log where created_at < now() - interval '30 days'
             and not exists (select from outbox_pending where outbox_pending.id = event_log.id) limit {FORGOTTEN_AT_ONCE})"
    );
    while diesel::sql_query(&forget).execute(&mut connection).await? >= FORGOTTEN_AT_ONCE {}
    Ok(())
}

fn shard_of(entity_id: &str) -> i16 {
    // SipHash with fixed keys: the same on every instance of one build; a shard is stored, so builds need not agree.
    let mut hasher = DefaultHasher::new();
    entity_id.hash(&mut hasher);
    i16::try_from(hasher.finish() % u64::from(SHARDS.unsigned_abs())).unwrap_or_default()
}
