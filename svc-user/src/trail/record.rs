//! `trail.recorded` and the call `record_trail`: entries are kept, each once, whichever way and however often they come.

use std::collections::BTreeSet;

use diesel::{Insertable, deserialize::FromSqlRow, expression::AsExpression, insert_into, sql_types::Jsonb};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    consume::{Failure, Received},
    contracts::{
        Never,
        trail::{RecordTrail, TrailBegan, TrailEnded, TrailEntries, TrailKept, TrailRecorded, TrailTarget},
    },
    database::{DatabaseError, Tx},
    invoke::CallError,
    types::{ApiKeyId, SessionId, TrailEntryId, UserId},
};
use serde::{Deserialize, Serialize};

use crate::{
    Users,
    schema::{trail_entry, trail_mention, trail_outcome},
};

/// The most rows of one statement.
const AT_ONCE: usize = 500;
/// The longest that is looked up by; what is longer names nothing of ours.
const LONGEST_MENTION: usize = 64;

/// What was named in a path, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, AsExpression, FromSqlRow)]
#[diesel(sql_type = Jsonb)]
pub(super) struct Targets(pub(super) Vec<TrailTarget>);

nats::jsonb_column!(Targets);

#[derive(Insertable)]
#[diesel(table_name = trail_entry)]
struct NewEntry {
    id: TrailEntryId,
    at: chrono::DateTime<chrono::Utc>,
    operation: String,
    user_id: Option<UserId>,
    session_id: Option<SessionId>,
    api_key_id: Option<ApiKeyId>,
    roles: Vec<String>,
    targets: Targets,
    address: Option<String>,
    user_agent: Option<String>,
    request_id: String,
    trace_id: String,
}

#[derive(Insertable)]
#[diesel(table_name = trail_outcome)]
struct NewOutcome {
    entry_id: TrailEntryId,
    at: chrono::DateTime<chrono::Utc>,
    status: i16,
    created: Option<String>,
    concerns: Option<UserId>,
}

/// That an entry is about somebody or something.
#[derive(Insertable, PartialEq, Eq, PartialOrd, Ord)]
#[diesel(table_name = trail_mention)]
struct Mention {
    mentioned: String,
    entry_id: TrailEntryId,
}

/// Takes what came through JetStream.
pub(crate) async fn take_trail(tx: &mut Tx, _: Users, received: Received<TrailRecorded>) -> Result<(), Failure> {
    Ok(keep(tx, received.event.entries).await?)
}

/// Takes what JetStream did not.
///
/// # Errors
/// The database's.
pub(crate) async fn record_trail(users: Users, question: RecordTrail) -> Result<TrailKept, CallError<Never>> {
    let mut tx = users.database.begin().await?;
    keep(&mut tx, question.entries).await?;
    tx.commit().await?;
    Ok(TrailKept {})
}

/// Adds what is not there yet.
async fn keep(connection: &mut AsyncPgConnection, entries: TrailEntries) -> Result<(), DatabaseError> {
    let mentions: BTreeSet<Mention> =
        entries.began.iter().flat_map(of_beginning).chain(entries.ended.iter().flat_map(of_end)).collect();
    let mentions: Vec<Mention> = mentions.into_iter().collect();
    let mut began: Vec<NewEntry> = entries.began.into_iter().map(NewEntry::from).collect();
    let mut ended: Vec<NewOutcome> = entries.ended.into_iter().map(NewOutcome::from).collect();
    // In one order, so that the same entries on two ways wait for each other and not both.
    began.sort_by_key(|entry| entry.id);
    ended.sort_by_key(|outcome| outcome.entry_id);
    for rows in began.chunks(AT_ONCE) {
        insert_into(trail_entry::table).values(rows).on_conflict_do_nothing().execute(connection).await?;
    }
    for rows in ended.chunks(AT_ONCE) {
        insert_into(trail_outcome::table).values(rows).on_conflict_do_nothing().execute(connection).await?;
    }
    for rows in mentions.chunks(AT_ONCE) {
        insert_into(trail_mention::table).values(rows).on_conflict_do_nothing().execute(connection).await?;
    }
    Ok(())
}

/// Who is about to do it, and to what.
fn of_beginning(began: &TrailBegan) -> Vec<Mention> {
    let targets = began.targets.iter().map(|target| target.value.clone());
    mentions(began.id, began.user_id.map(|user| user.to_string()).into_iter().chain(targets))
}

/// What came of it, and whose account it was.
fn of_end(ended: &TrailEnded) -> Vec<Mention> {
    mentions(ended.id, ended.created.iter().cloned().chain(ended.concerns.map(|user| user.to_string())))
}

fn mentions(entry_id: TrailEntryId, all: impl Iterator<Item = String>) -> Vec<Mention> {
    all.filter(|mentioned| mentioned.len() <= LONGEST_MENTION)
        .map(|mentioned| Mention { mentioned, entry_id })
        .collect()
}

impl From<TrailBegan> for NewEntry {
    fn from(began: TrailBegan) -> Self {
        let TrailBegan { id, at, operation, user_id, session_id, api_key_id, roles, targets, .. } = began;
        let TrailBegan { address, user_agent, request_id, trace_id, .. } = began;
        let targets = Targets(targets);
        Self {
            id,
            at,
            operation,
            user_id,
            session_id,
            api_key_id,
            roles,
            targets,
            address,
            user_agent,
            request_id,
            trace_id,
        }
    }
}

impl From<TrailEnded> for NewOutcome {
    fn from(ended: TrailEnded) -> Self {
        let TrailEnded { id, at, status, created, concerns } = ended;
        Self { entry_id: id, at, status: i16::try_from(status).unwrap_or(i16::MAX), created, concerns }
    }
}
