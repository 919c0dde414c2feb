//! Who is connected: each person's streams, and what is on its way to them.
//!
//! Handing on never waits. Each stream has a queue of its own; whoever takes in so little that it is full is dropped.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use nats::{
    config::{SettingError, Settings},
    contracts::notify::Message,
    problem::Problem,
    types::{ApiKeyId, SessionId, UserId},
};
use tokio::sync::{Notify, mpsc, watch};

use super::Listener;

/// How many messages may wait for one client; they are shared by all streams of a person.
const QUEUE: usize = 256;
/// When somebody who has enough streams may come again: a client that went away is soon noticed.
const COME_AGAIN: Duration = Duration::from_secs(10);

/// Why a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The client takes in too little.
    TooSlow,
    /// The token or key has ended, or its session.
    Unauthenticated,
    /// The gateway stops.
    Restarting,
    /// What is missing cannot be asked for.
    Interrupted,
}

/// A stream, as the hub knows it.
struct Connection {
    listener: Listener,
    queue: mpsc::Sender<Arc<Message>>,
    /// The sequence of the last message that was put there.
    put: AtomicI64,
    ended: watch::Sender<Option<End>>,
    /// Something may have been missed.
    look: Arc<Notify>,
}

impl Connection {
    /// Puts a message into the queue, unless it was there before; whether the stream goes on.
    fn put(&self, message: &Arc<Message>) -> bool {
        if message.sequence <= self.put.load(Ordering::Relaxed) {
            return true;
        }
        if self.queue.try_send(Arc::clone(message)).is_err() {
            tracing::info!(user = %self.listener.user, "a client takes in too little; its stream ends");
            self.end(End::TooSlow);
            return false;
        }
        self.put.store(message.sequence, Ordering::Relaxed);
        true
    }

    fn end(&self, why: End) {
        self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            ended.get_or_insert(why);
            first
        });
    }
}

type People = HashMap<UserId, Vec<Arc<Connection>>>;

/// See the head of this file.
pub(crate) struct Hub {
    /// How many streams each person may have.
    most: usize,
    people: Mutex<People>,
}

/// A stream's place at the hub, for as long as it is kept.
pub(super) struct Joined {
    hub: Arc<Hub>,
    connection: Arc<Connection>,
    /// What is posted from now on.
    pub(super) queue: mpsc::Receiver<Arc<Message>>,
    /// Whether it has ended, and why.
    pub(super) ended: watch::Receiver<Option<End>>,
    /// Told when something may have been missed.
    pub(super) look: Arc<Notify>,
}

impl Hub {
    /// As the settings say; nobody is connected yet.
    ///
    /// # Errors
    /// When a setting does not parse.
    pub(crate) fn of(settings: &Settings) -> Result<Self, SettingError> {
        let most: NonZeroUsize = settings.parse("STREAMS_PER_USER", NonZeroUsize::MIN.saturating_add(7))?;
        Ok(Self::new(most.get()))
    }

    fn new(most: usize) -> Self {
        Self { most, people: Mutex::default() }
    }

    /// Joins: what is posted to this person from now on comes to the stream as well.
    ///
    /// # Errors
    /// `too_many_requests` when the person has enough streams.
    pub(super) fn join(self: &Arc<Self>, listener: Listener) -> Result<Joined, Problem> {
        let user = listener.user;
        let (sender, queue) = mpsc::channel(QUEUE);
        let (ending, ended) = watch::channel(None);
        let look = Arc::new(Notify::new());
        let put = AtomicI64::new(0);
        let connection = Arc::new(Connection { listener, queue: sender, put, ended: ending, look: Arc::clone(&look) });
        let mut people = self.people();
        let connections = people.entry(user).or_default();
        if connections.len() >= self.most {
            let detail = format!("You have {} streams open here already. Close one of them.", connections.len());
            return Err(Problem::too_many_requests(detail, COME_AGAIN));
        }
        connections.push(Arc::clone(&connection));
        Ok(Joined { hub: Arc::clone(self), connection, queue, ended, look })
    }

    /// Hands a message to all streams of a person.
    pub(super) fn hand_on(&self, user: UserId, message: Message) {
        let mut people = self.people();
        let Some(connections) = people.get_mut(&user) else { return };
        let message = Arc::new(message);
        connections.retain(|connection| connection.put(&message));
        if connections.is_empty() {
            people.remove(&user);
        }
    }

    /// A person's session has ended before its time.
    pub(crate) fn end_session(&self, user: UserId, session: SessionId) {
        self.end_where(user, |listener| listener.session == Some(session));
    }

    /// A person's API key was revoked.
    pub(crate) fn end_api_key(&self, user: UserId, key: ApiKeyId) {
        self.end_where(user, |listener| listener.api_key == Some(key));
    }

