//! `svc.catalog.reserve_stock`: everything an order needs, or nothing.
//!
//! Orders that wait together are reserved in one transaction: stock locked in the order of SKUs, decided in memory first
//! come first served, written by one statement per table. Available is read under the lock and only lowered by what is
//! granted in the same transaction, so it cannot be promised twice, with any number of instances.
//!
//! Trap: repeats are recognised after stock is locked. Before, a repeat would not see its twin that is about to commit.

use std::collections::{BTreeMap, BTreeSet};

use diesel::sql_types::{Array, Integer, Jsonb, Text, Uuid};
use diesel_async::RunQueryDsl;
use nats::{
    batch::{Batcher, Limits},
    contracts::catalog::{ReserveRefusal, ReserveStock, ReservedLine, Shortage, StockReserved},
    database::{Database, DatabaseError, Tx, sql},
    invoke::CallError,
    types::{Currency, OrderId, Sku},
};

use super::{
    Stock,
    ledger::{self, Kind, NewMovement},
    reservation::{Reply, Reservation, State},
};
use crate::{Catalog, product::article::Article};

/// The most lines that an order may have.
const LINES: usize = 100;

type Outcome = Result<StockReserved, ReserveRefusal>;

/// Reserves for one order, together with those that wait.
pub(crate) async fn reserve_stock(
    catalog: Catalog,
    question: ReserveStock,
) -> Result<StockReserved, CallError<ReserveRefusal>> {
    check(&question).map_err(CallError::Failed)?;
    catalog.reserving.ask(question).await?.map_err(CallError::Refused)
}

/// The batches of reservations; each holds for `ttl` seconds.
pub(crate) fn start(database: Database, ttl: i32) -> Batcher<ReserveStock, Outcome> {
    Batcher::start(Limits::default(), weight, move |questions| {
        let database = database.clone();
        async move { reserve(&database, ttl, &questions).await }
    })
}

/// Its lines, and something for itself, so that a batch has at most 250 orders.
fn weight(question: &ReserveStock) -> usize {
    question.lines.len().saturating_add(3)
}

/// What the contract asks of a question.
fn check(question: &ReserveStock) -> Result<(), String> {
    if question.lines.is_empty() || question.lines.len() > LINES {
        return Err(format!("a reservation has 1 to {LINES} lines, not {}", question.lines.len()));
    }
    let distinct: BTreeSet<&Sku> = question.lines.iter().map(|line| &line.sku).collect();
    if distinct.len() < question.lines.len() { Err("a reservation names each SKU once".to_owned()) } else { Ok(()) }
}

/// Reserves for all of these orders in one transaction; the outcomes are in their order.
async fn reserve(database: &Database, ttl: i32, questions: &[ReserveStock]) -> Result<Vec<Outcome>, DatabaseError> {
    loop {
        if let Some(outcomes) = attempt(database, ttl, questions).await? {
            return Ok(outcomes);
        }
        // Another instance settled one of these orders meanwhile; the next attempt sees how.
    }
}

/// `None` when one of the orders got a reservation while we decided; nothing is done then.
async fn attempt(
    database: &Database,
    ttl: i32,
    questions: &[ReserveStock],
) -> Result<Option<Vec<Outcome>>, DatabaseError> {
    let skus: BTreeSet<Sku> =
        questions.iter().flat_map(|question| &question.lines).map(|line| line.sku.clone()).collect();
    let skus: Vec<Sku> = skus.into_iter().collect();
    let orders: Vec<OrderId> = questions.iter().map(|question| question.order_id).collect();

    let mut tx = database.begin().await?;
    // Before the locks, which others wait for.
    let articles = Article::of(&mut tx, &skus).await?;
    let mut levels = Stock::lock(&mut tx, &skus).await?;
    let earlier = Reservation::of(&mut tx, &orders).await?;
    let mut known: BTreeMap<OrderId, Reservation> = earlier.into_iter().map(|row| (row.order_id, row)).collect();
    let articles = articles.into_iter().map(|article| ((article.sku.clone(), article.currency), article)).collect();

    let mut granted = BTreeMap::new();
    let mut outcomes = Vec::with_capacity(questions.len());
    for question in questions {
        let outcome = match known.get(&question.order_id) {
            Some(reservation) => repeat(reservation, question),
            None => decide(question, &articles, &mut levels),
        };
        if let (Ok(reply), false) = (&outcome, known.contains_key(&question.order_id)) {
            let (order_id, reply) = (question.order_id, Reply(reply.clone()));
            known.insert(order_id, Reservation { order_id, state: State::Held, reply: Some(reply.clone()) });
            granted.insert(order_id, reply);
        }
        outcomes.push(outcome);
    }
    if granted.is_empty() {
        tx.roll_back().await?;
        return Ok(Some(outcomes));
    }
    if !write(&mut tx, ttl, &granted).await? {
        tx.roll_back().await?;
        return Ok(None);
    }
    tx.commit().await?;
    Ok(Some(outcomes))
}

