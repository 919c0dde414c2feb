//! The loss detector: has the stream still what it acknowledged?
//!
//! JetStream acknowledges before it syncs, and a store can be wiped or set back. Then the stream's creation time differs,
//! its last sequence is lower than one we were told, or such a sequence holds another message. What might be missing goes
//! back into the outbox; `Nats-Msg-Id` and the consumers' inboxes take care of what is not.
//!
//! | table | what it remembers | what for |
//! |---|---|---|
//! | `relay_state` | per shard, the last acknowledgement | to see that something is lost, whatever other instances published since |
//! | `relay_checkpoint` | every half minute, an acknowledgement and since when everything older was published | to see how much |

use std::time::Duration;

use async_nats::jetstream::{self, context::GetStreamErrorKind, stream::Stream};
use chrono::{DateTime, Utc};
use diesel::{ExpressionMethods, IntoSql, QueryDsl, sql_types};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use crate::{
    database::{
        DatabaseError,
        schema::{relay_checkpoint, relay_state},
        sql,
    },
    topology::RETENTION,
};

/// Further back than a checkpoint says: for transactions that took long, and clocks that differ.
const MARGIN: Duration = Duration::from_secs(600);

#[derive(diesel::Queryable)]
struct State {
    shard: i16,
    stream_created: DateTime<Utc>,
    last_sequence: i64,
    last_event_id: Uuid,
}

#[derive(diesel::Queryable)]
struct Checkpoint {
    sequence: i64,
    event_id: Uuid,
    complete_before: DateTime<Utc>,
}

/// Looks for loss in the shards that this relay owns, and puts back into the outbox what the stream may miss of any.
pub(super) async fn check(
    connection: &mut AsyncPgConnection,
    jetstream: &jetstream::Context,
    name: &str,
    owned: &[i16],
) -> Result<(), String> {
    let stream = match jetstream.get_stream(name).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), GetStreamErrorKind::JetStream(_)) => {
            return Err(format!("the stream {name} is not there; run `argosy provision` ({error})"));
        }
        Err(error) => return Err(format!("the stream {name} cannot be reached: {error}")),
    };
    let text = |error: DatabaseError| error.to_string();
    let created = stream.cached_info().created;
    // PostgreSQL keeps microseconds.
    let created = DateTime::from_timestamp(created.unix_timestamp(), created.nanosecond() / 1000 * 1000)
        .unwrap_or(DateTime::UNIX_EPOCH);
    let known = load(connection, name, owned).await.map_err(text)?;
    let mut lost = Vec::new();
    for state in &known {
        if state.stream_created != created || !holds(&stream, state.last_sequence, state.last_event_id).await? {
            lost.push(state.shard);
        }
    }
    if !lost.is_empty() {
        let since = lost_since(connection, &stream, created, name, &known).await?;
        let count = republish(connection, since).await.map_err(text)?;
        tracing::error!(stream = name, count, %since, "the stream has lost events; they are published again");
    }
    let new = owned.iter().filter(|shard| !known.iter().any(|state| state.shard == **shard));
    for shard in new.chain(&lost) {
        begin(connection, name, *shard, created).await.map_err(text)?;
    }
    checkpoint(connection, name).await.map_err(text)
}

