//! Sessions and API keys that ended before their time: what speaks for them is refused from then on.
//!
//! svc-user tells of each end by an event. The gateway follows these ([`nats::follow`]), from longer ago than an access token
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
    contracts::user::{UserApiKeyRevoked, UserSessionEnded},
    follow::{CaughtUp, follow},
    manifest::FollowEntry,
    types::{ApiKeyId, SessionId},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    expiring::{Expiring, Until},
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
}

/// How far the following is.
pub(crate) struct Following {
    caught_up: [CaughtUp; 2],
    began: Instant,
}

/// What is followed, for the gateway's list.
pub(crate) fn follows() -> Vec<FollowEntry> {
    vec![FollowEntry::of::<UserSessionEnded>(), FollowEntry::of::<UserApiKeyRevoked>()]
}

impl Revoked {
    /// Nothing is known to have ended yet.
    pub(crate) fn new() -> Self {
        Self { sessions: Expiring::holding(MOST), api_keys: Expiring::holding(MOST) }
    }

    /// Keeps itself told until `stop`.
    pub(crate) fn follow(
        self: &Arc<Self>,
        client: &Client,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Following {
        let (ended, revoked) = (Arc::clone(self), Arc::clone(self));
        let end = move |Received { event, time, .. }: Received<UserSessionEnded>| {
            note(&ended.sessions, event.session_id, time.timestamp());
        };
        let revoke = move |Received { event, time, .. }: Received<UserApiKeyRevoked>| {
            note(&revoked.api_keys, event.api_key_id, time.timestamp());
        };
        let (sessions, following_sessions) = follow(client, REMEMBERED, end, stop.clone());
        let (api_keys, following_api_keys) = follow(client, REMEMBERED, revoke, stop.clone());
        tasks.spawn(following_sessions);
        tasks.spawn(following_api_keys);
        Following { caught_up: [sessions, api_keys], began: Instant::now() }
    }

    /// Whether this session is known to have ended.
    pub(crate) fn session(&self, id: SessionId) -> bool {
        self.sessions.get(&id, now()).is_some()
    }

    /// Whether this API key is known to have been revoked.
    pub(crate) fn api_key(&self, id: ApiKeyId) -> bool {
        self.api_keys.get(&id, now()).is_some()
    }
}

impl Following {
    /// Whether what ended before the gateway started is known, or was waited for long enough.
    pub(crate) fn is_ready(&self) -> bool {
        self.caught_up.iter().all(CaughtUp::now) || self.began.elapsed() >= PATIENCE
    }
}

/// Remembers what ended at this second, when that is not too long ago to matter: a stream that was filled again tells of
/// days.
fn note<K: Hash + Eq + Clone>(ended: &Expiring<K, ()>, id: K, at: i64) {
    let (now, end) = (now(), u64::try_from(at).unwrap_or_default().saturating_add(REMEMBERED.as_secs()));
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
