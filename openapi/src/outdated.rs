//! What somebody may do has changed: what was issued to them before says it no more, and has to be refreshed.
//!
//! svc-user numbers these changes: what it issues says as of which revision it is, and the event of a change says which is the
//! next. Nothing depends on clocks. As with sessions, a change is remembered for as long as an access token could live.

use std::sync::atomic::{AtomicI64, Ordering};

use nats::{identity::Role, types::UserId};

use crate::{
    expiring::{Expiring, Until},
    token::now,
};

/// Some fifty bytes each.
const MOST_USERS: usize = 200_000;
/// svc-user lets there be a hundred, and some may be new.
const MOST_ROLES: usize = 64 * 64;

/// Which revisions are too old for whom.
pub(crate) struct Outdated {
    users: Expiring<UserId, i64>,
    roles: Expiring<Role, i64>,
    /// The newest of all changes of roles. Nearly all requests come with something newer, and need not look at each role.
    newest_of_roles: AtomicI64,
}

impl Outdated {
    /// Nothing is known to have changed yet.
    pub(crate) fn new() -> Self {
        let (users, roles) = (Expiring::holding(MOST_USERS), Expiring::holding(MOST_ROLES));
        Self { users, roles, newest_of_roles: AtomicI64::new(0) }
    }

    /// What was issued to this user before this revision is outdated, until this second.
    pub(crate) fn user(&self, user: UserId, revision: i64, end: u64) {
        note(&self.users, &user, revision, end);
    }

    /// What was issued to whoever has this role before this revision is outdated, until this second.
    pub(crate) fn role(&self, role: &Role, revision: i64, end: u64) {
        note(&self.roles, role, revision, end);
        self.newest_of_roles.fetch_max(revision, Ordering::AcqRel);
    }

    /// Whether what was issued to this user, with these roles, as of this revision, is outdated.
    pub(crate) fn is(&self, user: UserId, roles: &[Role], revision: i64) -> bool {
        let now = now();
        let older = |newest: Option<i64>| newest.is_some_and(|newest| revision < newest);
        older(self.users.get(&user, now))
            || (revision < self.newest_of_roles.load(Ordering::Acquire)
                && roles.iter().any(|role| older(self.roles.get(role, now))))
    }
}

/// Remembers the newest: what is followed comes again, and not always in order.
fn note<K: std::hash::Hash + Eq + Clone>(changed: &Expiring<K, i64>, id: &K, revision: i64, end: u64) {
    changed.change(id, now(), |known| {
        let newer = known.is_none_or(|known| *known < revision);
        (newer.then_some(Until { end, value: revision }), ())
    });
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_an_earlier_revision_is_outdated() {
        let (outdated, soon) = (Outdated::new(), now() + 60);
        let (user, other, staff) = (UserId::new(), UserId::new(), [Role::CUSTOMER, Role::STAFF]);

        outdated.user(user, 5, soon);
        assert!(outdated.is(user, &staff, 4));
        assert!(!outdated.is(user, &staff, 5), "this is what the change led to");
        assert!(!outdated.is(other, &staff, 1));

        outdated.role(&Role::STAFF, 7, soon);
        assert!(outdated.is(other, &staff, 6) && outdated.is(user, &staff, 6));
        assert!(!outdated.is(other, &staff, 7));
        assert!(!outdated.is(other, &[Role::CUSTOMER], 1), "whoever does not have the role");
    }

    #[test]
    fn an_event_that_comes_again_makes_nothing_good() {
        let (outdated, user, soon) = (Outdated::new(), UserId::new(), now() + 60);
        outdated.user(user, 5, soon);
        outdated.user(user, 3, soon);
        assert!(outdated.is(user, &[], 4));
    }

    #[test]
    fn it_is_forgotten_when_no_token_of_then_can_live() {
        let (outdated, user) = (Outdated::new(), UserId::new());
        outdated.user(user, 5, now());
        assert!(!outdated.is(user, &[], 4));
    }
}
