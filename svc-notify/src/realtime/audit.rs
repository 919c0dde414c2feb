//! What must be so of the messages.

use diesel::{QueryableByName, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::operations::AuditCheck,
    database::{Connection, DatabaseError, sql},
    types::UserId,
};

/// Checks that nobody's sequence has a gap, or an end that was never written.
///
/// # Errors
/// The database's.
pub(crate) async fn without_gaps(connection: &mut Connection) -> Result<AuditCheck, DatabaseError> {
    #[derive(QueryableByName)]
    struct Gap {
        #[diesel(sql_type = sql_types::Uuid)]
        user_id: UserId,
        #[diesel(sql_type = sql_types::Text)]
        what: String,
        #[diesel(sql_type = sql_types::BigInt)]
        all: i64,
    }
    // The oldest may be forgotten, so a sequence need not begin with 1, and somebody's may be empty.
    let gaps: Vec<Gap> = sql("select user_id, count(*) over () as all,
                format('has %s messages from %s to %s, and the last was %s', there, first, newest, last) as what
         from (select user_id, count(*) as there, min(sequence) as first, max(sequence) as newest
               from message group by user_id) as messages
         left join message_sequence using (user_id)
         where there <> newest - first + 1 or last is distinct from newest
         order by user_id limit 20")
    .load(connection)
    .await?;
    let figures = format!("{} people's have gaps", gaps.as_slice().first().map_or(0, |first| first.all));
    let sentences = gaps.into_iter().map(|Gap { user_id, what, .. }| format!("{user_id} {what}"));
    Ok(AuditCheck::new("the messages to each person are without a gap", figures, sentences.collect()))
}
