//! What every service answers about its dead letters.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper, insert_into};
use diesel_async::RunQueryDsl;

use super::{
    dead::{self, Row},
    envelope,
    redrive::Redrives,
};
use crate::{
    contracts::{
        Never,
        operations::{
            DeadLetterDetails, DeadLetters, DiscardDeadLetter, DiscardedDeadLetter, GetDeadLetter, ListDeadLetters,
            MessageHeader, NoDeadLetter, RedriveDeadLetters, RedrivenDeadLetters,
        },
    },
    database::{
        Database,
        schema::{dead_letter, inbox},
    },
    invoke::CallError,
};

/// The most letters on a page.
const PAGE: i64 = 1_000;
/// The most letters that are redriven by one request.
const AT_ONCE: i64 = 10_000;
/// How many bytes of a body, and of all headers, are shown: an answer must fit into a message, whatever it is escaped to.
const SHOWN: usize = 64 * 1024;

/// A service's dead letters, as it answers for them.
#[derive(Clone)]
pub(crate) struct Letters {
    pub(crate) service: &'static str,
    pub(crate) database: Database,
    pub(crate) redrives: Redrives,
}

/// A page, oldest first.
pub(crate) async fn list(letters: Letters, question: ListDeadLetters) -> Result<DeadLetters, CallError<Never>> {
    let mut query = dead_letter::table
        .select(Row::as_select())
        .order(dead_letter::id)
        .limit(question.limit.clamp(1, PAGE))
        .into_boxed();
    if let Some(consumer) = question.consumer {
        query = query.filter(dead_letter::consumer.eq(consumer));
    }
    if let Some(after) = question.after {
        query = query.filter(dead_letter::id.gt(after.uuid()));
    }
    let rows: Vec<Row> = query.load(&mut letters.database.connection().await?).await?;
    Ok(DeadLetters { letters: rows.iter().map(|row| row.letter(letters.service)).collect() })
}

/// One, with what it carried.
pub(crate) async fn get(
    letters: Letters,
    question: GetDeadLetter,
) -> Result<DeadLetterDetails, CallError<NoDeadLetter>> {
    let mut connection = letters.database.connection().await?;
    let row = dead_letter::table.find(question.id.uuid()).select(Row::as_select()).first(&mut connection).await;
    let row = row.optional()?.ok_or(CallError::Refused(NoDeadLetter::NotFound))?;
    let message = row.message();
    let mut headers: Vec<MessageHeader> = message
        .headers
        .iter()
        .flat_map(|(name, values)| values.iter().map(move |value| (name.to_string(), value.to_string())))
        .map(|(name, value)| MessageHeader { name, value })
        .collect();
    headers.sort_by(|one, other| one.name.cmp(&other.name));
    let mut left = SHOWN;
    headers.retain(|header| {
        let room = left.checked_sub(header.name.len() + header.value.len());
        left = room.unwrap_or(0);
        room.is_some()
    });
    let shown = message.payload.get(..SHOWN).unwrap_or(&message.payload);
    Ok(DeadLetterDetails {
        letter: row.letter(letters.service),
        headers,
        payload: String::from_utf8_lossy(shown).into_owned(),
        payload_size: message.payload.len() as u64,
    })
}

/// Marks letters for their consumers to try again, and wakes those.
pub(crate) async fn redrive(
    letters: Letters,
    question: RedriveDeadLetters,
) -> Result<RedrivenDeadLetters, CallError<NoDeadLetter>> {
    let mut chosen = dead_letter::table.select(dead_letter::id).order(dead_letter::id).limit(AT_ONCE).into_boxed();
    chosen = match question.id {
        Some(id) => chosen.filter(dead_letter::id.eq(id.uuid())),
        None => chosen.filter(dead_letter::state.eq(dead::DEAD)),
    };
    if let Some(consumer) = &question.consumer {
        chosen = chosen.filter(dead_letter::consumer.eq(consumer.clone()));
    }
    let mut connection = letters.database.connection().await?;
    let count = diesel::update(dead_letter::table.filter(dead_letter::id.eq_any(chosen)))
        .set(dead_letter::state.eq(dead::REDRIVING))
        .execute(&mut connection)
        .await?;
    if count == 0 && question.id.is_some() {
        return Err(CallError::Refused(NoDeadLetter::NotFound));
    }
    letters.redrives.now();
    let RedriveDeadLetters { id, consumer, by } = question;
    tracing::info!(count, ?id, consumer, by, "dead letters are redriven");
    Ok(RedrivenDeadLetters { count: count as u64 })
}

/// Throws one away. Its event counts as taken from then on: it is not handled should it come again, and nothing misses it.
/// A letter that is no event leaves nothing behind: the event whose id it names may be another one.
pub(crate) async fn discard(
    letters: Letters,
    question: DiscardDeadLetter,
) -> Result<DiscardedDeadLetter, CallError<NoDeadLetter>> {
    let mut tx = letters.database.begin().await?;
    let row = diesel::delete(dead_letter::table.find(question.id.uuid()))
        .returning(Row::as_returning())
        .get_result(&mut tx)
        .await
        .optional()?;
    let row = row.ok_or(CallError::Refused(NoDeadLetter::NotFound))?;
    if let Some(event) = row.event() {
        let (day, id) = (envelope::day_of(event), event.uuid());
        insert_into(inbox::table)
            .values((inbox::consumer.eq(&row.consumer), inbox::event_day.eq(day), inbox::event_id.eq(id)))
            .on_conflict_do_nothing()
            .execute(&mut tx)
            .await?;
    }
    tx.commit().await?;
    let letter = row.letter(letters.service);
    let DiscardDeadLetter { id, reason, by } = question;
    tracing::warn!(%id, by, reason, consumer = letter.consumer, event_id = ?letter.event_id, died_of = letter.reason, "a dead letter was discarded");
    Ok(DiscardedDeadLetter { letter })
}
