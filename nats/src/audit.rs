//! What every service tells the operator of itself: its invariants, its events, its inboxes.

use chrono::NaiveDate;
use diesel::{ExpressionMethods, QueryDsl, QueryableByName, sql_types};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::{
    consume::envelope::day_of,
    contracts::{
        Never,
        operations::{AuditCheck, AuditEvents, AuditInbox, AuditedEvent, AuditedEvents, AuditedInbox},
    },
    database::{
        DatabaseError,
        schema::{dead_letter, inbox},
        sql,
    },
    invoke::CallError,
    service::Runtime,
    types::EventId,
};

/// The most events that one page or one question has.
const PAGE: i64 = 1000;

#[derive(QueryableByName)]
struct Recorded {
    #[diesel(sql_type = sql_types::BigInt)]
    id: i64,
    #[diesel(sql_type = sql_types::Uuid)]
    event_id: Uuid,
    #[diesel(sql_type = sql_types::Text)]
    event_type: String,
}

/// A page of the events that this service has recorded.
pub(crate) async fn events(runtime: Runtime, question: AuditEvents) -> Result<AuditedEvents, CallError<Never>> {
    let mut connection = runtime.database.connection().await?;
    let rows: Vec<Recorded> = sql("select id, event_id, headers ->> 'ce-type' as event_type from event_log
         where id > $1 and created_at < $2 order by id limit $3")
    .bind::<sql_types::BigInt, _>(question.after)
    .bind::<sql_types::Timestamptz, _>(question.before)
    .bind::<sql_types::BigInt, _>(question.limit.clamp(1, PAGE))
    .load(&mut connection)
    .await?;
    let events = rows.into_iter().map(|row| {
        let event_id = EventId::from_uuid(row.event_id);
        AuditedEvent { log_id: row.id, event_id, event_type: row.event_type, day: day_of(event_id) }
    });
    Ok(AuditedEvents { events: events.collect() })
}

/// Which of these events one of this service's consumers has not taken effect of.
pub(crate) async fn inbox(runtime: Runtime, question: AuditInbox) -> Result<AuditedInbox, CallError<Never>> {
    let mut connection = runtime.database.connection().await?;
    let asked = question.events.iter().take(usize::try_from(PAGE).unwrap_or_default());
    let (days, ids): (Vec<NaiveDate>, Vec<Uuid>) = asked.map(|event| (event.day, event.event_id.uuid())).unzip();
    let taken: Vec<Uuid> = inbox::table
        .filter(inbox::consumer.eq(&question.consumer))
        .filter(inbox::event_day.eq_any(&days))
        .filter(inbox::event_id.eq_any(&ids))
        .select(inbox::event_id)
        .load(&mut connection)
        .await?;
    let untaken: Vec<Uuid> = ids.into_iter().filter(|id| !taken.contains(id)).collect();
    let dead: Vec<Option<Uuid>> = dead_letter::table
        .filter(dead_letter::consumer.eq(&question.consumer))
        .filter(dead_letter::event_id.eq_any(&untaken))
        .select(dead_letter::event_id)
        .load(&mut connection)
        .await?;
    let (dead, missing): (Vec<Uuid>, Vec<Uuid>) = untaken.into_iter().partition(|id| dead.contains(&Some(*id)));
    let named = |ids: Vec<Uuid>| ids.into_iter().map(EventId::from_uuid).collect();
    Ok(AuditedInbox { missing: named(missing), dead: named(dead) })
}

/// Whether what this service has recorded reaches the stream.
pub(crate) async fn backlog(runtime: &Runtime) -> Result<AuditCheck, DatabaseError> {
    #[derive(QueryableByName)]
    struct Backlog {
        #[diesel(sql_type = sql_types::BigInt)]
        recorded: i64,
        #[diesel(sql_type = sql_types::BigInt)]
        late: i64,
        #[diesel(sql_type = sql_types::BigInt)]
        parked: i64,
    }
    let mut connection = runtime.database.connection().await?;
    let Backlog { recorded, late, parked } = sql(
        "select (select count(*) from event_log) as recorded,
                count(*) filter (where parked_reason is null and event_log.created_at < now() - interval '1 minute') as late,
                count(*) filter (where parked_reason is not null) as parked
         from outbox_pending join event_log using (id)",
    )
    .get_result(&mut connection)
    .await?;
    let mut violations = Vec::new();
    if late > 0 {
        violations.push(format!("{late} events wait for JetStream for over a minute"));
    }
    if parked > 0 {
        violations.push(format!("{parked} events are parked: JetStream refuses them for good"));
    }
    let figures = format!("{recorded} events recorded, {late} late, {parked} parked");
    Ok(AuditCheck::new("every recorded event is published", figures, violations))
}
