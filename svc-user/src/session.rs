//! Sessions: one per sign-in, the family of its refresh tokens.
//!
//! A session is good for 30 days at most and for 7 without use; its refresh tokens carry that as their expiry. A person has
//! 200 at a time: one more, and the one that was not used for longest ends.
//!
//! Trap: an access token is believed until it expires by whoever does not listen. Each end is an event, in the transaction
//! of the end, and the gateway listens.

pub mod api;
pub(crate) mod device;
pub(crate) mod refresh_token;

use std::net::IpAddr;

use chrono::{DateTime, Duration, Utc};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl, Queryable, QueryableByName,
    Selectable, SelectableHelper,
    dsl::{exists, now, sql},
    insert_into,
    pg::Pg,
    sql_query, sql_types,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    contracts::user::UserSessionEnded,
    database::{DatabaseError, Tx},
    outbox::Traced,
    telemetry::Trace,
    types::{Email, Secret, SessionId, UserId},
};

use crate::{
    Users,
    schema::{lower, session, user},
};
use device::Device;

/// How long a session lasts at most.
const LIFETIME: Duration = Duration::days(30);
/// How long it lasts without use.
const IDLE: Duration = Duration::days(7);
/// How many a person has at a time.
const MOST: i64 = 200;
/// Neither ended nor expired, as [`LIFETIME`] and [`IDLE`] say, by the database's clock.
const ALIVE: &str =
    "ended_at is null and last_used_at > now() - interval '7 days' and created_at > now() - interval '30 days'";

/// A row of `session`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = session)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) user_id: UserId,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) last_used_at: DateTime<Utc>,
    pub(crate) user_agent: Option<String>,
    pub(crate) address: Option<String>,
}

/// Why a session ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndReason {
    /// Its owner signed out.
    Logout,
    /// One of its refresh tokens came again.
    Reuse,
    /// Its owner ended it from another session.
    Revoked,
    /// Its owner set a new password.
    PasswordChange,
    /// Someone who reads its owner's mail set a new password.
    PasswordReset,
    /// Its owner has too many.
    Displaced,
    /// Whose address the account's is signed in, and had not been the one who registered.
    Claimed,
}

impl EndReason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::Reuse => "reuse",
            Self::Revoked => "revoked",
            Self::PasswordChange => "password_change",
            Self::PasswordReset => "password_reset",
            Self::Displaced => "displaced",
            Self::Claimed => "claimed",
        }
    }
}

impl Session {
    /// A new session of this user, and its first refresh token.
    pub(crate) async fn open(
        tx: &mut Tx,
        user: UserId,
        device: &Device,
    ) -> Result<(Self, Secret<String>), DatabaseError> {
        let session: Self = insert_into(session::table)
            .values((
                session::id.eq(SessionId::new()),
                session::user_id.eq(user),
                session::user_agent.eq(device.user_agent.as_deref()),
                session::address.eq(device.network.map(|network| network.to_string())),
            ))
            .returning(Self::as_returning())
            .get_result(tx)
            .await?;
        Self::displace(tx, user).await?;
        let token = refresh_token::issue(tx, &session).await?;
        Ok((session, token))
    }

