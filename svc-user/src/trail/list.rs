//! Reading the trail, the newest first: always along an index, from the person, the thing or the operation that is asked for.

use chrono::{DateTime, Duration, Utc};
use diesel::{
    QueryableByName,
    pg::Pg,
    query_builder::{BoxedSqlQuery, SqlQuery},
    sql_query, sql_types,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    database::DatabaseError,
    types::{ApiKeyId, SessionId, TrailEntryId, UserId},
};
use poem_openapi::Enum;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::record::Targets;

/// What came of a deed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case", rename = "TrailOutcome")]
pub(crate) enum Outcome {
    /// It was done.
    Succeeded,
    /// It was not: whoever asked must not, or something in the request was wrong.
    Refused,
    /// Something broke; with a time-out it is not known whether it was done.
    Failed,
    /// It was cut off, or is being done at this moment.
    Unknown,
}

impl Outcome {
    /// That of an answer with this status.
    pub(super) fn of(status: Option<i16>) -> Self {
        match status {
            None => Self::Unknown,
            Some(status) if status < 400 => Self::Succeeded,
            Some(status) if status < 500 => Self::Refused,
            Some(_) => Self::Failed,
        }
    }

    /// As it stands in the table; `None` for what has no row there.
    const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Succeeded => Some("succeeded"),
            Self::Refused => Some("refused"),
            Self::Failed => Some("failed"),
            Self::Unknown => None,
        }
    }
}

/// How far back it is looked for what has no outcome, where nothing else narrows it down: it is rare, and found by passing over
/// everything else.
const UNKNOWN_FOR: Duration = Duration::days(31);

/// Which entries.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// Who did it.
    pub(crate) actor: Option<UserId>,
    /// What was done.
    pub(crate) operation: Option<String>,
    /// Who or what it is about.
    pub(crate) mentioned: Option<String>,
    /// From this moment on.
    pub(crate) from: Option<DateTime<Utc>>,
    /// Before this moment.
    pub(crate) to: Option<DateTime<Utc>>,
    /// What came of it.
    pub(crate) outcome: Option<Outcome>,
    /// Older than this one.
    pub(crate) after: Option<TrailEntryId>,
}

impl Filter {
    /// From when on.
    fn since(&self) -> Option<DateTime<Utc>> {
        let narrow = self.actor.is_some() || self.operation.is_some() || self.mentioned.is_some();
        let bounded = self.outcome == Some(Outcome::Unknown) && !narrow;
        self.from.or_else(|| bounded.then(|| Utc::now() - UNKNOWN_FOR))
    }
}

/// An entry, with its end if it has one.
#[derive(Debug, Clone, QueryableByName)]
pub(crate) struct Row {
    #[diesel(sql_type = sql_types::Uuid)]
    pub(super) id: TrailEntryId,
    #[diesel(sql_type = sql_types::Timestamptz)]
    pub(super) at: DateTime<Utc>,
    #[diesel(sql_type = sql_types::Text)]
    pub(super) operation: String,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Uuid>)]
    pub(super) user_id: Option<UserId>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Uuid>)]
    pub(super) session_id: Option<SessionId>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Uuid>)]
    pub(super) api_key_id: Option<ApiKeyId>,
    #[diesel(sql_type = sql_types::Array<sql_types::Text>)]
    pub(super) roles: Vec<String>,
    #[diesel(sql_type = sql_types::Jsonb)]
    pub(super) targets: Targets,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Text>)]
    pub(super) address: Option<String>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Text>)]
    pub(super) user_agent: Option<String>,
    #[diesel(sql_type = sql_types::Text)]
    pub(super) request_id: String,
    #[diesel(sql_type = sql_types::Text)]
    pub(super) trace_id: String,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Timestamptz>)]
    pub(super) ended_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::SmallInt>)]
    pub(super) status: Option<i16>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Text>)]
    pub(super) created: Option<String>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Uuid>)]
    pub(super) concerns: Option<UserId>,
}

/// At most so many entries, the newest first.
///
/// # Errors
/// The database's.
pub(crate) async fn newest(
    connection: &mut AsyncPgConnection,
    filter: &Filter,
    limit: i64,
) -> Result<Vec<Row>, DatabaseError> {
    Ok(query("", filter, limit).load(connection).await?)
}

