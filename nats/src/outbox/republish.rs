//! Publishing events again because an operator wants it; the loss detector does it by itself.

use diesel::sql_types;
use diesel_async::RunQueryDsl;

use crate::{
    contracts::{
        Never,
        operations::{RepublishEvents, RepublishedEvents},
    },
    database::sql,
    invoke::CallError,
    service::Runtime,
};

/// Puts recorded events back into the outbox. Within two minutes of their publication the stream takes them for repeats.
pub(crate) async fn republish(
    runtime: Runtime,
    question: RepublishEvents,
) -> Result<RepublishedEvents, CallError<Never>> {
    let mut connection = runtime.database.connection().await?;
    let count = sql("insert into outbox_pending (id, shard) select id, shard from event_log
         where ($1 is null or entity_id = $1) and ($2 is null or created_at >= $2) on conflict do nothing")
    .bind::<sql_types::Nullable<sql_types::Text>, _>(&question.entity_id)
    .bind::<sql_types::Nullable<sql_types::Timestamptz>, _>(question.since)
    .execute(&mut connection)
    .await?;
    runtime.database.relay().now();
    tracing::warn!(count, entity_id = question.entity_id, since = ?question.since, "events are published again");
    Ok(RepublishedEvents { count: u64::try_from(count).unwrap_or_default() })
}
