//! The relay: takes what is pending, oldest first, to JetStream.

use std::{collections::HashMap, time::Duration};

use async_nats::{
    HeaderMap, HeaderName, HeaderValue,
    jetstream::{self, context::PublishErrorKind},
};
use diesel::{ExpressionMethods, QueryDsl, QueryableByName, sql_types};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{SHARDS, detector};
use crate::{
    connect::{Requests, connects, jetstream},
    contracts::stream_of,
    database::{Database, DatabaseError, schema::outbox_pending, sql},
};

/// The most events of a wave.
const BATCH: usize = 512;
/// How far back from the oldest event it is looked for other aggregates, when one has all that is near.
const FURTHEST: usize = 64 * BATCH;
/// The fallback where no commit of this process woke the relay: another instance's rows, a repair.
const POLL: Duration = Duration::from_millis(100);
const CHECK: Duration = Duration::from_secs(30);
/// How often a relay that does not own all shards looks whether one is free: another instance may have gone.
const ADOPT: Duration = Duration::from_secs(1);
/// What a PostgreSQL that accepts and never answers may take of a relay's life. Its locks are free once it hangs up.
const STEP_WITHIN: Duration = Duration::from_secs(60);
const LOCK_NAMESPACE: i32 = 0x6f75_7462;

/// The relay of one service's events.
pub(crate) struct Relay {
    pub(crate) database: Database,
    pub(crate) requests: Requests,
    pub(crate) service: &'static str,
}

#[derive(QueryableByName)]
struct Shard {
    #[diesel(sql_type = sql_types::SmallInt)]
    shard: i16,
}

#[derive(QueryableByName)]
struct Pending {
    #[diesel(sql_type = sql_types::BigInt)]
    id: i64,
    #[diesel(sql_type = sql_types::SmallInt)]
    shard: i16,
    #[diesel(sql_type = sql_types::Uuid)]
    event_id: Uuid,
    #[diesel(sql_type = sql_types::Text)]
    subject: String,
    #[diesel(sql_type = sql_types::Jsonb)]
    headers: serde_json::Value,
    #[diesel(sql_type = sql_types::Text)]
    payload: String,
    /// Among how many pending events it was found.
    #[diesel(sql_type = sql_types::BigInt)]
    looked_at: i64,
}

/// What became of one publication.
enum Published {
    Stored { id: i64, shard: i16, sequence: u64, event_id: Uuid },
    Parked { id: i64, reason: String },
    Failed(String),
}

impl Relay {
    /// Runs until `stop`; every failure is waited out.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut delay = Duration::from_millis(50);
        while !stop.is_cancelled() {
            let started = tokio::time::Instant::now();
            tokio::select! {
                () = stop.cancelled() => return,
                outcome = self.session() => {
                    if let Err(reason) = outcome {
                        tracing::warn!(reason, "the relay begins anew");
                    }
                }
            }
            if started.elapsed() > Duration::from_secs(10) {
                delay = Duration::from_millis(50);
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(delay) => {}
            }
            delay = (delay * 2).min(Duration::from_secs(2));
        }
    }

    /// One life of the dedicated connection whose locks own the shards.
    async fn session(&self) -> Result<(), String> {
        let text = |error: DatabaseError| error.to_string();
        let mut connection = step(async { self.database.dedicated().await.map_err(text) }).await?;
        let mut owned = step(async { own_shards(&mut connection, &[]).await.map_err(text) }).await?;
        let jetstream = jetstream(&self.requests.client());
        let mut connected = connects(&jetstream.client());
        step(self.detect(&mut connection, &jetstream, &owned)).await?;
        let mut checked = tokio::time::Instant::now();
        let mut adopted = checked;
        loop {
            if owned.len() < usize::from(SHARDS.unsigned_abs()) && adopted.elapsed() > ADOPT {
                adopted = tokio::time::Instant::now();
                let free = step(async { own_shards(&mut connection, &owned).await.map_err(text) }).await?;
                step(self.detect(&mut connection, &jetstream, &free)).await?;
                owned.extend(free);
            }
            // A reconnect may have led to a server that lost what the last one had.
            if checked.elapsed() > CHECK || connected != connects(&jetstream.client()) {
                connected = connects(&jetstream.client());
                step(self.detect(&mut connection, &jetstream, &owned)).await?;
                checked = tokio::time::Instant::now();
            }
            if step(self.publish_pending(&mut connection, (&jetstream, connected), &owned)).await? == 0 {
                self.database.relay().wait(POLL).await;
            }
        }
    }

    async fn detect(
        &self,
        connection: &mut AsyncPgConnection,
        jetstream: &jetstream::Context,
        owned: &[i16],
    ) -> Result<(), String> {
        if owned.is_empty() {
            return Ok(());
        }
        detector::check(connection, jetstream, &stream_of(self.service), owned).await
    }

    /// Publishes one wave over the connection that was checked last: the oldest pending event of each aggregate. Returns
    /// how many left the outbox.
    async fn publish_pending(
        &self,
        connection: &mut AsyncPgConnection,
        (jetstream, connected): (&jetstream::Context, u64),
        owned: &[i16],
    ) -> Result<usize, String> {
        let wave = next_wave(connection, owned).await.map_err(|error| error.to_string())?;
        if wave.is_empty() {
            return Ok(0);
        }
        let changed = || connects(&jetstream.client()) != connected;
        if changed() {
            return Err("the connection changed before a wave".to_owned());
        }
        let stream = stream_of(self.service);
        let mut acks: FuturesUnordered<_> =
            wave.into_iter().map(|pending| publish(jetstream, pending, &stream)).collect();
        let (mut stored, mut newest, mut failed) = (Vec::new(), HashMap::<i16, (u64, Uuid)>::new(), None);
        let mut timeouts = 0;
        while let Some(published) = acks.next().await {
            match published {
                Published::Stored { id, shard, sequence, event_id } => {
                    stored.push(id);
                    let last = newest.entry(shard).or_default();
                    *last = (*last).max((sequence, event_id));
                }
                Published::Parked { id, reason } => park(connection, id, &reason).await?,
                Published::Failed(reason) => {
                    timeouts += 1;
                    failed = Some(reason);
                }
            }
        }
        self.requests.timed_out(timeouts);
        if changed() {
            // Acknowledged by a server that may have lost what the last one had: remembering its sequence would hide that.
            return Err("the connection changed during a wave".to_owned());
        }
        // First remembered, then deleted: a crash in between publishes again, the other way round it could hide a loss.
        let newest: Vec<_> = newest.into_iter().map(|(shard, (sequence, event))| (shard, sequence, event)).collect();
        detector::remember(connection, &stream, &newest).await.map_err(|error| error.to_string())?;
        diesel::delete(outbox_pending::table.filter(outbox_pending::id.eq_any(&stored)))
            .execute(connection)
            .await
            .map_err(|error| error.to_string())?;
        match failed {
            // The session ends: the next one asks the detector first, then publishes again. Repeats are harmless.
            Some(reason) => Err(format!("JetStream did not acknowledge: {reason}")),
            None => Ok(stored.len()),
        }
    }
}