/// The statement; `before` is what stands before it.
fn query(before: &str, filter: &Filter, limit: i64) -> BoxedSqlQuery<'static, Pg, SqlQuery> {
    let outcome = filter.outcome.and_then(Outcome::as_str);
    // Where it is read from, and in whose order: that of the narrowest index.
    let (from, key) = match (&filter.mentioned, outcome) {
        (Some(_), _) => ("trail_mention as m join trail_entry as e on e.id = m.entry_id", "m.entry_id"),
        (None, Some(_)) if filter.actor.is_none() && filter.operation.is_none() => ("trail_entry as e", "o.entry_id"),
        (None, _) => ("trail_entry as e", "e.id"),
    };
    let mut statement = Statement { query: sql_query(before.to_owned()).into_boxed(), binds: 0 };
    statement.add(&format!(
        "select e.id, e.at, e.operation, e.user_id, e.session_id, e.api_key_id, e.roles, e.targets, e.address, e.user_agent,
                e.request_id, e.trace_id, o.at as ended_at, o.status, o.created, o.concerns
         from {from} left join trail_outcome as o on o.entry_id = e.id where true"
    ));
    if let Some(mentioned) = &filter.mentioned {
        statement.with::<sql_types::Text, _>("and m.mentioned =", mentioned.clone());
    }
    if let Some(actor) = filter.actor {
        statement.with::<sql_types::Uuid, _>("and e.user_id =", actor.uuid());
    }
    if let Some(operation) = &filter.operation {
        statement.with::<sql_types::Text, _>("and e.operation =", operation.clone());
    }
    match (filter.outcome, outcome) {
        (Some(_), Some(outcome)) => statement.with::<sql_types::Text, _>("and o.outcome =", outcome.to_owned()),
        // Looked up entry by entry: joined, all that there ever was would be compared first.
        (Some(_), None) => {
            statement.add(" and (select true from trail_outcome as known where known.entry_id = e.id) is null")
        }
        (None, _) => {}
    }
    if let Some(from) = filter.since() {
        statement.with::<sql_types::Uuid, _>(&format!("and {key} >="), first_from(from));
    }
    if let Some(to) = filter.to {
        statement.with::<sql_types::Uuid, _>(&format!("and {key} <"), first_from(to));
    }
    if let Some(after) = filter.after {
        statement.with::<sql_types::Uuid, _>(&format!("and {key} <"), after.uuid());
    }
    statement.with::<sql_types::BigInt, _>(&format!("order by {key} desc limit"), limit);
    statement.query
}

/// A statement that is being put together.
struct Statement {
    query: BoxedSqlQuery<'static, Pg, SqlQuery>,
    binds: u8,
}

impl Statement {
    fn add(&mut self, sql: &str) {
        self.change(|query| query.sql(sql));
    }

    /// Adds a piece that ends with a value.
    fn with<T, V>(&mut self, sql: &str, value: V)
    where
        T: Send + 'static,
        Pg: sql_types::HasSqlType<T>,
        V: diesel::serialize::ToSql<T, Pg> + Send + 'static,
    {
        self.binds += 1;
        let sql = format!(" {sql} ${}", self.binds);
        self.change(|query| query.sql(sql).bind::<T, V>(value));
    }

    fn change(
        &mut self,
        change: impl FnOnce(BoxedSqlQuery<'static, Pg, SqlQuery>) -> BoxedSqlQuery<'static, Pg, SqlQuery>,
    ) {
        let query = std::mem::replace(&mut self.query, sql_query("").into_boxed());
        self.query = change(query);
    }
}

/// The least id of an entry from this moment on: ids begin with the millisecond.
fn first_from(moment: DateTime<Utc>) -> Uuid {
    const MOST: u128 = (1 << 48) - 1;
    // What began before the millisecond was over began before the next one.
    let whole = i64::from(moment.timestamp_subsec_nanos().is_multiple_of(1_000_000));
    let millis = moment.timestamp_millis().saturating_add(1 - whole);
    Uuid::from_u128(u128::try_from(millis).unwrap_or_default().min(MOST) << 80)
}

#[cfg(test)]
mod tests;