/// Whether `sequence` still holds the event we were told it holds; what has aged out is no loss.
async fn holds(stream: &Stream, sequence: i64, event_id: Uuid) -> Result<bool, String> {
    let state = &stream.cached_info().state;
    let sequence = u64::try_from(sequence).unwrap_or_default();
    if sequence > state.last_sequence {
        return Ok(false);
    }
    if sequence == 0 || sequence < state.first_sequence {
        return Ok(true);
    }
    match stream.get_raw_message(sequence).await {
        Ok(message) => {
            let id = message.headers.get("Nats-Msg-Id").map(|id| id.as_str().to_owned());
            Ok(id == Some(event_id.to_string()))
        }
        // The store is damaged there.
        Err(error) if error.kind() == jetstream::stream::RawMessageErrorKind::NoMessageFound => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}

/// From when on events may be missing: what the newest checkpoint that the stream still holds knows to be complete.
async fn lost_since(
    connection: &mut AsyncPgConnection,
    stream: &Stream,
    created: DateTime<Utc>,
    name: &str,
    known: &[State],
) -> Result<DateTime<Utc>, String> {
    // By PostgreSQL's clock, as are the events' own times.
    let everything = diesel::select(diesel::dsl::now.into_sql::<sql_types::Timestamptz>())
        .get_result::<DateTime<Utc>>(connection)
        .await
        .map_err(|error| error.to_string())?
        - RETENTION;
    if known.iter().any(|state| state.stream_created != created) {
        // Another stream: whatever it could still hold.
        return Ok(everything);
    }
    let checkpoints: Vec<Checkpoint> = relay_checkpoint::table
        .filter(relay_checkpoint::stream.eq(name))
        .order(relay_checkpoint::sequence.desc())
        .select((relay_checkpoint::sequence, relay_checkpoint::event_id, relay_checkpoint::complete_before))
        .load(connection)
        .await
        .map_err(|error| error.to_string())?;
    // What was set back is held up to some point and not after it.
    let (mut newest, mut oldest) = (0, checkpoints.len());
    while newest < oldest {
        let middle = newest.midpoint(oldest);
        let Some(checkpoint) = checkpoints.get(middle) else { break };
        if holds(stream, checkpoint.sequence, checkpoint.event_id).await? {
            oldest = middle;
        } else {
            newest = middle + 1;
        }
    }
    let surviving = checkpoints.get(newest).map_or(everything, |checkpoint| checkpoint.complete_before - MARGIN);
    let gone: Vec<i64> = checkpoints.iter().take(newest).map(|checkpoint| checkpoint.sequence).collect();
    diesel::delete(relay_checkpoint::table.filter(relay_checkpoint::stream.eq(name)))
        .filter(relay_checkpoint::sequence.eq_any(gone))
        .execute(connection)
        .await
        .map_err(|error| error.to_string())?;
    Ok(surviving.max(everything))
}

/// Remembers the newest acknowledgement of each shard.
pub(super) async fn remember(
    connection: &mut AsyncPgConnection,
    stream: &str,
    newest: &[(i16, u64, Uuid)],
) -> Result<(), DatabaseError> {
    let shards: Vec<i16> = newest.iter().map(|(shard, _, _)| *shard).collect();
    let sequences: Vec<i64> =
        newest.iter().map(|(_, sequence, _)| i64::try_from(*sequence).unwrap_or(i64::MAX)).collect();
    let events: Vec<Uuid> = newest.iter().map(|(_, _, event)| *event).collect();
    sql("update relay_state set last_sequence = newest.sequence, last_event_id = newest.event_id
         from unnest($2::smallint[], $3::bigint[], $4::uuid[]) as newest (shard, sequence, event_id)
         where stream = $1 and relay_state.shard = newest.shard and last_sequence < newest.sequence")
    .bind::<sql_types::Text, _>(stream)
    .bind::<sql_types::Array<sql_types::SmallInt>, _>(shards)
    .bind::<sql_types::Array<sql_types::BigInt>, _>(sequences)
    .bind::<sql_types::Array<sql_types::Uuid>, _>(events)
    .execute(connection)
    .await?;
    Ok(())
}

async fn load(connection: &mut AsyncPgConnection, stream: &str, shards: &[i16]) -> Result<Vec<State>, DatabaseError> {
    Ok(relay_state::table
        .filter(relay_state::stream.eq(stream))
        .filter(relay_state::shard.eq_any(shards))
        .select((
            relay_state::shard,
            relay_state::stream_created,
            relay_state::last_sequence,
            relay_state::last_event_id,
        ))
        .load(connection)
        .await?)
}

/// Nothing was acknowledged yet by this stream.
async fn begin(
    connection: &mut AsyncPgConnection,
    stream: &str,
    shard: i16,
    created: DateTime<Utc>,
) -> Result<(), DatabaseError> {
    let nothing = (
        relay_state::stream_created.eq(created),
        relay_state::last_sequence.eq(0),
        relay_state::last_event_id.eq(Uuid::nil()),
    );
    diesel::insert_into(relay_state::table)
        .values((relay_state::stream.eq(stream), relay_state::shard.eq(shard), nothing))
        .on_conflict((relay_state::stream, relay_state::shard))
        .do_update()
        .set(nothing)
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes how far the stream is, and since when everything older is in it: the oldest event that still waits, or now. What
/// is parked waits for nobody.
async fn checkpoint(connection: &mut AsyncPgConnection, stream: &str) -> Result<(), DatabaseError> {
    // One statement sees one moment: what was acknowledged and is not deleted yet counts as waiting.
    sql("insert into relay_checkpoint (stream, sequence, event_id, complete_before)
         select stream, last_sequence, last_event_id, least(now(), (
             select created_at from outbox_pending join event_log using (id)
             where parked_reason is null order by id limit 1))
         from relay_state where stream = $1 and last_sequence > 0
         order by last_sequence desc limit 1
         on conflict do nothing")
    .bind::<sql_types::Text, _>(stream)
    .execute(connection)
    .await?;
    let retention = i64::try_from(RETENTION.as_secs()).unwrap_or(i64::MAX);
    sql("delete from relay_checkpoint where complete_before < now() - $1 * interval '1 second'")
        .bind::<sql_types::BigInt, _>(retention)
        .execute(connection)
        .await?;
    Ok(())
}

/// Puts back what was recorded since then, of every shard: a checkpoint tells of all of them, and other shards' relays may
/// have written theirs before they look.
async fn republish(connection: &mut AsyncPgConnection, since: DateTime<Utc>) -> Result<usize, DatabaseError> {
    Ok(sql("insert into outbox_pending (id, shard) select id, shard from event_log where created_at >= $1
         on conflict do nothing")
    .bind::<sql_types::Timestamptz, _>(since)
    .execute(connection)
    .await?)
}
