//! What a message must look like to be believed.
//!
//! A publisher with few rights can make the server put foreign messages into a stream (by naming a stream's subject as
//! its reply). So nothing is trusted for where it came from: subject, type and ids must agree.

use async_nats::{HeaderMap, jetstream};
use bytes::Bytes;
use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use crate::{
    contracts::Event,
    telemetry::{REQUEST_ID, TRACEPARENT, Trace},
    types::EventId,
};

/// An event as a consumer gets it.
#[derive(Debug, Clone)]
pub struct Received<E> {
    /// The event's own id: the same in every delivery.
    pub id: EventId,
    /// When it happened.
    pub time: DateTime<Utc>,
    /// What happened.
    pub event: E,
    /// The request that it happened in.
    pub trace: Trace,
}

impl<E> Received<E> {
    /// The day the inbox files it under.
    pub(crate) fn day(&self) -> NaiveDate {
        day_of(self.id)
    }
}

/// The day the inbox files an event under: that of its id, so that it never changes.
pub(crate) fn day_of(id: EventId) -> NaiveDate {
    id.timestamp().date_naive()
}

/// A message as it travelled, from the stream or out of the table of dead letters.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) subject: String,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Bytes,
}

impl Message {
    /// What the stream delivered.
    pub(crate) fn of(delivered: &jetstream::Message) -> Self {
        Self {
            subject: delivered.subject.to_string(),
            headers: delivered.headers.clone().unwrap_or_default(),
            payload: delivered.payload.clone(),
        }
    }

    /// A header's first value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.as_str())
    }

    /// The id in the headers, when it could be an event's.
    pub(crate) fn event_id(&self) -> Option<EventId> {
        let id: Uuid = self.header("ce-id")?.parse().ok()?;
        (id.get_version_num() == 7).then(|| EventId::from_uuid(id))
    }

    /// Reads and checks it.
    ///
    /// # Errors
    /// What does not agree, as a sentence; such a message is dead.
    pub(crate) fn open<E: Event>(&self) -> Result<Received<E>, String> {
        let kind = self.header("ce-type").ok_or("the header ce-type is missing")?;
        if kind != E::event_type() {
            return Err(format!("ce-type is {kind}, not {}", E::event_type()));
        }
        let id = self.header("ce-id").ok_or("the header ce-id is missing")?;
        let id: Uuid = id.parse().map_err(|_| "ce-id is not a UUID")?;
        if self.header("Nats-Msg-Id") != Some(id.to_string().as_str()) {
            return Err("Nats-Msg-Id and ce-id differ".to_owned());
        }
        let id = self.event_id().ok_or("ce-id is not a UUIDv7")?;
        let event: E =
            serde_json::from_slice(&self.payload).map_err(|error| format!("the body is no {kind}: {error}"))?;
        if self.subject != event.subject() {
            return Err(format!("the subject is {}, the body belongs to {}", self.subject, event.subject()));
        }
        let time = self
            .header("ce-time")
            .and_then(|time| DateTime::parse_from_rfc3339(time).ok())
            .map_or_else(|| id.timestamp(), |time| time.with_timezone(&Utc));
        let trace = Trace::continued(self.header(TRACEPARENT), self.header(REQUEST_ID));
        Ok(Received { id, time, event, trace })
    }
}
