//! The inbox: an event that has taken effect is marked in the transaction of its effect, and never takes effect again.

use std::collections::HashSet;

use chrono::NaiveDate;
use diesel::{QueryableByName, sql_types};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Consumer, Received, dead, handler::Work};
use crate::{
    contracts::Event,
    database::{DatabaseError, Tx, sql},
};

/// An event that was not marked before.
#[derive(QueryableByName)]
struct Marked {
    #[diesel(sql_type = sql_types::Uuid)]
    event_id: Uuid,
}

impl<S, E: Event, W: Work<S, E>> Consumer<S, E, W> {
    /// Marks events as taken effect of; those that were not marked yet, without those that are dead and not being `redriven`.
    pub(super) async fn claim(
        &self,
        tx: &mut Tx,
        mut events: Vec<Received<E>>,
        redriven: bool,
    ) -> Result<Vec<Received<E>>, DatabaseError> {
        // By id, as every instance does: two that have the same events wait for each other, and neither for good.
        events.sort_by_key(|event| event.id);
        let days: Vec<NaiveDate> = events.iter().map(Received::day).collect();
        let ids: Vec<Uuid> = events.iter().map(|event| event.id.uuid()).collect();
        let keys: Vec<Vec<u8>> = events.iter().map(|event| dead::key_of_event(event.id).to_vec()).collect();
        let marked: Vec<Marked> = sql("insert into inbox (consumer, event_day, event_id)
             select $1, event_day, event_id from unnest($2, $3, $4) as event (event_day, event_id, digest)
             where $5 or not exists (
                 select from dead_letter where dead_letter.consumer = $1 and dead_letter.digest = event.digest)
             order by event_id
             on conflict do nothing returning event_id")
        .bind::<sql_types::Text, _>(&self.durable)
        .bind::<sql_types::Array<sql_types::Date>, _>(days)
        .bind::<sql_types::Array<sql_types::Uuid>, _>(ids)
        .bind::<sql_types::Array<sql_types::Binary>, _>(keys)
        .bind::<sql_types::Bool, _>(redriven)
        .load(tx)
        .await?;
        // Of two that claim to be one event, the first is.
        let mut marked: HashSet<Uuid> = marked.into_iter().map(|marked| marked.event_id).collect();
        events.retain(|event| marked.remove(&event.id.uuid()));
        Ok(events)
    }
}
