//! Who did what: for those who watch over the system, and for everyone what concerns them.

use chrono::{DateTime, Utc};
use nats::{
    contracts::trail::TrailTarget,
    http::Listed,
    identity::{AuditRead, User},
    problem::Problem,
    types::{ApiKeyId, Cursor, Limit, Page, SessionId, Text, TrailEntryId, UserId},
};
use poem::web::Data;
use poem_openapi::{Enum, Object, OpenApi, Tags, param::Query};
use serde::{Deserialize, Serialize};

use super::list::{self, Filter, Outcome, Row};
use crate::Users;

#[derive(Tags)]
enum Tag {
    /// Who did what, and when.
    Audit,
}

/// An entry of the audit trail.
#[derive(Clone, Serialize, Deserialize, Object)]
#[oai(rename = "TrailEntry")]
pub struct EntryView {
    /// Names the entry.
    id: TrailEntryId,
    /// When it began.
    at: DateTime<Utc>,
    /// What: the `operationId`.
    operation: String,
    /// Who; null where nobody is known.
    #[oai(nullable)]
    user_id: Option<UserId>,
    /// In which session.
    #[oai(nullable)]
    session_id: Option<SessionId>,
    /// With which API key.
    #[oai(nullable)]
    api_key_id: Option<ApiKeyId>,
    /// With which roles.
    roles: Vec<String>,
    /// To what: the parameters of the path.
    targets: Vec<TrailTarget>,
    /// What was created.
    #[oai(nullable)]
    created: Option<String>,
    /// Whose account it was done to, where the path does not say: of signing in, whoever it was tried as.
    #[oai(nullable)]
    concerns: Option<UserId>,
    /// From where: an IPv4 address, or a /64 of IPv6.
    #[oai(nullable)]
    address: Option<String>,
    /// With what, as that said of itself (`User-Agent`).
    #[oai(nullable)]
    user_agent: Option<String>,
    /// Finds the request in the logs.
    request_id: String,
    /// Finds the request in the traces.
    trace_id: String,
    /// What came of it.
    outcome: Outcome,
    /// The HTTP status of the answer.
    #[oai(nullable)]
    status: Option<i16>,
    /// When it ended.
    #[oai(nullable)]
    ended_at: Option<DateTime<Utc>>,
}

/// Who did something, seen by the person whom it concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
enum By {
    /// You, or somebody who signed in as you.
    You,
    /// Somebody else who was signed in: those who run the shop.
    SomebodyElse,
    /// Somebody who was not signed in.
    Nobody,
}

/// Something that was done as you, or to your account.
#[derive(Clone, Serialize, Deserialize, Object)]
pub struct Activity {
    /// Names the entry.
    id: TrailEntryId,
    /// When it began.
    at: DateTime<Utc>,
    /// What: the `operationId`.
    operation: String,
    /// Who.
    by: By,
    /// In which session of yours.
    #[oai(nullable)]
    session_id: Option<SessionId>,
    /// With which API key of yours.
    #[oai(nullable)]
    api_key_id: Option<ApiKeyId>,
    /// To what: the parameters of the path.
    targets: Vec<TrailTarget>,
    /// What was created.
    #[oai(nullable)]
    created: Option<String>,
    /// From where: an IPv4 address, or a /64 of IPv6. Null for somebody else.
    #[oai(nullable)]
    address: Option<String>,
    /// With what, as that said of itself (`User-Agent`). Null for somebody else.
    #[oai(nullable)]
    user_agent: Option<String>,
    /// What came of it.
    outcome: Outcome,
}

impl From<Row> for EntryView {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            at: row.at,
            operation: row.operation,
            user_id: row.user_id,
            session_id: row.session_id,
            api_key_id: row.api_key_id,
            roles: row.roles,
            targets: row.targets.0,
            created: row.created,
            concerns: row.concerns,
            address: row.address,
            user_agent: row.user_agent,
            request_id: row.request_id,
            trace_id: row.trace_id,
            outcome: Outcome::of(row.status),
            status: row.status,
            ended_at: row.ended_at,
        }
    }
}

