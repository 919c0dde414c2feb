//! What must be so of the delivery log and of the messages, and what each order's customer was told.

use diesel::{QueryableByName, sql_query, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::{
        Never,
        notify::{AuditMails, AuditedMail, AuditedMails},
        operations::AuditCheck,
    },
    database::{Connection, DatabaseError, sql},
    invoke::CallError,
    types::{NotificationId, OrderId},
};

use crate::{Notify, mail::Template, realtime::audit::without_gaps};

/// The most orders that one page has.
const PAGE: i64 = 1000;

/// Checks the invariants of the delivery log and of the messages.
///
/// # Errors
/// The database's.
pub(crate) async fn audit(notify: Notify) -> Result<Vec<AuditCheck>, DatabaseError> {
    let mut connection = notify.database.connection().await?;
    Ok(vec![
        none_waits(&mut connection).await?,
        each_has_its_mail(&mut connection).await?,
        told_once(&mut connection).await?,
        without_gaps(&mut connection).await?,
    ])
}

/// A notification, and what is wrong with it.
#[derive(QueryableByName)]
struct Wrong {
    #[diesel(sql_type = sql_types::Uuid)]
    id: NotificationId,
    #[diesel(sql_type = sql_types::Text)]
    what: String,
}

fn sentences(wrong: Vec<Wrong>) -> Vec<String> {
    wrong.into_iter().map(|Wrong { id, what }| format!("{id} {what}")).collect()
}

async fn none_waits(connection: &mut Connection) -> Result<AuditCheck, DatabaseError> {
    #[derive(QueryableByName)]
    struct States {
        #[diesel(sql_type = sql_types::BigInt)]
        waiting: i64,
        #[diesel(sql_type = sql_types::BigInt)]
        sent: i64,
        #[diesel(sql_type = sql_types::BigInt)]
        failed: i64,
        #[diesel(sql_type = sql_types::BigInt)]
        late: i64,
    }
    // The day of tries began when the mail was queued, or when staff said to try again.
    const LATE: &str =
        "state in ('queued', 'sending') and give_up_at < now() + interval '1 day' - interval '10 minutes'";
    let States { waiting, sent, failed, late } = sql_query(format!(
        "select count(*) filter (where state in ('queued', 'sending')) as waiting,
                count(*) filter (where state = 'sent') as sent,
                count(*) filter (where state = 'failed') as failed,
                count(*) filter (where {LATE}) as late
         from notification"
    ))
    .get_result(connection)
    .await?;
    let wrong: Vec<Wrong> = sql_query(format!(
        "select id, format('(%s) is %s after %s tries: %s', template, state, attempts,
                           coalesce(last_error, 'nothing is known against it')) as what
         from notification where {LATE} order by give_up_at limit 20"
    ))
    .load(connection)
    .await?;
    let figures = format!("{sent} sent, {failed} failed, {waiting} waiting, {late} of them for over ten minutes");
    Ok(AuditCheck::new("no mail waits for over ten minutes", figures, sentences(wrong)))
}

async fn each_has_its_mail(connection: &mut Connection) -> Result<AuditCheck, DatabaseError> {
    let wrong: Vec<Wrong> =
        sql("select id, format('(%s) is %s and has no mail that could be sent', template, state) as what
         from notification
         where state in ('queued', 'sending') and not exists (select from mail where notification_id = notification.id)
         limit 20")
        .load(connection)
        .await?;
    let figures = if wrong.is_empty() { "none is without" } else { "some are without" };
    Ok(AuditCheck::new("every notification that waits has its mail", figures, sentences(wrong)))
}

async fn told_once(connection: &mut Connection) -> Result<AuditCheck, DatabaseError> {
    #[derive(QueryableByName)]
    struct Twice {
        #[diesel(sql_type = sql_types::Text)]
        what: String,
        #[diesel(sql_type = sql_types::BigInt)]
        all: i64,
    }
    let twice: Vec<Twice> = sql(
        "select format('event %s has %s mails `%s`', event_id, count(*), template) as what, count(*) over () as all
         from notification group by event_id, template having count(*) > 1 limit 20",
    )
    .load(connection)
    .await?;
    let figures = format!("{} events with more", twice.as_slice().first().map_or(0, |first| first.all));
    Ok(AuditCheck::new(
        "one event leads to one mail of a template",
        figures,
        twice.into_iter().map(|twice| twice.what).collect(),
    ))
}

/// A page of the orders that people were told of, and how often of what.
///
/// # Errors
/// The database's.
pub(crate) async fn audit_mails(notify: Notify, question: AuditMails) -> Result<AuditedMails, CallError<Never>> {
    #[derive(QueryableByName)]
    struct Told {
        #[diesel(sql_type = sql_types::Uuid)]
        order_id: OrderId,
        #[diesel(sql_type = sql_types::BigInt)]
        confirmations: i64,
        #[diesel(sql_type = sql_types::BigInt)]
        cancellations: i64,
        #[diesel(sql_type = sql_types::BigInt)]
        invoices: i64,
        #[diesel(sql_type = sql_types::BigInt)]
        unsent: i64,
    }
    let mut connection = notify.database.connection().await?;
    let told: Vec<Told> = sql("select order_id,
                count(*) filter (where template = $3) as confirmations,
                count(*) filter (where template = $4) as cancellations,
                count(*) filter (where template = $5) as invoices,
                count(*) filter (where state not in ('sent', 'suppressed')) as unsent
         from notification
         where order_id is not null and ($1 is null or order_id > $1)
         group by order_id order by order_id limit $2")
    .bind::<sql_types::Nullable<sql_types::Uuid>, _>(question.after)
    .bind::<sql_types::BigInt, _>(question.limit.clamp(1, PAGE))
    .bind::<sql_types::Text, _>(Template::OrderConfirmed.name())
    .bind::<sql_types::Text, _>(Template::OrderCanceled.name())
    .bind::<sql_types::Text, _>(Template::Invoice.name())
    .load(&mut connection)
    .await?;
    let orders = told.into_iter().map(|told| {
        let Told { order_id, confirmations, cancellations, invoices, unsent } = told;
        AuditedMail { order_id, confirmations, cancellations, invoices, unsent }
    });
    Ok(AuditedMails { orders: orders.collect() })
}
