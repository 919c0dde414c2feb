//! What must be so of stock, and whether it is (`argosy verify`).
//!
//! All of it is read from one snapshot: what must be so is so at every moment, under load as well.

use diesel::{
    QueryableByName,
    sql_types::{Array, BigInt, Bool, Nullable, Text, Uuid},
};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use nats::{
    contracts::{
        Never,
        catalog::{AuditReservations, AuditedReservation, AuditedReservations},
        operations::AuditCheck,
    },
    database::{DatabaseError, Tx, sql},
    invoke::CallError,
    types::OrderId,
};

use crate::Catalog;

/// The most reservations that a page has.
const PAGE: i64 = 1000;

/// A page of reservations, by order id.
pub(crate) async fn audit_reservations(
    catalog: Catalog,
    question: AuditReservations,
) -> Result<AuditedReservations, CallError<Never>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Uuid)]
        order_id: OrderId,
        #[diesel(sql_type = Text)]
        state: String,
        #[diesel(sql_type = BigInt)]
        pieces: i64,
    }
    let mut connection = catalog.database.connection().await?;
    let rows: Vec<Row> = sql(
        "select order_id, state,
                (select coalesce(sum(quantity), 0) from reservation_line where order_id = reservation.order_id) as pieces
         from reservation where $1 is null or order_id > $1 order by order_id limit $2",
    )
    .bind::<Nullable<Uuid>, _>(question.after)
    .bind::<BigInt, _>(question.limit.clamp(1, PAGE))
    .load(&mut connection)
    .await?;
    let told = |Row { order_id, state, pieces }| AuditedReservation { order_id, state, pieces };
    Ok(AuditedReservations { reservations: rows.into_iter().map(told).collect() })
}

/// Every invariant of stock.
pub(crate) async fn audit(catalog: Catalog) -> Result<Vec<AuditCheck>, DatabaseError> {
    let mut tx = catalog.database.begin().await?;
    // Whole tables are summed up, once: in memory rather than in temporary files.
    tx.batch_execute("set transaction isolation level repeatable read, read only; set local work_mem = '64MB'").await?;
    let mut checks = levels(&mut tx).await?;
    checks.push(orders(&mut tx).await?);
    checks.push(overdue(&mut tx).await?);
    tx.roll_back().await?;
    Ok(checks)
}

const LEVELS: &str = "
    with moved as (
        select sku, kind, sum(quantity) as pieces, sum(on_hand) as on_hand, sum(reserved) as reserved
        from movement group by sku, kind
    ), ledger as (
        select sku, sum(on_hand) as on_hand, sum(reserved) as reserved from moved group by sku
    ), held as (
        select sku, sum(quantity) as pieces from reservation join reservation_line using (order_id)
        where state = 'held' group by sku
    ), sheet as (
        select sku, stock.on_hand, stock.reserved, available, coalesce(held.pieces, 0) as held,
               coalesce(ledger.on_hand, 0) as ledger_on_hand, coalesce(ledger.reserved, 0) as ledger_reserved
        from stock left join ledger using (sku) left join held using (sku)
    )
    select count(*) as skus,
        format('%s on hand', coalesce(sum(on_hand), 0)) as on_hand,
        format('%s reserved', coalesce(sum(reserved), 0)) as reserved,
        format('%s at least on hand, %s reserved, %s available', min(on_hand), min(reserved), min(available)) as least,
        (select string_agg(format('%s %s', pieces, kind), ', ' order by kind)
         from (select kind, sum(pieces) as pieces from moved group by kind) as kinds) as ledger,
        array_agg(format('%s: %s on hand, %s by the ledger', sku, on_hand, ledger_on_hand))
            filter (where on_hand <> ledger_on_hand) as wrong_on_hand,
        array_agg(format('%s: %s reserved, %s by the ledger, %s held by orders', sku, reserved, ledger_reserved, held))
            filter (where reserved <> ledger_reserved or reserved <> held) as wrong_reserved,
        array_agg(format('%s: %s on hand, %s reserved, %s available', sku, on_hand, reserved, available))
            filter (where least(on_hand, reserved, available) < 0) as negative
    from sheet";

/// SKU by SKU: the level is what the ledger and the reservations say.
async fn levels(tx: &mut Tx) -> Result<Vec<AuditCheck>, DatabaseError> {
    #[derive(QueryableByName)]
    struct Sheet {
        #[diesel(sql_type = BigInt)]
        skus: i64,
        #[diesel(sql_type = Text)]
        on_hand: String,
        #[diesel(sql_type = Text)]
        reserved: String,
        #[diesel(sql_type = Text)]
        least: String,
        #[diesel(sql_type = Nullable<Text>)]
        ledger: Option<String>,
        #[diesel(sql_type = Nullable<Array<Text>>)]
        wrong_on_hand: Option<Vec<String>>,
        #[diesel(sql_type = Nullable<Array<Text>>)]
        wrong_reserved: Option<Vec<String>>,
        #[diesel(sql_type = Nullable<Array<Text>>)]
        negative: Option<Vec<String>>,
    }
    let sheet: Sheet = sql(LEVELS).get_result(tx).await?;
    let Sheet { skus, on_hand, reserved, least, .. } = sheet;
    let ledger = sheet.ledger.unwrap_or_else(|| "empty".to_owned());
    Ok(vec![
        AuditCheck::new(
            "on hand is receipts, adjustments and returns less sales, SKU by SKU",
            format!("{skus} SKUs, {on_hand}; the ledger: {ledger}"),
            sheet.wrong_on_hand.unwrap_or_default(),
        ),
        AuditCheck::new(
            "reserved is reservations less releases and sales, and what orders hold, SKU by SKU",
            format!("{skus} SKUs, {reserved}"),
            sheet.wrong_reserved.unwrap_or_default(),
        ),
        AuditCheck::new("no level is negative", format!("{skus} SKUs, {least}"), sheet.negative.unwrap_or_default()),
    ])
}