/// The answer to an order that has a reservation: the first one again, as long as it is held and the lines are the same.
fn repeat(reservation: &Reservation, question: &ReserveStock) -> Outcome {
    let held = reservation.reply.as_ref().filter(|_| reservation.state == State::Held);
    let first: Vec<ReservedLine> = held.map(|reply| reply.0.lines.clone()).unwrap_or_default();
    let lines: Vec<ReservedLine> = question
        .lines
        .iter()
        .filter_map(|line| {
            let same = |first: &&ReservedLine| {
                first.sku == line.sku
                    && first.quantity == line.quantity
                    && first.unit_price.currency == question.currency
            };
            first.iter().find(same).cloned()
        })
        .collect();
    let same = lines.len() == question.lines.len() && lines.len() == first.len();
    if same { Ok(StockReserved { lines }) } else { Err(ReserveRefusal::Settled) }
}

/// All of an order's lines, or nothing; what is granted is taken off `levels`.
fn decide(
    question: &ReserveStock,
    articles: &BTreeMap<(Sku, Currency), Article>,
    levels: &mut BTreeMap<Sku, Stock>,
) -> Outcome {
    let (mut lines, mut unknown, mut short) = (Vec::new(), Vec::new(), Vec::new());
    for (index, line) in question.lines.iter().enumerate() {
        let found = articles.get(&(line.sku.clone(), question.currency)).zip(levels.get(&line.sku));
        let Some((article, level)) = found else {
            unknown.push(index);
            continue;
        };
        if level.available() < line.quantity.get() {
            short.push(Shortage { line: index, sku: line.sku.clone(), available: level.available() });
        }
        lines.push(article.reserved(line.quantity));
    }
    if !unknown.is_empty() {
        return Err(ReserveRefusal::Unknown(unknown));
    }
    if !short.is_empty() {
        return Err(ReserveRefusal::OutOfStock(short));
    }
    for line in &lines {
        if let Some(level) = levels.get_mut(&line.sku) {
            level.reserved += line.quantity.get();
        }
    }
    Ok(StockReserved { lines })
}

const GRANT: &str = "
    insert into reservation (order_id, state, expires_at, reply)
    select order_id, 'held', now() + make_interval(secs => $1), reply
    from unnest($2::uuid[], $3::jsonb[]) as granted (order_id, reply) order by order_id
    on conflict do nothing";
const GRANT_LINES: &str = "
    insert into reservation_line (order_id, sku, quantity) select * from unnest($1::uuid[], $2::text[], $3::integer[])";

/// Writes what was granted, by order id. False when one of the orders has a reservation by now.
async fn write(tx: &mut Tx, ttl: i32, granted: &BTreeMap<OrderId, Reply>) -> Result<bool, DatabaseError> {
    let fresh = sql(GRANT)
        .bind::<Integer, _>(ttl)
        .bind::<Array<Uuid>, _>(granted.keys().collect::<Vec<_>>())
        .bind::<Array<Jsonb>, _>(granted.values().collect::<Vec<_>>())
        .execute(tx)
        .await?;
    if fresh < granted.len() {
        return Ok(false);
    }
    let lines: Vec<(OrderId, &ReservedLine)> =
        granted.iter().flat_map(|(order, reply)| reply.0.lines.iter().map(|line| (*order, line))).collect();
    sql(GRANT_LINES)
        .bind::<Array<Uuid>, _>(lines.iter().map(|(order, _)| *order).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(lines.iter().map(|(_, line)| line.sku.as_str()).collect::<Vec<_>>())
        .bind::<Array<Integer>, _>(lines.iter().map(|(_, line)| line.quantity.get()).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    let movement = |(order, line): &(OrderId, &ReservedLine)| {
        NewMovement::of_order(*order, line.sku.clone(), Kind::Reservation, line.quantity.get())
    };
    let movements: Vec<_> = lines.iter().map(movement).collect();
    ledger::book(tx, &movements).await?;
    Ok(true)
}

#[cfg(test)]
mod tests;
