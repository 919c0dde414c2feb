//! The loss detector: has the stream still what it acknowledged?
//!
//! JetStream acknowledges before it syncs, and a store can be wiped or set back. Then the stream's creation time differs,
//! its last sequence is lower than the one we were told, or that sequence holds another message. What might be missing
//! goes back into the outbox; `Nats-Msg-Id` and the consumers' inboxes take care of what is not.

use std::time::Duration;

use async_nats::jetstream::{self, context::GetStreamErrorKind};
use chrono::{DateTime, Utc};
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, sql_types};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use crate::{
    database::{
        DatabaseError,
        schema::{event_log, relay_state},
    },
    topology::RETENTION,
};

/// How far back a set-back stream may have lost events: a multiple of the server's sync interval.
const WINDOW: Duration = Duration::from_secs(600);

#[derive(diesel::Queryable)]
struct State {
    stream_created: DateTime<Utc>,
    last_sequence: i64,
    last_event_id: Uuid,
}

/// Looks for loss and puts back into the outbox what the stream may miss.
pub(super) async fn check(
    connection: &mut AsyncPgConnection,
    jetstream: &jetstream::Context,
    name: &str,
) -> Result<(), String> {
    let stream = match jetstream.get_stream(name).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), GetStreamErrorKind::JetStream(_)) => {
            return Err(format!("the stream {name} is not there; run `argosy provision` ({error})"));
        }
        Err(error) => return Err(format!("the stream {name} cannot be reached: {error}")),
    };
    let info = stream.cached_info();
    let created = DateTime::from_timestamp(info.created.unix_timestamp(), info.created.nanosecond() / 1000 * 1000)
        .unwrap_or(DateTime::UNIX_EPOCH);
    let known = load(connection, name).await.map_err(|error| error.to_string())?;
    let Some(known) = known else {
        return begin(connection, name, created).await.map_err(|error| error.to_string());
    };
    let sequence = u64::try_from(known.last_sequence).unwrap_or_default();
    let lost_since = if known.stream_created != created {
        // Another stream: whatever it could still hold.
        Some(Utc::now() - RETENTION)
    } else if info.state.last_sequence < sequence
        || !holds(&stream, sequence, known.last_event_id, info.state.first_sequence).await?
    {
        // Events may be published long after they happened; what was lost lies around the last one acknowledged.
        let last = happened(connection, known.last_event_id).await.map_err(|error| error.to_string())?;
        Some(last.unwrap_or_else(Utc::now).min(Utc::now()) - WINDOW)
    } else {
        None
    };
    let Some(since) = lost_since else { return Ok(()) };
    let count = republish(connection, since).await.map_err(|error| error.to_string())?;
    tracing::error!(stream = name, count, "the stream has lost events; they are published again");
    begin(connection, name, created).await.map_err(|error| error.to_string())
}

/// Whether `sequence` still holds the event we were told it holds; what has aged out is no loss.
async fn holds(stream: &jetstream::stream::Stream, sequence: u64, event_id: Uuid, first: u64) -> Result<bool, String> {
    if sequence == 0 || sequence < first {
        return Ok(true);
    }
    match stream.get_raw_message(sequence).await {
        Ok(message) => {
            let id = message.headers.get("Nats-Msg-Id").map(|id| id.as_str().to_owned());
            Ok(id == Some(event_id.to_string()))
        }
        Err(error) if error.kind() == jetstream::stream::RawMessageErrorKind::NoMessageFound => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}

/// Remembers the newest acknowledgement.
pub(super) async fn remember(
    connection: &mut AsyncPgConnection,
    stream: &str,
    sequence: u64,
    event_id: Uuid,
) -> Result<(), DatabaseError> {
    let sequence = i64::try_from(sequence).unwrap_or(i64::MAX);
    diesel::update(relay_state::table.find(stream).filter(relay_state::last_sequence.lt(sequence)))
        .set((relay_state::last_sequence.eq(sequence), relay_state::last_event_id.eq(event_id)))
        .execute(connection)
        .await?;
    Ok(())
}

async fn load(connection: &mut AsyncPgConnection, stream: &str) -> Result<Option<State>, DatabaseError> {
    Ok(relay_state::table
        .find(stream)
        .select((relay_state::stream_created, relay_state::last_sequence, relay_state::last_event_id))
        .first(connection)
        .await
        .optional()?)
}

/// When an event was recorded; `None` when the log does not hold it any more.
async fn happened(connection: &mut AsyncPgConnection, event_id: Uuid) -> Result<Option<DateTime<Utc>>, DatabaseError> {
    Ok(event_log::table
        .filter(event_log::event_id.eq(event_id))
        .select(event_log::created_at)
        .first(connection)
        .await
        .optional()?)
}

async fn begin(connection: &mut AsyncPgConnection, stream: &str, created: DateTime<Utc>) -> Result<(), DatabaseError> {
    let state = (
        relay_state::stream.eq(stream),
        relay_state::stream_created.eq(created),
        relay_state::last_sequence.eq(0),
        relay_state::last_event_id.eq(Uuid::nil()),
    );
    diesel::insert_into(relay_state::table)
        .values(state)
        .on_conflict(relay_state::stream)
        .do_update()
        .set((
            relay_state::stream_created.eq(created),
            relay_state::last_sequence.eq(0),
            relay_state::last_event_id.eq(Uuid::nil()),
        ))
        .execute(connection)
        .await?;
    Ok(())
}

async fn republish(connection: &mut AsyncPgConnection, since: DateTime<Utc>) -> Result<usize, DatabaseError> {
    Ok(diesel::sql_query(
        "insert into outbox_pending (id, shard) select id, shard from event_log where created_at >= $1 on conflict do nothing",
    )
    .bind::<sql_types::Timestamptz, _>(since)
    .execute(connection)
    .await?)
}