impl Activity {
    /// As this person may see it: of somebody else, what they did and no more of who they are.
    fn seen_by(user: UserId, row: Row) -> Self {
        let by = match row.user_id {
            Some(actor) if actor == user => By::You,
            Some(_) => By::SomebodyElse,
            None => By::Nobody,
        };
        let (own, others) = (by == By::You, by == By::SomebodyElse);
        Self {
            id: row.id,
            at: row.at,
            operation: row.operation,
            by,
            session_id: row.session_id.filter(|_| own),
            api_key_id: row.api_key_id.filter(|_| own),
            targets: row.targets.0,
            created: row.created,
            address: row.address.filter(|_| !others),
            user_agent: row.user_agent.filter(|_| !others),
            outcome: Outcome::of(row.status),
        }
    }
}

/// The endpoints of the audit trail.
pub struct TrailApi;

#[OpenApi(prefix_path = "/v1", tag = "Tag::Audit")]
impl TrailApi {
    /// Read the audit trail
    ///
    /// Everything that anybody did or tried to do, the newest first: each operation that changes something, whatever came of
    /// it, and each that shows people to those who run the shop. Kept for 400 days. Reading it is in it, too.
    #[oai(path = "/audit-trail", method = "get", operation_id = "list_audit_trail")]
    #[expect(clippy::too_many_arguments, reason = "each is a documented parameter")]
    async fn list_audit_trail(
        &self,
        Data(users): Data<&Users>,
        AuditRead(_caller): AuditRead,
        /// Only what this person did.
        actor: Query<Option<UserId>>,
        /// Only this operation, by its `operationId`.
        operation: Query<Option<Text<1, 100>>>,
        /// Only what is about this person or thing, by its id, SKU or slug.
        target: Query<Option<Text<1, 64>>>,
        /// Only what began at this moment or later.
        from: Query<Option<DateTime<Utc>>>,
        /// Only what began before this moment.
        to: Query<Option<DateTime<Utc>>>,
        /// Only what ended like this. What is `unknown` is looked for in the last 31 days, unless `from`, `actor`, `operation` or
        /// `target` says otherwise.
        outcome: Query<Option<Outcome>>,
        limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Listed<EntryView>, Problem> {
        let filter = Filter {
            actor: actor.0,
            operation: operation.0.map(Text::into_string),
            mentioned: target.0.map(Text::into_string),
            from: from.0,
            to: to.0,
            outcome: outcome.0,
            after: cursor.0.map(|cursor| cursor.after()).transpose()?,
        };
        page(users, &filter, limit.0, EntryView::from).await
    }

    /// Read what concerns oneself
    ///
    /// What was done as oneself, and what others did or tried to do to one's account, the newest first: every sign-in, also
    /// those that failed. Of others who run the shop it is not told who they are.
    #[oai(path = "/users/me/activity", method = "get", operation_id = "list_my_activity")]
    async fn list_my_activity(
        &self,
        Data(users): Data<&Users>,
        User(identity): User,
        limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Listed<Activity>, Problem> {
        let mentioned = Some(identity.user.to_string());
        let after = cursor.0.map(|cursor| cursor.after()).transpose()?;
        let filter = Filter { mentioned, after, ..Filter::default() };
        page(users, &filter, limit.0, |row| Activity::seen_by(identity.user, row)).await
    }
}

async fn page<T>(users: &Users, filter: &Filter, limit: Limit, view: impl FnMut(Row) -> T) -> Result<Listed<T>, Problem>
where
    T: poem_openapi::types::ParseFromJSON + poem_openapi::types::ToJSON,
{
    let rows = list::newest(&mut *users.database.connection().await?, filter, limit.rows()).await?;
    Ok(Listed(Page::from_rows(rows, limit, |row| row.id, view)?))
}
