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

use std::hash::{DefaultHasher, Hash, Hasher};

use chrono::Utc;
use diesel::{ExpressionMethods, insert_into};
use diesel_async::RunQueryDsl;
use serde_json::{Map, Value};

use crate::{
    contracts::Event,
    database::{
        Database, DatabaseError, Tx,
        schema::{event_log, outbox_pending},
    },
    telemetry::{REQUEST_ID, TRACEPARENT, Trace},
    types::EventId,
};

/// How many shards the aggregates of a service fall into.
pub(crate) const SHARDS: i16 = 16;

impl Tx {
    /// Records that `event` happened; it is published once this transaction has committed.
    ///
    /// # Errors
    /// When the insert fails; the transaction is then lost as a whole.
    pub async fn record<E: Event>(&mut self, event: &E) -> Result<EventId, DatabaseError> {
        let id = EventId::new();
        let entity_id = event.entity_id();
        let shard = shard_of(&entity_id);
        let headers: Map<String, Value> =
            envelope(id, event).into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect();
        let payload =
            serde_json::to_string(event).map_err(|error| diesel::result::Error::SerializationError(error.into()))?;
        let log_id: i64 = insert_into(event_log::table)
            .values((
                event_log::event_id.eq(id.uuid()),
                event_log::shard.eq(shard),
                event_log::entity_id.eq(&entity_id),
                event_log::subject.eq(event.subject()),
                event_log::headers.eq(Value::Object(headers)),
                event_log::payload.eq(payload),
            ))
            .returning(event_log::id)
            .get_result(self)
            .await?;
        insert_into(outbox_pending::table)
            .values((outbox_pending::id.eq(log_id), outbox_pending::shard.eq(shard)))
            .execute(self)
            .await?;
        self.wakes.push(self.relay.clone());
        Ok(id)
    }
}

/// The headers of an event's message: CloudEvents 1.0 in binary content mode (NATS protocol binding), the trace of the
/// running task, and the deduplication id.
pub fn envelope<E: Event>(id: EventId, event: &E) -> Vec<(&'static str, String)> {
    let trace = Trace::current();
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

/// Forgets published events after 30 days and inbox rows after 40, a bounded number at a time. Streams keep events for
/// three days, so no repeat can come from further back.
pub(crate) async fn forget_old(database: &Database) -> Result<(), DatabaseError> {
    let mut connection = database.connection().await?;
    for statement in [
        "delete from event_log where id in (select id from event_log where created_at < now() - interval '30 days'
             and not exists (select from outbox_pending where outbox_pending.id = event_log.id) limit 100000)",
        "delete from inbox where ctid = any(array(
             select ctid from inbox where event_day < current_date - 40 limit 100000))",
    ] {
        diesel::sql_query(statement).execute(&mut connection).await?;
    }
    Ok(())
}

fn shard_of(entity_id: &str) -> i16 {
    // SipHash with fixed keys: the same on every instance of one build; a shard is stored, so builds need not agree.
    let mut hasher = DefaultHasher::new();
    entity_id.hash(&mut hasher);
    i16::try_from(hasher.finish() % u64::from(SHARDS.unsigned_abs())).unwrap_or_default()
}