    fn end_where(&self, user: UserId, is_one: impl Fn(&Listener) -> bool) {
        let people = self.people();
        let connections = people.get(&user).into_iter().flatten();
        connections
            .filter(|connection| is_one(&connection.listener))
            .for_each(|connection| connection.end(End::Unauthenticated));
    }

    /// Something may have been missed: every stream looks.
    pub(super) fn look_again(&self) {
        self.people().values().flatten().for_each(|connection| connection.look.notify_one());
    }

    fn people(&self) -> MutexGuard<'_, People> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        let user = self.connection.listener.user;
        let mut people = self.hub.people();
        let Some(connections) = people.get_mut(&user) else { return };
        connections.retain(|connection| !Arc::ptr_eq(connection, &self.connection));
        if connections.is_empty() {
            people.remove(&user);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
pub(super) mod tests {
    use nats::{
        contracts::notify::{MessageAbout, MessageKind},
        problem::Code,
        types::MessageId,
    };

    use super::*;

    pub(in crate::realtime) fn listener(user: UserId) -> Listener {
        Listener { user, session: Some(SessionId::new()), api_key: None, until: u64::MAX }
    }

    pub(in crate::realtime) fn message(sequence: i64) -> Message {
        let (id, about) = (MessageId::new(), MessageAbout::default());
        Message { id, sequence, kind: MessageKind::OrderPlaced, about, created_at: chrono::DateTime::UNIX_EPOCH }
    }

    fn waiting(joined: &mut Joined) -> Vec<i64> {
        std::iter::from_fn(|| joined.queue.try_recv().ok()).map(|message| message.sequence).collect()
    }

    fn end(joined: &Joined) -> Option<End> {
        *joined.ended.borrow()
    }

    #[test]
    fn each_stream_of_a_person_gets_each_message_once_and_nobody_elses() {
        let (hub, ada, eve) = (Arc::new(Hub::new(8)), UserId::new(), UserId::new());
        let [mut first, mut second, mut other] = [ada, ada, eve].map(|user| hub.join(listener(user)).unwrap());

        for sequence in [1, 2, 2, 1, 3] {
            hub.hand_on(ada, message(sequence));
        }

        assert_eq!(waiting(&mut first), [1, 2, 3]);
        assert_eq!(waiting(&mut second), [1, 2, 3]);
        assert!(waiting(&mut other).is_empty());
    }

    #[test]
    fn a_person_has_so_many_streams_and_gets_their_places_back() {
        let (hub, ada) = (Arc::new(Hub::new(2)), UserId::new());
        let first = hub.join(listener(ada)).unwrap();
        let second = hub.join(listener(ada)).unwrap();
        assert_eq!(hub.join(listener(ada)).err().unwrap().code(), Code::TooManyRequests);
        let other = hub.join(listener(UserId::new())).unwrap();

        drop(first);
        let third = hub.join(listener(ada)).unwrap();

        drop((second, third, other));
        assert!(hub.people().is_empty(), "nothing is remembered of who has gone");
    }

    #[test]
    fn whoever_takes_in_too_little_is_dropped_and_nobody_else() {
        let (hub, ada) = (Arc::new(Hub::new(8)), UserId::new());
        let (slow, mut quick) = (hub.join(listener(ada)).unwrap(), hub.join(listener(ada)).unwrap());
        let last = i64::try_from(QUEUE).unwrap() + 1;
        for sequence in 1..=last {
            hub.hand_on(ada, message(sequence));
            assert_eq!(waiting(&mut quick), [sequence]);
        }

        assert_eq!((end(&slow), end(&quick)), (Some(End::TooSlow), None));
        hub.hand_on(ada, message(last + 1));
        assert_eq!(waiting(&mut quick), [last + 1]);
        drop((slow, quick));
        assert!(hub.people().is_empty());
    }

    #[test]
    fn an_end_is_told_to_whom_it_concerns() {
        let (hub, ada) = (Arc::new(Hub::new(8)), UserId::new());
        let (session, key) = (SessionId::new(), ApiKeyId::new());
        let by_session = Listener { session: Some(session), ..listener(ada) };
        let by_key = Listener { session: None, api_key: Some(key), ..listener(ada) };
        let [of_session, of_key, other] = [by_session, by_key, listener(ada)].map(|one| hub.join(one).unwrap());

        hub.end_session(UserId::new(), session);
        assert_eq!([&of_session, &of_key, &other].map(end), [None; 3]);
        hub.end_session(ada, session);
        assert_eq!([&of_session, &of_key, &other].map(end), [Some(End::Unauthenticated), None, None]);
        hub.end_api_key(ada, key);
        assert_eq!([&of_key, &other].map(end), [Some(End::Unauthenticated), None]);
    }
}
