//! Sessions: one per sign-in, the family of its refresh tokens.
//!
//! A session is good for [`LIFETIME`] at most and [`IDLE`] without use; its refresh tokens carry that as their expiry.

pub(crate) mod refresh_token;

use chrono::{DateTime, Duration, Utc};
use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper, dsl::now, insert_into,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    database::DatabaseError,
    types::{Secret, SessionId, UserId},
};

use crate::{Users, schema::session};

/// How long a session lasts at most.
const LIFETIME: Duration = Duration::days(30);
/// How long it lasts without use.
const IDLE: Duration = Duration::days(7);

/// A row of `session`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = session)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) user_id: UserId,
    pub(crate) created_at: DateTime<Utc>,
}

/// Why a session ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndReason {
    /// Its owner signed out.
    Logout,
    /// One of its refresh tokens came a second time.
    Reuse,
}

impl EndReason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::Reuse => "reuse",
        }
    }
}

impl Session {
    /// A new session of this user, and its first refresh token.
    pub(crate) async fn open(
        connection: &mut AsyncPgConnection,
        user: UserId,
    ) -> Result<(Self, Secret<String>), DatabaseError> {
        let session: Self = insert_into(session::table)
            .values((session::id.eq(SessionId::new()), session::user_id.eq(user)))
            .returning(Self::as_returning())
            .get_result(connection)
            .await?;
        let token = refresh_token::issue(connection, &session).await?;
        Ok((session, token))
    }

    /// This session, when it is that user's.
    pub(crate) async fn owned_by(
        connection: &mut AsyncPgConnection,
        user: UserId,
        id: SessionId,
    ) -> Result<Option<Self>, DatabaseError> {
        let owned = session::table.find(id).filter(session::user_id.eq(user));
        Ok(owned.select(Self::as_select()).first(connection).await.optional()?)
    }

    /// Notes that it is in use; `None` when it has ended. It cannot end before the transaction does.
    pub(crate) async fn touch(
        connection: &mut AsyncPgConnection,
        id: SessionId,
    ) -> Result<Option<Self>, DatabaseError> {
        let touched = diesel::update(session::table.find(id).filter(session::ended_at.is_null()))
            .set(session::last_used_at.eq(now))
            .returning(Self::as_returning())
            .get_result(connection)
            .await;
        Ok(touched.optional()?)
    }

    /// Ends it, and its refresh tokens with it; false when it had ended before.
    pub(crate) async fn end(
        connection: &mut AsyncPgConnection,
        id: SessionId,
        reason: EndReason,
    ) -> Result<bool, DatabaseError> {
        let ended = diesel::update(session::table.find(id).filter(session::ended_at.is_null()))
            .set((session::ended_at.eq(now), session::end_reason.eq(reason.as_str())))
            .execute(connection)
            .await?;
        Ok(ended == 1)
    }

    /// Until when a refresh token is good that is issued at `issued`.
    fn good_until(&self, issued: DateTime<Utc>) -> DateTime<Utc> {
        (issued + IDLE).min(self.created_at + LIFETIME)
    }
}

/// Deletes sessions that nobody used for a lifetime: whatever ended them, they are dead by then.
pub(crate) async fn forget_dead(users: Users) -> Result<(), DatabaseError> {
    let mut connection = users.database.connection().await?;
    let forgotten = diesel::delete(session::table.filter(session::last_used_at.lt(Utc::now() - LIFETIME)))
        .execute(&mut connection)
        .await?;
    tracing::debug!(forgotten, "old sessions are deleted");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_outlives_neither_the_idle_time_nor_the_session() {
        let created_at = DateTime::UNIX_EPOCH;
        let session = Session { id: SessionId::new(), user_id: UserId::new(), created_at };
        let day = |days| created_at + Duration::days(days);
        assert_eq!(session.good_until(day(0)), day(7));
        assert_eq!(session.good_until(day(20)), day(27));
        assert_eq!(session.good_until(day(29)), day(30));
    }
}
