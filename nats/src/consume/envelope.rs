//! What a message must look like to be believed.
//!
//! A publisher with few rights can make the server put foreign messages into a stream (by naming a stream's subject as
//! its reply). So nothing is trusted for where it came from: subject, type and ids must agree.

use async_nats::jetstream;
use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use crate::{contracts::Event, types::EventId};

/// An event as a consumer gets it.
#[derive(Debug, Clone)]
pub struct Received<E> {
    /// The event's own id: the same in every delivery.
    pub id: EventId,
    /// When it happened.
    pub time: DateTime<Utc>,
    /// What happened.
    pub event: E,
}

impl<E> Received<E> {
    /// The day the inbox files it under: that of the event's id, so that it never changes.
    pub(crate) fn day(&self) -> NaiveDate {
        self.id.timestamp().date_naive()
    }
}

/// Reads and checks a message.
///
/// # Errors
/// What does not agree, as a sentence; such a message is dead.
pub(crate) fn open<E: Event>(message: &jetstream::Message) -> Result<Received<E>, String> {
    let header =
        |name: &str| message.headers.as_ref().and_then(|headers| headers.get(name)).map(|value| value.as_str());
    let kind = header("ce-type").ok_or("the header ce-type is missing")?;
    if kind != E::event_type() {
        return Err(format!("ce-type is {kind}, not {}", E::event_type()));
    }
    let id: Uuid = header("ce-id").ok_or("the header ce-id is missing")?.parse().map_err(|_| "ce-id is not a UUID")?;
    if header("Nats-Msg-Id") != Some(id.to_string().as_str()) {
        return Err("Nats-Msg-Id and ce-id differ".to_owned());
    }
    if id.get_version_num() != 7 {
        return Err("ce-id is not a UUIDv7".to_owned());
    }
    let event: E =
        serde_json::from_slice(&message.payload).map_err(|error| format!("the body is no {kind}: {error}"))?;
    if message.subject.as_str() != event.subject() {
        return Err(format!("the subject is {}, the body belongs to {}", message.subject, event.subject()));
    }
    let id = EventId::from_uuid(id);
    let time = header("ce-time")
        .and_then(|time| DateTime::parse_from_rfc3339(time).ok())
        .map_or_else(|| id.timestamp(), |time| time.with_timezone(&Utc));
    Ok(Received { id, time, event })
}
