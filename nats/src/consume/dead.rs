//! The dead letters: messages that a consumer could not handle, in the database of the service they were for.
//!
//! JetStream holds none of it: a wiped or aged-out stream loses no dead letter. A row stands for one message of one
//! consumer, however often that is delivered, and keeps it from being handled until somebody has it redriven.

use async_nats::{HeaderMap, HeaderName, HeaderValue};
use chrono::{DateTime, Utc};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, Selectable, SelectableHelper, insert_into,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::envelope::Message;
use crate::{
    contracts::operations::{DeadLetter, DeadLetterState},
    database::{DatabaseError, schema::dead_letter},
    types::{DeadLetterId, EventId},
};

/// The states, as they stand in the table.
pub(super) const DEAD: &str = "dead";
pub(super) const REDRIVING: &str = "redriving";
/// How much of a reason is kept.
const REASON: usize = 500;

/// What tells one message from another.
pub(super) type Key = [u8; 32];

/// An event is known by its id, in whatever form it comes again.
pub(super) fn key_of_event(id: EventId) -> Key {
    Sha256::new().chain_update(b"event").chain_update(id.uuid().as_bytes()).finalize().into()
}

/// What is no event is known by all that it is: it must not pass for an event whose id it names.
pub(super) fn key_of_message(message: &Message) -> Key {
    let mut hash = Sha256::new().chain_update(b"message");
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(message.subject.as_bytes());
    let mut headers: Vec<_> = message.headers.iter().map(|(name, values)| (name.to_string(), values)).collect();
    headers.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (name, values) in headers {
        part(name.as_bytes());
        values.iter().for_each(|value| part(value.as_str().as_bytes()));
    }
    part(&message.payload);
    hash.finalize().into()
}

/// A row of the table.
#[derive(Debug, diesel::Queryable, Selectable)]
#[diesel(table_name = dead_letter)]
pub(super) struct Row {
    pub(super) id: Uuid,
    pub(super) consumer: String,
    digest: Vec<u8>,
    event_id: Option<Uuid>,
    subject: String,
    headers: Value,
    payload: Vec<u8>,
    state: String,
    reason: String,
    attempts: i32,
    first_at: DateTime<Utc>,
    last_at: DateTime<Utc>,
}

impl Row {
    /// The message, as it was delivered.
    pub(super) fn message(&self) -> Message {
        let mut headers = HeaderMap::new();
        for (name, values) in self.headers.as_object().into_iter().flatten() {
            for value in values.as_array().into_iter().flatten().filter_map(Value::as_str) {
                if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
                    headers.append(name, value);
                }
            }
        }
        Message { subject: self.subject.clone(), headers, payload: self.payload.clone().into() }
    }

    /// The event it carried, when all of it agreed: a forgery only names one.
    pub(super) fn event(&self) -> Option<EventId> {
        let id = self.event_id.map(EventId::from_uuid)?;
        (self.digest == key_of_event(id)).then_some(id)
    }

    /// What it tells of itself.
    pub(super) fn letter(&self, service: &str) -> DeadLetter {
        DeadLetter {
            id: DeadLetterId::from_uuid(self.id),
            service: service.to_owned(),
            consumer: self.consumer.clone(),
            event_id: self.event_id.map(EventId::from_uuid),
            subject: self.subject.clone(),
            state: if self.state == REDRIVING { DeadLetterState::Redriving } else { DeadLetterState::Dead },
            reason: self.reason.clone(),
            attempts: self.attempts,
            first_at: self.first_at,
            last_at: self.last_at,
        }
    }
}