    /// The sessions of this person that go on: the only way in from outside.
    pub(crate) fn alive_of(user: UserId) -> session::BoxedQuery<'static, Pg> {
        session::table.filter(session::user_id.eq(user)).filter(sql::<sql_types::Bool>(ALIVE)).into_boxed()
    }

    /// This session, when it is that user's and goes on.
    pub(crate) async fn owned_by(
        connection: &mut AsyncPgConnection,
        user: UserId,
        id: SessionId,
    ) -> Result<Option<Self>, DatabaseError> {
        let owned = Self::alive_of(user).filter(session::id.eq(id)).select(Self::as_select());
        Ok(owned.first(connection).await.optional()?)
    }

    /// Whether whoever has this e-mail address, in whatever case, has signed in from this network of late. What ended because
    /// it may have been somebody else's does not count. It takes as long for an address that nobody has.
    pub(crate) async fn began_at(
        connection: &mut AsyncPgConnection,
        email: &Email,
        network: IpAddr,
    ) -> Result<bool, DatabaseError> {
        let began = session::table
            .inner_join(user::table.on(user::id.eq(session::user_id)))
            .filter(lower(user::email).eq(lower(email.as_str())))
            .filter(session::address.eq(network.to_string()))
            .filter(
                session::end_reason
                    .is_null()
                    .or(session::end_reason.eq_any([EndReason::Logout, EndReason::Displaced].map(EndReason::as_str))),
            );
        Ok(diesel::select(exists(began)).get_result(connection).await?)
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
    pub(crate) async fn end(tx: &mut Tx, id: SessionId, reason: EndReason) -> Result<bool, DatabaseError> {
        let ended: Option<UserId> = diesel::update(session::table.find(id).filter(session::ended_at.is_null()))
            .set((session::ended_at.eq(now), session::end_reason.eq(reason.as_str())))
            .returning(session::user_id)
            .get_result(tx)
            .await
            .optional()?;
        let Some(user_id) = ended else { return Ok(false) };
        tx.record(&UserSessionEnded { user_id, session_id: id }).await?;
        Ok(true)
    }

    /// Ends all of a person's sessions, except one. Lock the person's row before: two of these at once would wait for each
    /// other.
    pub(crate) async fn end_all(
        tx: &mut Tx,
        user: UserId,
        except: Option<SessionId>,
        reason: EndReason,
    ) -> Result<(), DatabaseError> {
        let ended: Vec<Ended> = sql_query(
            "update session set ended_at = now(), end_reason = $3
             where user_id = $1 and ended_at is null and id is distinct from $2 returning id",
        )
        .bind::<sql_types::Uuid, _>(user)
        .bind::<sql_types::Nullable<sql_types::Uuid>, _>(except)
        .bind::<sql_types::Text, _>(reason.as_str())
        .load(tx)
        .await?;
        tell(tx, user, ended).await
    }

    async fn displace(tx: &mut Tx, user: UserId) -> Result<(), DatabaseError> {
        let ended: Vec<Ended> = sql_query(
            "update session set ended_at = now(), end_reason = $3
             where id in (select id from session where user_id = $1 and ended_at is null
                          order by last_used_at desc, id desc offset $2) returning id",
        )
        .bind::<sql_types::Uuid, _>(user)
        .bind::<sql_types::BigInt, _>(MOST)
        .bind::<sql_types::Text, _>(EndReason::Displaced.as_str())
        .load(tx)
        .await?;
        tell(tx, user, ended).await
    }

    /// Until when it is good, unless it is used again.
    pub(crate) fn good_until(&self) -> DateTime<Utc> {
        (self.last_used_at + IDLE).min(self.created_at + LIFETIME)
    }
}

/// A session that one statement ended, among others.
#[derive(QueryableByName)]
struct Ended {
    #[diesel(sql_type = sql_types::Uuid)]
    id: SessionId,
}

async fn tell(tx: &mut Tx, user_id: UserId, ended: Vec<Ended>) -> Result<(), DatabaseError> {
    let trace = Trace::current();
    let event = |Ended { id: session_id }| UserSessionEnded { user_id, session_id };
    let events: Vec<_> = ended.into_iter().map(|ended| Traced { event: event(ended), trace: trace.clone() }).collect();
    tx.record_all(&events).await
}

/// Deletes sessions that nobody used for a lifetime: whatever ended them, they are dead by then.
pub(crate) async fn forget_dead(users: Users) -> Result<(), DatabaseError> {
    let mut connection = users.database.connection().await?;
    let a_lifetime_ago = sql::<sql_types::Timestamptz>("now() - interval '30 days'");
    let forgotten = diesel::delete(session::table.filter(session::last_used_at.lt(a_lifetime_ago)))
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
        let day = |days| created_at + Duration::days(days);
        let used_on = |days| {
            let (id, user_id, last_used_at) = (SessionId::new(), UserId::new(), day(days));
            Session { id, user_id, created_at, last_used_at, user_agent: None, address: None }
        };
        assert_eq!(used_on(0).good_until(), day(7));
        assert_eq!(used_on(20).good_until(), day(27));
        assert_eq!(used_on(29).good_until(), day(30));
    }
}
