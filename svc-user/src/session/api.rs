//! One's own sessions: where one is signed in, and signing out there.

use chrono::{DateTime, Utc};
use diesel::{ExpressionMethods, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;
use nats::{
    http::{Listed, NoContent},
    identity::User,
    problem::Problem,
    types::{Cursor, Limit, Page, SessionId},
};
use poem::web::Data;
use poem_openapi::{
    Object, OpenApi, Tags,
    param::{Path, Query},
};
use serde::{Deserialize, Serialize};

use super::{EndReason, Session};
use crate::{Users, schema::session, user::Account};

#[derive(Tags)]
enum Tag {
    /// Accounts and tokens.
    Authentication,
}

/// A place where one is signed in.
#[derive(Clone, Serialize, Deserialize, Object)]
#[oai(rename = "Session")]
pub struct SessionView {
    /// Names the session.
    id: SessionId,
    /// What signed in, as it said of itself (`User-Agent`).
    #[oai(nullable)]
    user_agent: Option<String>,
    /// Where it was opened from: an IPv4 address, or a /64 of IPv6.
    #[oai(nullable)]
    address: Option<String>,
    /// When it was opened.
    created_at: DateTime<Utc>,
    /// When it last got tokens.
    last_used_at: DateTime<Utc>,
    /// When it ends, unless it is used before.
    expires_at: DateTime<Utc>,
    /// Whether the access token of this request belongs to it.
    current: bool,
}

impl SessionView {
    fn of(session: Session, current: Option<SessionId>) -> Self {
        let expires_at = session.good_until();
        let Session { id, created_at, last_used_at, user_agent, address, .. } = session;
        Self { id, user_agent, address, created_at, last_used_at, expires_at, current: current == Some(id) }
    }
}

/// The endpoints of sessions.
pub struct SessionApi;

#[OpenApi(prefix_path = "/v1/sessions", tag = "Tag::Authentication")]
impl SessionApi {
    /// List one's sessions
    ///
    /// Those that go on, the newest first. Each is one sign-in, and ends 30 days later, or after 7 days without use.
    #[oai(path = "/", method = "get", operation_id = "list_sessions")]
    async fn list_sessions(
        &self,
        Data(users): Data<&Users>,
        User(identity): User,
        limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Listed<SessionView>, Problem> {
        let mut query = Session::alive_of(identity.user).order(session::id.desc()).limit(limit.0.rows());
        if let Some(cursor) = cursor.0 {
            query = query.filter(session::id.lt(cursor.after::<SessionId>()?));
        }
        let mut connection = users.database.connection().await?;
        let rows: Vec<Session> = query.select(Session::as_select()).load(&mut connection).await?;
        let view = |row| SessionView::of(row, identity.session);
        Ok(Listed(Page::from_rows(rows, limit.0, |row| row.id, view)?))
    }

    /// End one of one's sessions
    ///
    /// Its refresh token is worthless at once, its access token within a second. The own session may be ended as well.
    #[oai(path = "/:id", method = "delete", operation_id = "end_session")]
    async fn end_session(
        &self,
        Data(users): Data<&Users>,
        User(identity): User,
        id: Path<SessionId>,
    ) -> Result<NoContent, Problem> {
        let gone = || Problem::not_found("session");
        let mut tx = users.database.begin().await?;
        let session = Session::owned_by(&mut tx, identity.user, id.0).await?.ok_or_else(gone)?;
        let current = identity.session == Some(session.id);
        let reason = if current { EndReason::Logout } else { EndReason::Revoked };
        if !Session::end(&mut tx, session.id, reason).await? {
            return Err(gone());
        }
        tx.commit().await?;
        Ok(NoContent)
    }

    /// End all of one's other sessions
    ///
    /// The one that this request's access token belongs to goes on; everywhere else one is signed out. A person who is
    /// gone is `not_found`.
    #[oai(path = "/", method = "delete", operation_id = "end_other_sessions")]
    async fn end_other_sessions(&self, Data(users): Data<&Users>, User(identity): User) -> Result<NoContent, Problem> {
        let mut tx = users.database.begin().await?;
        Account::lock(&mut tx, identity.user).await?.ok_or_else(|| Problem::not_found("user"))?;
        Session::end_all(&mut tx, identity.user, identity.session, EndReason::Revoked).await?;
        tx.commit().await?;
        Ok(NoContent)
    }
}
