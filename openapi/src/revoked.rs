//! Sessions and API keys that ended before their time, and people who may do other things than before: what speaks for them
//! is refused from then on.
//!
//! svc-user tells of each of these by an event. The gateway follows these ([`nats::follow`]), from longer ago than an access token
//! lives: a gateway that has just started knows what ended before. Nobody is asked per request, and nothing is stored.
//!
//! Trap: an end is remembered for a quarter of an hour. Whoever lets access tokens live for longer than ten minutes
//! ([`crate::token`] does not) has to remember it for longer as well.

use std::{
    hash::Hash,
    sync::Arc,
    time::{Duration, Instant},
};

use async_nats::Client;
use nats::{
    consume::Received,
    contracts::user::{RoleChanged, UserApiKeyRevoked, UserRolesChanged, UserSessionEnded},
    follow::{CaughtUp, follow},
    identity::Role,
    manifest::FollowEntry,
    types::{ApiKeyId, SessionId, UserId},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    expiring::{Expiring, Until},
    outdated::Outdated,
    realtime::Hub,
    token::now,
};

/// An access token lives for ten minutes; clocks differ, and so do the moments in which things are written down.
const REMEMBERED: Duration = Duration::from_secs(15 * 60);
/// Some fifty bytes each. When more end within that time, those that ended first are forgotten: few tokens of theirs live.
const MOST: usize = 200_000;
/// A gateway that has not caught up after so long is ready all the same: what it does not know expires by itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// What has ended of late.
pub(crate) struct Revoked {
    sessions: Expiring<SessionId, ()>,
    api_keys: Expiring<ApiKeyId, ()>,
    outdated: Outdated,
}

/// How far the following is.
pub(crate) struct Following {
    caught_up: [CaughtUp; 4],
    began: Instant,
}

/// What is followed, for the gateway's list.
pub(crate) fn follows() -> Vec<FollowEntry> {
    vec![
        FollowEntry::of::<UserSessionEnded>(),
        FollowEntry::of::<UserApiKeyRevoked>(),
        FollowEntry::of::<UserRolesChanged>(),
        FollowEntry::of::<RoleChanged>(),
    ]
}

impl Revoked {
    /// Nothing is known to have ended yet.
    pub(crate) fn new() -> Self {
        let (sessions, api_keys) = (Expiring::holding(MOST), Expiring::holding(MOST));
        Self { sessions, api_keys, outdated: Outdated::new() }
    }

    /// Keeps itself told until `stop`, and ends the streams of what has ended.
    pub(crate) fn follow(
        self: &Arc<Self>,
        client: &Client,
        hub: &Arc<Hub>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Following {
        let [ended, revoked, changed, redefined] = std::array::from_fn(|_| Arc::clone(self));
        let (of_sessions, of_keys) = (Arc::clone(hub), Arc::clone(hub));
        let end = move |Received { event, time, .. }: Received<UserSessionEnded>| {
            note(&ended.sessions, event.session_id, time.timestamp());
            of_sessions.end_session(event.user_id, event.session_id);
        };
        let revoke = move |Received { event, time, .. }: Received<UserApiKeyRevoked>| {
            note(&revoked.api_keys, event.api_key_id, time.timestamp());
            of_keys.end_api_key(event.user_id, event.api_key_id);
        };
        let change = move |Received { event, time, .. }: Received<UserRolesChanged>| {
            changed.outdated.user(event.user_id, event.revision, remembered_until(time.timestamp()));
        };
        let redefine = move |Received { event, time, .. }: Received<RoleChanged>| {
            redefined.outdated.role(&event.role, event.revision, remembered_until(time.timestamp()));
        };
        let (sessions, following_sessions) = follow(client, REMEMBERED, end, stop.clone());
        let (api_keys, following_api_keys) = follow(client, REMEMBERED, revoke, stop.clone());
        let (users, following_users) = follow(client, REMEMBERED, change, stop.clone());
        let (roles, following_roles) = follow(client, REMEMBERED, redefine, stop.clone());
        tasks.spawn(following_sessions);
        tasks.spawn(following_api_keys);
        tasks.spawn(following_users);
        tasks.spawn(following_roles);
        Following { caught_up: [sessions, api_keys, users, roles], began: Instant::now() }
    }

    /// Whether this session is known to have ended.
    pub(crate) fn session(&self, id: SessionId) -> bool {
        self.sessions.get(&id, now()).is_some()
    }

    /// Whether this API key is known to have been revoked.
    pub(crate) fn api_key(&self, id: ApiKeyId) -> bool {
        self.api_keys.get(&id, now()).is_some()
    }

    /// Whether what this user, with these roles, may do has changed since this revision.
    pub(crate) fn is_outdated(&self, user: UserId, roles: &[Role], revision: i64) -> bool {
        self.outdated.is(user, roles, revision)
    }
}

impl Following {
    /// Whether what ended before the gateway started is known, or was waited for long enough.
    pub(crate) fn is_ready(&self) -> bool {
        self.caught_up.iter().all(CaughtUp::now) || self.began.elapsed() >= PATIENCE
    }
}

/// Until when something of this second is remembered.
fn remembered_until(at: i64) -> u64 {
    u64::try_from(at).unwrap_or_default().saturating_add(REMEMBERED.as_secs())
}

/// Remembers what ended at this second, when that is not too long ago to matter: a stream that was filled again tells of
/// days.
fn note<K: Hash + Eq + Clone>(ended: &Expiring<K, ()>, id: K, at: i64) {
    let (now, end) = (now(), remembered_until(at));
    if end > now {
        ended.put(&id, Until { end, value: () }, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_remembered_for_as_long_as_a_token_could_live() {
        let revoked = Revoked::new();
        let (late, long_ago, other) = (SessionId::new(), SessionId::new(), SessionId::new());
        let now = i64::try_from(now()).unwrap_or_default();

        note(&revoked.sessions, late, now - 11 * 60);
        note(&revoked.sessions, long_ago, now - 16 * 60);

        assert!(revoked.session(late));
        assert!(!revoked.session(long_ago));
        assert!(!revoked.session(other));
    }
}
