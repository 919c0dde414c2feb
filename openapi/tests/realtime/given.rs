//! A gateway with streams, and what svc-notify tells it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use nats::{
    contracts::notify::{GetMessages, Message, MessageAbout, MessageKind, MessagePosted, Messages},
    types::{MessageId, OrderId, SessionId, UserId},
};
use reqwest::{Method, RequestBuilder};
use stack::Bed;

use super::client::Events;
use crate::scene::{Door, Scene};

pub(super) const STREAM: &str = "/v1/notifications/stream";
pub(super) const SOCKET: &str = "/v1/notifications/ws";
pub(super) const TICKETS: &str = "/v1/notifications/tickets";
const UNLIMITED: (&str, &str) = ("LIMITS", "read=100000/60 write=100000/60");

/// What svc-notify has written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<HashMap<UserId, Vec<Message>>>>);

impl Written {
    fn answer(&self, question: &GetMessages) -> Messages {
        let written = self.0.lock().unwrap();
        let all = written.get(&question.user_id).cloned().unwrap_or_default();
        let last = all.last().map_or(0, |message| message.sequence);
        let limit = usize::try_from(question.limit).unwrap();
        let after = question.after.unwrap_or(i64::MAX);
        let messages = all.into_iter().filter(|message| message.sequence > after).take(limit).collect();
        Messages { messages, last }
    }

    fn write(&self, user: UserId, reason: &str) -> Message {
        let mut written = self.0.lock().unwrap();
        let all = written.entry(user).or_default();
        let about =
            MessageAbout { order_id: Some(OrderId::new()), reason: Some(reason.to_owned()), ..MessageAbout::default() };
        let message = Message {
            id: MessageId::new(),
            sequence: i64::try_from(all.len()).unwrap() + 1,
            kind: MessageKind::OrderCanceled,
            about,
            created_at: chrono::Utc::now(),
        };
        all.push(message.clone());
        message
    }
}

/// A scene in which svc-notify answers.
pub(super) struct Realtime {
    pub(super) scene: Scene,
    written: Written,
}

/// Somebody signed in.
#[derive(Clone)]
pub(super) struct Person {
    pub(super) user: UserId,
    pub(super) session: SessionId,
    pub(super) token: String,
}

impl Realtime {
    pub(super) async fn set() -> Self {
        let bed = Bed::start().await;
        bed.let_in(&openapi::manifest()).await;
        let (scene, written) = (Scene::on(bed).await, Written::default());
        let realtime = Self { scene, written: written.clone() };
        // The stream of messages is there, as in a system that has run before.
        realtime.post(UserId::new()).await;
        realtime.scene.bed.answer::<GetMessages>(move |question| Ok(written.answer(&question))).await;
        realtime
    }

    /// A gateway that has all rights that its list gives it, and no more.
    pub(super) async fn gateway(&self, settings: &[(&str, &str)]) -> Door {
        let settings: Vec<_> = [UNLIMITED].into_iter().chain(settings.iter().copied()).collect();
        self.scene.gateway_as("gateway", &settings).await
    }

    pub(super) fn somebody(&self) -> Person {
        self.somebody_for(600)
    }

    /// With a token that is good for so many seconds.
    pub(super) fn somebody_for(&self, seconds: i64) -> Person {
        let (user, session) = (UserId::new(), SessionId::new());
        Person { user, session, token: self.scene.token_saying(session, seconds, |claims| claims.sub = user) }
    }

    /// The same person in another session.
    pub(super) fn again(&self, person: &Person) -> Person {
        let (user, session) = (person.user, SessionId::new());
        Person { user, session, token: self.scene.token_saying(session, 600, |claims| claims.sub = user) }
    }

    /// A message is written and told.
    pub(super) async fn post(&self, user: UserId) -> Message {
        let message = self.write(user);
        self.tell(user, &message).await;
        message
    }

    /// A message is written; nobody is told yet.
    pub(super) fn write(&self, user: UserId) -> Message {
        self.written.write(user, "customer")
    }

    /// As [`Realtime::write`], of this length at least.
    pub(super) fn write_long(&self, user: UserId, length: usize) -> Message {
        self.written.write(user, &"x".repeat(length))
    }

    pub(super) async fn tell(&self, user_id: UserId, message: &Message) {
        self.scene.bed.publish(&MessagePosted { user_id, message: message.clone() }).await;
    }

    /// Opens a stream of events for which everything goes well.
    pub(super) async fn listen(&self, door: &Door, person: &Person, after: Option<i64>) -> Events {
        let mut request = stream(door, person);
        if let Some(after) = after {
            request = request.header("Last-Event-ID", after);
        }
        Events::open(request).await
    }
}

/// A request for a stream of events.
pub(super) fn stream(door: &Door, person: &Person) -> RequestBuilder {
    door.request(Method::GET, STREAM).bearer_auth(&person.token)
}
