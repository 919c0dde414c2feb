//! `get_messages`: what somebody missed, for the gateway.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::{
        Never,
        notify::{GetMessages, Message, Messages},
    },
    invoke::CallError,
};

use super::StoredMessage;
use crate::{
    Notify,
    schema::{message, message_sequence},
};

/// The most messages that one answer has: some 200 KiB.
const PAGE: i64 = 500;

/// The messages to a person after the one they have, oldest first.
///
/// # Errors
/// The database's.
pub(crate) async fn get_messages(notify: Notify, question: GetMessages) -> Result<Messages, CallError<Never>> {
    let mut connection = notify.database.connection().await?;
    // Before the messages: they reach as far as this, or farther.
    let last: Option<i64> = message_sequence::table
        .find(question.user_id)
        .select(message_sequence::last)
        .first(&mut connection)
        .await
        .optional()?;
    let mut messages: Vec<StoredMessage> = Vec::new();
    if let Some(after) = question.after {
        messages = message::table
            .filter(message::user_id.eq(question.user_id))
            .filter(message::sequence.gt(after))
            .order(message::sequence)
            .limit(question.limit.clamp(1, PAGE))
            .select(StoredMessage::as_select())
            .load(&mut connection)
            .await?;
    }
    Ok(Messages { messages: messages.into_iter().map(Message::from).collect(), last: last.unwrap_or_default() })
}
