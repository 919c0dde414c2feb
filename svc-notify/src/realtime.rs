//! Realtime: messages to people who are looking, and to those who come back within a week.
//!
//! A message is written in the transaction that takes the event it tells of, with its place in the person's sequence and
//! with [`MessagePosted`] on the person's own subject. The gateway passes that on to whoever is connected, and asks here
//! ([`get`]) for what they missed.

pub(crate) mod audit;
pub(crate) mod forget;
pub(crate) mod get;
pub(crate) mod order;
pub(crate) mod payment;

use chrono::{DateTime, Utc};
use diesel::{Queryable, QueryableByName, Selectable, pg::Pg, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::notify::{Message, MessageAbout, MessageKind, MessagePosted},
    database::{DatabaseError, Tx, sql},
    types::{EventId, MessageId, UserId},
};

use crate::schema::message;

/// A row of `message`.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = message, check_for_backend(Pg))]
pub(crate) struct StoredMessage {
    id: MessageId,
    sequence: i64,
    kind: MessageKind,
    about: MessageAbout,
    created_at: DateTime<Utc>,
}

impl From<StoredMessage> for Message {
    fn from(row: StoredMessage) -> Self {
        let StoredMessage { id, sequence, kind, about, created_at } = row;
        Self { id, sequence, kind, about, created_at }
    }
}

/// Writes a message to a person and tells that it is there, once per event.
///
/// The last thing to do in a transaction: it holds the person's sequence until that is over.
///
/// # Errors
/// The database's.
pub(crate) async fn post(
    tx: &mut Tx,
    (event_id, user_id): (EventId, UserId),
    kind: MessageKind,
    about: MessageAbout,
) -> Result<(), DatabaseError> {
    #[derive(QueryableByName)]
    struct Place {
        #[diesel(sql_type = sql_types::BigInt)]
        sequence: i64,
        #[diesel(sql_type = sql_types::Timestamptz)]
        created_at: DateTime<Utc>,
    }
    let id = MessageId::new();
    // Who comes at the same time with the same event fails on `event_id`, and finds it taken when it tries again.
    let placed: Vec<Place> = sql("with place as (
             insert into message_sequence (user_id, last)
             select $2, 1 where not exists (select from message where event_id = $3)
             on conflict (user_id) do update set last = message_sequence.last + 1
             returning last)
         insert into message (id, user_id, sequence, event_id, kind, about)
         select $1, $2, last, $3, $4, $5 from place
         returning sequence, created_at")
    .bind::<sql_types::Uuid, _>(id)
    .bind::<sql_types::Uuid, _>(user_id)
    .bind::<sql_types::Uuid, _>(event_id)
    .bind::<sql_types::Text, _>(kind)
    .bind::<sql_types::Jsonb, _>(&about)
    .load(tx)
    .await?;
    if let Some(Place { sequence, created_at }) = placed.into_iter().next() {
        let message = Message { id, sequence, kind, about, created_at };
        tx.record(&MessagePosted { user_id, message }).await?;
    }
    Ok(())
}
