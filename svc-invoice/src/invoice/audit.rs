//! What must be so of invoices, their numbers and their documents, and which orders have one.

use diesel::{QueryableByName, sql_query, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::{
        Never,
        invoice::{AuditInvoices, AuditedInvoice, AuditedInvoices},
        operations::AuditCheck,
    },
    database::{Connection, DatabaseError, sql},
    invoke::CallError,
    types::{Currency, Money, OrderId},
};

use crate::Invoices;

/// The most orders that one page has.
const PAGE: i64 = 1000;

/// Checks the invariants of the books.
///
/// # Errors
/// The database's.
pub(crate) async fn audit(invoices: Invoices) -> Result<Vec<AuditCheck>, DatabaseError> {
    let mut connection = invoices.database.connection().await?;
    let connection = &mut connection;
    Ok(vec![
        one_per_order(connection).await?,
        no_gaps(connection).await?,
        totals_add_up(connection).await?,
        documents_come(connection).await?,
    ])
}

/// Something wrong, and how many such things there are.
#[derive(QueryableByName)]
struct Wrong {
    #[diesel(sql_type = sql_types::Text)]
    what: String,
    #[diesel(sql_type = sql_types::BigInt)]
    all: i64,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = sql_types::BigInt)]
    all: i64,
}

async fn count(connection: &mut Connection, query: &str) -> Result<i64, DatabaseError> {
    Ok(sql_query(query).get_result::<Count>(connection).await?.all)
}

async fn check(
    connection: &mut Connection,
    invariant: &str,
    figures: String,
    query: &str,
) -> Result<AuditCheck, DatabaseError> {
    let wrong: Vec<Wrong> = sql_query(query).load(connection).await?;
    let figures = format!("{figures}, {} wrong", wrong.as_slice().first().map_or(0, |first| first.all));
    Ok(AuditCheck::new(invariant, figures, wrong.into_iter().map(|wrong| wrong.what).collect()))
}

async fn one_per_order(connection: &mut Connection) -> Result<AuditCheck, DatabaseError> {
    #[derive(QueryableByName)]
    struct Twice {
        #[diesel(sql_type = sql_types::Uuid)]
        order_id: OrderId,
        #[diesel(sql_type = sql_types::BigInt)]
        invoices: i64,
    }
    let orders = count(connection, "select count(distinct order_id) as all from invoice").await?;
    let twice: Vec<Twice> =
        sql("select order_id, count(*) as invoices from invoice where order_id is not null and type = '380'
         group by order_id having count(*) > 1 limit 20")
        .load(connection)
        .await?;
    let violations =
        twice.into_iter().map(|Twice { order_id, invoices }| format!("{order_id} has {invoices} invoices"));
    Ok(AuditCheck::new("an order has one invoice", format!("{orders} invoiced orders"), violations.collect()))
}

/// Each number of each series and year is an invoice's, from 1 to where the counter stands, and none is beyond it. A
/// number that a caller brought itself stands where the series passed it over.
async fn no_gaps(connection: &mut Connection) -> Result<AuditCheck, DatabaseError> {
    let numbers = count(connection, "select count(*) as all from invoice where sequence is not null").await?;
    let series = count(connection, "select count(*) as all from number_series").await?;
    check(
        connection,
        "no series has a gap in its numbers, and its counter stands at the highest",
        format!("{numbers} numbers in {series} series and years"),
        "with used as (
             select seller_key, series, year, count(*) as used, max(sequence) as highest
             from invoice where sequence is not null group by seller_key, series, year),
         doubtful as (
             select seller_key, series, year, coalesce(next - 1, 0) as counter, coalesce(highest, 0) as highest
             from used full join number_series using (seller_key, series, year)
             where (used, highest) is distinct from (next - 1, next - 1)),
         missing as (
             select doubtful.*, candidate from doubtful, generate_series(1, greatest(counter, highest)) as candidate
             where not exists (select from invoice
                 where invoice.seller_key = doubtful.seller_key
                   and number = doubtful.series || '-' || doubtful.year || '-'
                                || lpad(candidate::text, greatest(6, length(candidate::text)), '0'))),
         wrong as (
             select format('%s: number %s of series %s is missing in %s', seller_key, candidate, series, year) as what
             from missing
             union all
             select format('%s: the counter of series %s stands at %s in %s, the highest number is %s',
                           seller_key, series, counter, year, highest)
             from doubtful where counter <> highest
             union all
             select format('%s: %s has the number %s of series %s in %s', seller_key, number, sequence, series, year)
             from invoice
             where sequence is not null
               and number <> series || '-' || year || '-' || lpad(sequence::text, greatest(6, length(sequence::text)), '0'))
         select what, count(*) over () as all from wrong limit 20",
    )
    .await
}

