//! What every service answers, whatever it does: its own figures for `argosy verify`, and its dead letters.
//!
//! These calls have no service of their own; [`crate::invoke::Caller::call_at`] names the one that is asked. Only the
//! operator and the gateway may ask.

use chrono::{DateTime, NaiveDate, Utc};
use poem_openapi::{Enum, Object};
use serde::{Deserialize, Serialize};

use super::{EVERY, Never, call};
use crate::types::{DeadLetterId, EventId};

/// Asks a service to check its own invariants, on its own database.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct Audit {}

/// What the service found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct AuditReport {
    /// One entry per invariant.
    pub checks: Vec<AuditCheck>,
}

/// One invariant, and whether it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct AuditCheck {
    /// What must be so, as a short sentence.
    pub invariant: String,
    /// Whether it is.
    pub holds: bool,
    /// The figures it was judged by.
    pub figures: String,
    /// Where it does not hold; the first twenty.
    pub violations: Vec<String>,
}

impl AuditCheck {
    /// The invariant holds when nothing violates it.
    pub fn new(invariant: &str, figures: impl Into<String>, mut violations: Vec<String>) -> Self {
        let holds = violations.is_empty();
        violations.truncate(20);
        Self { invariant: invariant.to_owned(), holds, figures: figures.into(), violations }
    }
}

/// Asks for a page of the events that a service has recorded, oldest first.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct AuditEvents {
    /// The last `log_id` of the page before; 0 for the first page.
    pub after: i64,
    /// Only what was recorded before this moment.
    pub before: DateTime<Utc>,
    /// How many, at most 1000.
    pub limit: i64,
}

/// A page of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct AuditedEvents {
    /// Oldest first; empty after the last page.
    pub events: Vec<AuditedEvent>,
}

/// An event, as far as an audit needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct AuditedEvent {
    /// Ascends with insertion.
    pub log_id: i64,
    /// Its CloudEvents id.
    pub event_id: EventId,
    /// Its CloudEvents type.
    pub event_type: String,
    /// Its own day, which the inboxes are kept by.
    pub day: NaiveDate,
}

/// Asks which of these events a consumer has not taken effect of.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct AuditInbox {
    /// The durable consumer.
    pub consumer: String,
    /// At most 1000.
    pub events: Vec<AuditedEvent>,
}

/// What is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct AuditedInbox {
    /// Neither taken effect of nor dead.
    pub missing: Vec<EventId>,
    /// Dead letters.
    pub dead: Vec<EventId>,
}

/// A message that a consumer could not handle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct DeadLetter {
    /// Which.
    pub id: DeadLetterId,
    /// The service that should have handled it.
    pub service: String,
    /// The durable consumer that could not.
    pub consumer: String,
    /// The event, as far as the message's headers have an id.
    #[oai(nullable)]
    pub event_id: Option<EventId>,
    /// The subject it came on.
    pub subject: String,
    /// Whether it waits for somebody, or is being tried again.
    pub state: DeadLetterState,
    /// The last failure.
    pub reason: String,
    /// How many failures there were.
    pub attempts: i32,
    /// When it was given up first.
    pub first_at: DateTime<Utc>,
    /// When it was tried last.
    pub last_at: DateTime<Utc>,
}

/// How a dead letter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum DeadLetterState {
    /// It is kept, and nothing happens.
    Dead,
    /// The consumer tries it again; it goes when that succeeds.
    Redriving,
}

/// A dead letter with what the message carried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct DeadLetterDetails {
    /// The letter.
    pub letter: DeadLetter,
    /// The message's headers; the first 64 KiB.
    pub headers: Vec<MessageHeader>,
    /// The message's body as UTF-8, the first 64 KiB; what is no UTF-8 is replaced.
    pub payload: String,
    /// The length of the whole body, in bytes.
    pub payload_size: u64,
}

/// A header of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct MessageHeader {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Asks for a page of a service's dead letters, oldest first.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct ListDeadLetters {
    /// Only those of this durable consumer.
    pub consumer: Option<String>,
    /// The last one of the page before.
    pub after: Option<DeadLetterId>,
    /// How many, at most 1000.
    pub limit: i64,
}

/// A page of dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct DeadLetters {
    /// Oldest first; empty after the last page.
    pub letters: Vec<DeadLetter>,
}

/// Asks for one dead letter.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct GetDeadLetter {
    /// Which.
    pub id: DeadLetterId,
}

/// Has dead letters tried again, each by the consumer that failed over it.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct RedriveDeadLetters {
    /// Only this one.
    pub id: Option<DeadLetterId>,
    /// Only those of this durable consumer.
    pub consumer: Option<String>,
    /// Who wants it, for the log.
    pub by: String,
}

/// What is being tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct RedrivenDeadLetters {
    /// How many; at most 10,000 at a time.
    pub count: u64,
}

/// Throws a dead letter away for good: its consumer will never take effect of that event.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct DiscardDeadLetter {
    /// Which.
    pub id: DeadLetterId,
    /// Why, for the log.
    pub reason: String,
    /// Who wants it, for the log.
    pub by: String,
}

/// The letter that was thrown away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct DiscardedDeadLetter {
    /// As it was.
    pub letter: DeadLetter,
}

/// Why nothing could be done about a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoDeadLetter {
    /// The service has none with this id: it was redriven or discarded, or is another service's.
    NotFound,
}

/// Has a service publish events again that it published before: for a stream that lost them, or a consumer that was made
/// later. Consumers that took effect of them before ignore them.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct RepublishEvents {
    /// Only those of this entity.
    pub entity_id: Option<String>,
    /// Only those recorded since then.
    pub since: Option<DateTime<Utc>>,
}

/// What is being published again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct RepublishedEvents {
    /// How many.
    pub count: u64,
}

// It reads whole tables.
call!(Audit = EVERY.audit -> AuditReport, or Never, idempotent: true, deadline_s: 60);
call!(AuditEvents = EVERY.audit_events -> AuditedEvents, or Never, idempotent: true, deadline_s: 10);
call!(AuditInbox = EVERY.audit_inbox -> AuditedInbox, or Never, idempotent: true, deadline_s: 10);
call!(RepublishEvents = EVERY.republish_events -> RepublishedEvents, or Never, idempotent: true, deadline_s: 60);
call!(ListDeadLetters = EVERY.list_dead_letters -> DeadLetters, or Never, idempotent: true);
call!(GetDeadLetter = EVERY.get_dead_letter -> DeadLetterDetails, or NoDeadLetter, idempotent: true);
call!(RedriveDeadLetters = EVERY.redrive_dead_letters -> RedrivenDeadLetters, or NoDeadLetter, idempotent: true);
call!(DiscardDeadLetter = EVERY.discard_dead_letter -> DiscardedDeadLetter, or NoDeadLetter, idempotent: false);