async fn publish(jetstream: &jetstream::Context, pending: Pending, stream: &str) -> Published {
    let (id, shard, event_id) = (pending.id, pending.shard, pending.event_id);
    let mut headers = HeaderMap::new();
    for (name, value) in pending.headers.as_object().into_iter().flatten() {
        let (Ok(name), Ok(value)) =
            (name.parse::<HeaderName>(), value.as_str().unwrap_or_default().parse::<HeaderValue>())
        else {
            return Published::Parked { id, reason: format!("the header `{name}` cannot travel") };
        };
        headers.insert(name, value);
    }
    headers.insert("Nats-Expected-Stream", stream);
    let ack = jetstream.publish_with_headers(pending.subject, headers, pending.payload.into()).await;
    let outcome = match ack {
        Ok(ack) => ack.await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(ack) => Published::Stored { id, shard, sequence: ack.sequence, event_id },
        Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
            Published::Parked { id, reason: error.to_string() }
        }
        Err(error) => Published::Failed(error.to_string()),
    }
}

/// Takes what shards nobody owns.
async fn own_shards(connection: &mut AsyncPgConnection, owned: &[i16]) -> Result<Vec<i16>, DatabaseError> {
    let free: Vec<i16> = (0..SHARDS).filter(|shard| !owned.contains(shard)).collect();
    let taken: Vec<Shard> = sql("select shard from unnest($1) as shard where pg_try_advisory_lock($2, shard::int)")
        .bind::<sql_types::Array<sql_types::SmallInt>, _>(free)
        .bind::<sql_types::Integer, _>(LOCK_NAMESPACE)
        .load(connection)
        .await?;
    Ok(taken.into_iter().map(|row| row.shard).collect())
}

/// The oldest pending event of each aggregate, oldest first, at most [`BATCH`]. Looks further back where a few aggregates
/// have all that is near: they are held up by their own order, and must not hold up the others.
async fn next_wave(connection: &mut AsyncPgConnection, owned: &[i16]) -> Result<Vec<Pending>, DatabaseError> {
    let mut look = BATCH;
    loop {
        let wave = oldest(connection, owned, look).await?;
        let seen = wave.iter().map(|pending| usize::try_from(pending.looked_at).unwrap_or_default()).max();
        if wave.len() >= BATCH / 4 || seen < Some(look) || look >= FURTHEST {
            return Ok(wave);
        }
        look = (look * 8).min(FURTHEST);
    }
}

/// The oldest event of each aggregate that has one among the `look` oldest.
async fn oldest(connection: &mut AsyncPgConnection, owned: &[i16], look: usize) -> Result<Vec<Pending>, DatabaseError> {
    // The limits as literals: the planner goes by them.
    let query = format!(
        "with near as materialized (
             select id from outbox_pending where shard = any($1) and parked_reason is null order by id limit {look}
         ), oldest as (
             select distinct on (entity_id) id from near join event_log using (id) order by entity_id, id
         )
         select id, shard, event_id, subject, headers, payload, (select count(*) from near) as looked_at
         from event_log where id in (select id from oldest order by id limit {BATCH}) order by id"
    );
    Ok(diesel::sql_query(query).bind::<sql_types::Array<sql_types::SmallInt>, _>(owned).load(connection).await?)
}

/// What comes of a step, or that it took too long.
async fn step<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let late = || Err(format!("a step took over {STEP_WITHIN:?}"));
    tokio::time::timeout(STEP_WITHIN, work).await.unwrap_or_else(|_| late())
}

async fn park(connection: &mut AsyncPgConnection, id: i64, reason: &str) -> Result<(), String> {
    tracing::error!(event_log_id = id, reason, "an event cannot be published and is parked");
    diesel::update(outbox_pending::table.find(id))
        .set(outbox_pending::parked_reason.eq(reason))
        .execute(connection)
        .await
        .map(drop)
        .map_err(|error| error.to_string())
}