async fn totals_add_up(connection: &mut Connection) -> Result<AuditCheck, DatabaseError> {
    let all = count(connection, "select count(*) as all from invoice").await?;
    check(
        connection,
        "the totals of every invoice add up",
        format!("{all} invoices"),
        "with figures as (
             select coalesce(number, id::text) as invoice, total,
                    (totals #>> '{line_total,amount}')::bigint as line_total,
                    (totals #>> '{allowance_total,amount}')::bigint as allowance_total,
                    (totals #>> '{charge_total,amount}')::bigint as charge_total,
                    (totals #>> '{tax_exclusive,amount}')::bigint as tax_exclusive,
                    (totals #>> '{tax_total,amount}')::bigint as tax_total,
                    (select coalesce(sum((net ->> 'amount')::bigint), 0)
                     from jsonb_array_elements(totals -> 'line_net') as net) as lines,
                    (select coalesce(sum((part #>> '{tax,amount}')::bigint), 0)
                     from jsonb_array_elements(totals -> 'breakdown') as part) as taxes,
                    (select coalesce(sum((part #>> '{taxable,amount}')::bigint), 0)
                     from jsonb_array_elements(totals -> 'breakdown') as part) as taxable
             from invoice)
         select format('%s: total %s, net %s, tax %s; its lines come to %s, its tax groups to %s on %s',
                       invoice, total, tax_exclusive, tax_total, lines, taxes, taxable) as what,
                count(*) over () as all
         from figures
         where (total, tax_exclusive, line_total, tax_total, taxable) is distinct from
               (tax_exclusive + tax_total, line_total - allowance_total + charge_total, lines, taxes, tax_exclusive)
         limit 20",
    )
    .await
}

/// The queue is worked off from its front. So a document is stuck when later ones have overtaken it, or when the queue
/// stands still: how long the queue is depends on what was asked of it, and is no fault.
async fn documents_come(connection: &mut Connection) -> Result<AuditCheck, DatabaseError> {
    #[derive(QueryableByName)]
    struct Documents {
        #[diesel(sql_type = sql_types::BigInt)]
        rendered: i64,
        #[diesel(sql_type = sql_types::BigInt)]
        waiting: i64,
        #[diesel(sql_type = sql_types::BigInt)]
        given_up: i64,
    }
    let Documents { rendered, waiting, given_up } =
        sql("select count(*) filter (where state = 'rendered') as rendered,
                count(*) filter (where state <> 'rendered' and next_attempt_at is not null) as waiting,
                count(*) filter (where state = 'failed' and next_attempt_at is null) as given_up
         from document")
        .get_result(connection)
        .await?;
    check(
        connection,
        "every issued invoice has its documents, or will have them",
        format!("{rendered} documents rendered, {waiting} waiting, {given_up} given up"),
        "with wrong as (
             select format('%s is issued and has no document', number) as what
             from invoice
             where state in ('issued', 'paid', 'credited') and not exists (select from document where invoice_id = id)
             union all
             select format('the %s of %s, of an order, was given up: %s', format, number, error)
             from document join invoice on id = invoice_id
             where document.state = 'failed' and next_attempt_at is null and order_id is not null
             union all
             select format('the %s of %s waits since %s and was overtaken by later ones', format, number, next_attempt_at)
             from document join invoice on id = invoice_id
             where document.state <> 'rendered' and next_attempt_at < now() - interval '1 minute'
               and exists (select from document as later join invoice as issued on issued.id = later.invoice_id
                           where later.state = 'rendered'
                             and issued.issued_at > document.next_attempt_at + interval '1 minute')
             union all
             select format('%s documents are due, the first since %s, and nobody works on any', count(*), min(next_attempt_at))
             from document where state <> 'rendered' and next_attempt_at < now() - interval '1 minute'
             having count(*) > 0 and not exists (
                 select from document where state <> 'rendered' and next_attempt_at > now() and attempts > 0))
         select what, count(*) over () as all from wrong limit 20",
    )
    .await
}

/// A page of the orders that have invoices.
///
/// # Errors
/// The database's, or a currency that is none.
pub(crate) async fn audit_invoices(
    invoices: Invoices,
    question: AuditInvoices,
) -> Result<AuditedInvoices, CallError<Never>> {
    #[derive(QueryableByName)]
    struct Invoiced {
        #[diesel(sql_type = sql_types::Uuid)]
        order_id: OrderId,
        #[diesel(sql_type = sql_types::BigInt)]
        invoices: i64,
        #[diesel(sql_type = sql_types::BigInt)]
        total: i64,
        #[diesel(sql_type = sql_types::Text)]
        currency: Currency,
        #[diesel(sql_type = sql_types::Bool)]
        rendered: bool,
    }
    let mut connection = invoices.database.connection().await?;
    let invoiced: Vec<Invoiced> =
        sql("select order_id, count(*) as invoices, sum(total)::bigint as total, min(currency) as currency,
                bool_and(exists (select from document where invoice_id = id)
                         and not exists (select from document where invoice_id = id and document.state <> 'rendered'))
                as rendered
         from invoice
         where order_id is not null and ($1 is null or order_id > $1) and type = '380'
           and state in ('issued', 'paid', 'credited')
         group by order_id order by order_id limit $2")
        .bind::<sql_types::Nullable<sql_types::Uuid>, _>(question.after)
        .bind::<sql_types::BigInt, _>(question.limit.clamp(1, PAGE))
        .load(&mut connection)
        .await?;
    let orders = invoiced.into_iter().map(|invoiced| {
        let Invoiced { order_id, invoices, total, currency, rendered } = invoiced;
        AuditedInvoice { order_id, invoices, total: Money::new(total, currency), rendered }
    });
    Ok(AuditedInvoices { orders: orders.collect() })
}
