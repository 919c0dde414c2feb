//! One stream: the messages to a person after the one they have, in their order, each once, until there is a reason to end.
//!
//! A stream joins the hub before it asks svc-notify what it missed: what is posted in between comes to its queue. So
//! whatever comes twice is known by its number, and so is whatever is missing, which is asked for.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use nats::{
    contracts::notify::{GetMessages, Message},
    invoke::Caller,
    problem::{Code, Problem},
    types::UserId,
};
use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, sleep, sleep_until, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    Listener,
    hub::{End, Hub, Joined},
};
use crate::{revoked::Revoked, server::Place};

/// How many messages are asked for at once.
const PAGE: i64 = 200;
/// How many streams of this gateway ask at once: after a reconnect all of them do.
const ASK_AT_ONCE: usize = 32;
/// How long a stream tries to ask for what it misses, and how often.
const ASK_FOR: Duration = Duration::from_secs(30);
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// Longer than any token or key lives: the clock cannot count to every end that could be named.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// What all streams share.
pub(super) struct Feeds {
    hub: Arc<Hub>,
    questions: Questions,
    revoked: Arc<Revoked>,
    stop: CancellationToken,
}

/// Asks svc-notify.
#[derive(Clone)]
struct Questions {
    calls: Caller,
    at_once: Arc<Semaphore>,
}

impl Feeds {
    pub(super) fn new(hub: Arc<Hub>, calls: Caller, revoked: Arc<Revoked>, stop: CancellationToken) -> Self {
        let questions = Questions { calls, at_once: Arc::new(Semaphore::new(ASK_AT_ONCE)) };
        Self { hub, questions, revoked, stop }
    }

    /// Whether what somebody came with has not ended in the meantime.
    ///
    /// # Errors
    /// `unauthenticated` when it has.
    pub(super) fn still_good(&self, listener: &Listener) -> Result<(), Problem> {
        if listener.has_ended(&self.revoked) {
            return Err(Problem::new(Code::Unauthenticated, "Your session has ended, or your API key was revoked."));
        }
        Ok(())
    }

    /// Begins a stream after the message of this sequence; with what comes, when there is none. `place` is the connection
    /// that it goes over.
    ///
    /// # Errors
    /// `too_many_requests`, `unauthenticated`, and `unavailable` when svc-notify cannot be asked.
    pub(super) async fn open(
        &self,
        listener: Listener,
        after: Option<i64>,
        place: Option<Place>,
    ) -> Result<Feed, Problem> {
        let (user, ends_at) = (listener.user, ends_at(listener.until));
        let joined = self.hub.join(listener.clone())?;
        // An end that was told before the stream had joined.
        self.still_good(&listener)?;
        let answer = self.questions.calls.call(&GetMessages { user_id: user, after, limit: PAGE }).await;
        let answer = answer.map_err(|error| error.problem(|never| match never {}))?;
        // Whoever names a message that there never was begins with what comes.
        let last = after.map_or(answer.last, |after| after.clamp(0, answer.last.max(0)));
        let behind = is_full(&answer.messages).then(Instant::now);
        let backlog = answer.messages.into_iter().map(Arc::new).collect();
        let ends = Ends { ended: joined.ended.clone(), ends_at, stop: self.stop.clone() };
        let questions = self.questions.clone();
        Ok(Feed { user, joined, ends, questions, last, backlog, next: None, behind, _place: place })
    }
}

/// Whether there may be more behind these.
fn is_full(messages: &[Message]) -> bool {
    i64::try_from(messages.len()).is_ok_and(|count| count >= PAGE)
}

/// When what ends at this second since 1970 has ended.
fn ends_at(until: u64) -> Instant {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Instant::now() + Duration::from_secs(until).saturating_sub(now).min(LONGEST)
}

/// A stream of messages.
pub(super) struct Feed {
    user: UserId,
    joined: Joined,
    ends: Ends,
    questions: Questions,
    /// The sequence of the last message that was given out.
    last: i64,
    /// What was asked for.
    backlog: VecDeque<Arc<Message>>,
    /// What came while something before it was missing.
    next: Option<Arc<Message>>,
    /// Since when something is to be asked for.
    behind: Option<Instant>,
    /// Kept for as long as the stream goes on.
    _place: Option<Place>,
}

/// Why a stream could end.
struct Ends {
    ended: watch::Receiver<Option<End>>,
    ends_at: Instant,
    stop: CancellationToken,
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Next {
    Message(Arc<Message>),
    End(End),
}

impl Feed {
    /// The sequence of the message after which the stream goes on.
    pub(super) const fn last(&self) -> i64 {
        self.last
    }

    /// The next message, or that the stream is over. Nothing is lost by not waiting for it to the end.
    pub(super) async fn next(&mut self) -> Next {
        loop {
            if let Some(end) = *self.joined.ended.borrow() {
                return Next::End(end);
            }
            if let Some(message) = self.at_hand() {
                return Next::Message(message);
            }
            let (queue, look) = (&mut self.joined.queue, &self.joined.look);
            tokio::select! {
                biased;
                end = self.ends.come() => return Next::End(end),
                answer = self.questions.ask(self.user, self.last, self.behind) => match answer {
                    Some(messages) => {
                        self.behind = is_full(&messages).then(Instant::now);
                        self.backlog.extend(messages.into_iter().map(Arc::new));
                    }
                    None => return Next::End(End::Interrupted),
                },
                () = look.notified() => self.behind = Some(Instant::now()),
                Some(message) = queue.recv(), if self.behind.is_none() => {
                    if message.sequence > self.last + 1 {
                        self.behind = Some(Instant::now());
                    }
                    self.next = Some(message);
                }
            }
        }
    }

    /// Waits until the stream is over.
    pub(super) async fn ended(&mut self) -> End {
        self.ends.come().await
    }

    /// The next message that is here already, past those that were given out.
    fn at_hand(&mut self) -> Option<Arc<Message>> {
        loop {
            let waits = || self.next.take_if(|_| self.behind.is_none());
            let message = self.backlog.pop_front().or_else(waits)?;
            if message.sequence > self.last {
                self.last = message.sequence;
                return Some(message);
            }
        }
    }
}

impl Ends {
    async fn come(&mut self) -> End {
        tokio::select! {
            biased;
            ended = self.ended.wait_for(Option::is_some) => match ended {
                Ok(ended) => ended.unwrap_or(End::Interrupted),
                // The hub keeps the other half for as long as the stream is joined.
                Err(_gone) => End::Interrupted,
            },
            () = sleep_until(self.ends_at) => End::Unauthenticated,
            () = self.stop.cancelled() => End::Restarting,
        }
    }
}

impl Questions {
    /// What came after this message, once something is to be asked for; `None` when nobody answered for too long.
    async fn ask(&self, user_id: UserId, last: i64, behind: Option<Instant>) -> Option<Vec<Message>> {
        let Some(since) = behind else { return std::future::pending().await };
        let question = GetMessages { user_id, after: Some(last), limit: PAGE };
        let asking = async {
            loop {
                // Never closed.
                let turn = self.at_once.acquire().await.ok();
                match self.calls.call(&question).await {
                    Ok(answer) => return answer.messages,
                    Err(error) => tracing::debug!(%error, "what a stream has missed cannot be asked for"),
                }
                drop(turn);
                sleep(ASK_AGAIN).await;
            }
        };
        timeout_at(since + ASK_FOR, asking).await.ok()
    }
}