/// Keeps a message that `consumer` has given up after so many failures. One that is kept already stays as it is.
pub(super) async fn bury(
    connection: &mut AsyncPgConnection,
    consumer: &str,
    (key, message): (&Key, &Message),
    (reason, attempts): (&str, i32),
) -> Result<(), DatabaseError> {
    let headers: Map<String, Value> = message
        .headers
        .iter()
        .map(|(name, values)| (storable(name.as_ref()), values.iter().map(|one| storable(one.as_str())).collect()))
        .collect();
    insert_into(dead_letter::table)
        .values((
            dead_letter::id.eq(DeadLetterId::new().uuid()),
            dead_letter::consumer.eq(consumer),
            dead_letter::digest.eq(key.as_slice()),
            dead_letter::event_id.eq(message.event_id().map(EventId::uuid)),
            dead_letter::subject.eq(storable(&message.subject)),
            dead_letter::headers.eq(Value::Object(headers)),
            dead_letter::payload.eq(message.payload.as_ref()),
            dead_letter::reason.eq(brief(reason)),
            dead_letter::attempts.eq(attempts),
        ))
        .on_conflict((dead_letter::consumer, dead_letter::digest))
        .do_nothing()
        .execute(connection)
        .await?;
    Ok(())
}

/// Locks the first letter after `after` that `consumer` is to redrive; those that another instance has locked are skipped.
pub(super) async fn next(
    connection: &mut AsyncPgConnection,
    consumer: &str,
    after: Uuid,
) -> Result<Option<Row>, DatabaseError> {
    Ok(dead_letter::table
        .filter(dead_letter::consumer.eq(consumer).and(dead_letter::state.eq(REDRIVING)))
        .filter(dead_letter::id.gt(after))
        .order(dead_letter::id)
        .select(Row::as_select())
        .for_update()
        .skip_locked()
        .first(connection)
        .await
        .optional()?)
}

/// The letter is settled.
pub(super) async fn delete(connection: &mut AsyncPgConnection, id: Uuid) -> Result<(), DatabaseError> {
    diesel::delete(dead_letter::table.find(id)).execute(connection).await?;
    Ok(())
}

/// A redriven letter failed: it is dead again, or tried `again` in a while because something it needs is away.
pub(super) async fn put_back(
    connection: &mut AsyncPgConnection,
    id: Uuid,
    reason: &str,
    again: bool,
) -> Result<(), DatabaseError> {
    diesel::update(dead_letter::table.find(id).filter(dead_letter::state.eq(REDRIVING)))
        .set((
            dead_letter::state.eq(if again { REDRIVING } else { DEAD }),
            dead_letter::reason.eq(brief(reason)),
            dead_letter::attempts.eq(dead_letter::attempts + i32::from(!again)),
            dead_letter::last_at.eq(diesel::dsl::now),
        ))
        .execute(connection)
        .await?;
    Ok(())
}

/// PostgreSQL takes no NUL in a text.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}

fn brief(reason: &str) -> String {
    reason.chars().filter(|c| !c.is_control()).take(REASON).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn message(headers: &[(&str, &str)], payload: &'static str) -> Message {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse::<HeaderValue>().unwrap());
        }
        Message { subject: "evt.thing.done.1".to_owned(), headers: map, payload: payload.into() }
    }

    #[test]
    fn a_message_has_one_key_in_whatever_order_its_headers_come() {
        let (one, other) = (message(&[("a", "1"), ("b", "2")], "x"), message(&[("b", "2"), ("a", "1")], "x"));
        assert_eq!(key_of_message(&one), key_of_message(&other));
    }

    #[test]
    fn different_messages_have_different_keys() {
        let id = EventId::new();
        let named = message(&[("ce-id", &id.uuid().to_string())], "x");
        let keys = [
            key_of_event(id),
            key_of_message(&named),
            key_of_message(&message(&[], "x")),
            key_of_message(&message(&[], "y")),
            key_of_message(&message(&[("a", "bc")], "x")),
            key_of_message(&message(&[("ab", "c")], "x")),
        ];
        for (place, key) in keys.iter().enumerate() {
            assert!(!keys.iter().skip(place + 1).any(|other| other == key), "{place} equals a later one");
        }
    }

    #[test]
    fn what_the_database_would_refuse_is_made_storable() {
        assert_eq!(storable("a\0b"), "a\u{FFFD}b");
        assert_eq!(brief("line\nline\0"), "lineline");
        assert_eq!(brief(&"x".repeat(600)).len(), REASON);
    }
}