/// Whether what orders were promised and sold is what the ledger says, line by line, without joining the two: each line is
/// a number of 64 bits, and the sums are the same on both sides. Two scans, where a join of a year's orders would sort.
const AGREED: &str = "
    with line as (
        select state, hashtextextended(sku, uuid_hash_extended(order_id, quantity)) as mark
        from reservation_line join reservation using (order_id) where state in ('held', 'sold')
    ), entry as (
        select kind, hashtextextended(sku, uuid_hash_extended(order_id, quantity)) as mark
        from movement where order_id is not null
    ), promised as (
        select coalesce(sum(mark) filter (where state = 'held'), 0) as held, count(*) filter (where state = 'sold') as lines,
               coalesce(sum(mark) filter (where state = 'sold'), 0) as sold
        from line
    ), moved as (
        select coalesce(sum(mark) filter (where kind = 'reservation'), 0)
                   - coalesce(sum(mark) filter (where kind in ('release', 'sale')), 0) as held,
               coalesce(sum(mark) filter (where kind = 'sale'), 0)
                   - coalesce(sum(mark) filter (where kind = 'return'), 0) as sold,
               count(*) filter (where kind = 'sale') as sales, count(*) filter (where kind = 'return') as returns
        from entry
    )
    select promised.held = moved.held and promised.sold = moved.sold and lines = sales - returns as agreed,
           format('%s lines sold, %s sales, %s returns in the ledger', lines, sales, returns) as sales,
           (select coalesce(string_agg(format('%s %s', orders, state), ', ' order by state), 'none')
            from (select state, count(*) as orders from reservation group by state) as states) as orders
    from promised, moved";

/// The lines whose movements are not what their reservation's state asks for.
const WRONG_LINES: &str = "
    with moved as (
        select order_id, sku, sum(reserved) as held, sum(on_hand) as gone,
               count(*) filter (where kind = 'sale') as sales, count(*) filter (where kind = 'return') as returns
        from movement where order_id is not null group by order_id, sku
    ), line as (
        select order_id, sku, quantity, state from reservation_line join reservation using (order_id)
    )
    select order_id, format('%s: %s %s; the ledger: %s held, %s sold in %s sales and %s returns', sku,
               coalesce(quantity, 0), coalesce(state, 'reserved'), coalesce(held, 0), coalesce(-gone, 0),
               coalesce(sales, 0), coalesce(returns, 0)) as violation
    from line full join moved using (order_id, sku)
    where (case state when 'held' then quantity else 0 end) <> coalesce(held, 0)
       or (case state when 'sold' then quantity else 0 end) <> coalesce(-gone, 0)
       or (case state when 'sold' then 1 else 0 end) <> coalesce(sales - returns, 0)
    limit 20";

/// Order by order: what is held was promised once, what is sold was sold once, and everything else came back.
async fn orders(tx: &mut Tx) -> Result<AuditCheck, DatabaseError> {
    #[derive(QueryableByName)]
    struct Sums {
        #[diesel(sql_type = Bool)]
        agreed: bool,
        #[diesel(sql_type = Text)]
        sales: String,
        #[diesel(sql_type = Text)]
        orders: String,
    }
    #[derive(QueryableByName)]
    struct Wrong {
        #[diesel(sql_type = Uuid)]
        order_id: OrderId,
        #[diesel(sql_type = Text)]
        violation: String,
    }
    let Sums { agreed, sales, orders } = sql(AGREED).get_result(tx).await?;
    let mut violations = Vec::new();
    if !agreed {
        violations.push("the sums of lines and movements differ".to_owned());
        let wrong: Vec<Wrong> = sql(WRONG_LINES).load(tx).await?;
        violations.extend(wrong.into_iter().map(|Wrong { order_id, violation }| format!("{order_id}, {violation}")));
    }
    Ok(AuditCheck::new(
        "each order's movements are what its reservation says, with one sale per sold line",
        format!("reservations: {orders}; {sales}"),
        violations,
    ))
}

/// No reservation is held long after its time; the sweep comes every few seconds.
async fn overdue(tx: &mut Tx) -> Result<AuditCheck, DatabaseError> {
    #[derive(QueryableByName)]
    struct Overdue {
        #[diesel(sql_type = BigInt)]
        held: i64,
        #[diesel(sql_type = Nullable<Array<Uuid>>)]
        late: Option<Vec<OrderId>>,
    }
    let Overdue { held, late } = sql("select count(*) as held,
                array_agg(order_id) filter (where expires_at < clock_timestamp() - interval '1 minute') as late
         from reservation where state = 'held'")
    .get_result(tx)
    .await?;
    let late: Vec<String> =
        late.unwrap_or_default().iter().map(|order| format!("{order} is held past its time")).collect();
    let figures = format!("{held} held, {} past their time for over a minute", late.len());
    Ok(AuditCheck::new("no reservation is held a minute after its time", figures, late))
}
