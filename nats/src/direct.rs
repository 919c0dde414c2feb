//! Direct events: published by a process that has no database, and acknowledged by JetStream before it goes on.
//!
//! There is no outbox and no event log, so nothing is published again later: whoever publishes waits, and acts on the refusal.
//! Each event goes to one durable consumer, which takes it as any other (inbox, dead letters); its stream keeps it until then
//! ([`Event::DIRECT`]).
//!
//! Trap: without an acknowledgement the event may be there all the same. Publish it again under the same id: the stream
//! takes no id twice within two minutes, and the consumer's inbox none at all.

use std::time::Duration;

use async_nats::{
    HeaderMap,
    jetstream::{publish::PublishAck, response::Response},
};

use crate::{
    connect::Requests,
    contracts::Event,
    invoke::{AskError, ask},
    outbox::envelope,
    types::EventId,
};

/// Why it is not known that an event is stored.
#[derive(Debug, thiserror::Error)]
pub enum DirectError {
    /// Nobody took it: the server is away, or has no such stream. It is not stored.
    #[error("JetStream cannot be reached, or has no stream {0}; `argosy provision` makes it")]
    Unavailable(String),
    /// No acknowledgement in time; it may be stored.
    #[error("JetStream did not acknowledge in time")]
    TimedOut,
    /// The stream refuses it, or its answer cannot be read.
    #[error("JetStream did not take it: {0}")]
    Refused(String),
}

/// Publishes direct events; cheap to clone.
#[derive(Clone)]
pub struct Direct {
    requests: Requests,
}

impl Direct {
    /// Over these connections.
    pub const fn new(requests: Requests) -> Self {
        Self { requests }
    }

    /// Publishes an event under this id and waits until it is stored, at most for `time`.
    ///
    /// # Errors
    /// See [`DirectError`].
    pub async fn publish<E: Event>(&self, id: EventId, event: &E, time: Duration) -> Result<(), DirectError> {
        let refused = |error: &dyn std::fmt::Display| DirectError::Refused(error.to_string());
        let mut headers = HeaderMap::new();
        for (name, value) in envelope(id, event) {
            headers.insert(name, value.as_str());
        }
        headers.insert("Nats-Expected-Stream", E::stream().as_str());
        let payload = serde_json::to_vec(event).map_err(|error| refused(&error))?;
        let answer = ask(&self.requests, event.subject(), headers, payload.into(), time).await;
        let answer = answer.map_err(|error| match error {
            AskError::Unavailable => DirectError::Unavailable(E::stream()),
            AskError::TimedOut => DirectError::TimedOut,
            AskError::Broken(reason) => DirectError::Refused(reason),
        })?;
        match serde_json::from_slice::<Response<PublishAck>>(&answer.payload).map_err(|error| refused(&error))? {
            Response::Ok(_stored) => Ok(()),
            Response::Err { error } => Err(refused(&error)),
        }
    }
}
