//! `svc.catalog.reserve_stock`: everything an order needs, or nothing.
//!
//! Shaped as a batch: any number of orders in one transaction, stock locked in the order of SKUs, decided in memory first
//! come first served, written by one statement per table. Available is read under the lock and only lowered by what is
//! granted in the same transaction, so it cannot be promised twice, with any number of instances.
//!
//! Trap: repeats are recognised after stock is locked. Before, a repeat would not see its twin that is about to commit.

use std::collections::{BTreeMap, BTreeSet};

use diesel::{ExpressionMethods, IntoSql, dsl::now, insert_into, pg::expression::extensions::IntervalDsl, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::catalog::{ReserveRefusal, ReserveStock, ReservedLine, Shortage, StockReserved},
    database::{DatabaseError, Tx},
    invoke::CallError,
    types::{Currency, OrderId, Sku},
};

use super::{
    Stock,
    ledger::{self, Kind},
    reservation::{Reply, Reservation, ReservationLine, State},
};
use crate::{
    Catalog,
    product::article::Article,
    schema::{reservation, reservation_line},
};

/// The most lines that an order may have.
const LINES: usize = 100;

type Outcome = Result<StockReserved, ReserveRefusal>;

/// Reserves for one order.
pub(crate) async fn reserve_stock(
    catalog: Catalog,
    question: ReserveStock,
) -> Result<StockReserved, CallError<ReserveRefusal>> {
    check(&question).map_err(CallError::Failed)?;
    let outcome = reserve(&catalog, &[question]).await?.pop();
    outcome.ok_or_else(|| CallError::Failed("the batch lost its only order".to_owned()))?.map_err(CallError::Refused)
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
async fn reserve(catalog: &Catalog, questions: &[ReserveStock]) -> Result<Vec<Outcome>, DatabaseError> {
    loop {
        if let Some(outcomes) = attempt(catalog, questions).await? {
            return Ok(outcomes);
        }
        // Another instance settled one of these orders meanwhile; the next attempt sees how.
    }
}

/// `None` when one of the orders got a reservation while we decided; nothing is done then.
async fn attempt(catalog: &Catalog, questions: &[ReserveStock]) -> Result<Option<Vec<Outcome>>, DatabaseError> {
    let skus: BTreeSet<Sku> =
        questions.iter().flat_map(|question| &question.lines).map(|line| line.sku.clone()).collect();
    let skus: Vec<Sku> = skus.into_iter().collect();
    let orders: Vec<OrderId> = questions.iter().map(|question| question.order_id).collect();

    let mut tx = catalog.database.begin().await?;
    let mut levels = Stock::lock(&mut tx, &skus).await?;
    let earlier = Reservation::of(&mut tx, &orders).await?;
    let mut known: BTreeMap<OrderId, Reservation> = earlier.into_iter().map(|row| (row.order_id, row)).collect();
    let articles = Article::of(&mut tx, &skus).await?;
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
    if !write(&mut tx, catalog.reservation_ttl, granted).await? {
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

/// Writes what was granted, by order id. False when one of the orders has a reservation by now.
async fn write(tx: &mut Tx, ttl: i32, granted: BTreeMap<OrderId, Reply>) -> Result<bool, DatabaseError> {
    let mut lines = Vec::new();
    for (order, reply) in &granted {
        lines.extend(reply.0.lines.iter().map(|line| ReservationLine {
            order_id: *order,
            sku: line.sku.clone(),
            quantity: line.quantity,
        }));
    }
    let orders = granted.len();
    let rows: Vec<_> = granted
        .into_iter()
        .map(|(order, reply)| {
            (
                reservation::order_id.eq(order),
                reservation::state.eq(State::Held),
                reservation::expires_at.eq(now.into_sql::<sql_types::Timestamptz>() + ttl.seconds()),
                reservation::reply.eq(Some(reply)),
            )
        })
        .collect();
    let fresh = insert_into(reservation::table).values(rows).on_conflict_do_nothing().execute(tx).await?;
    if fresh < orders {
        return Ok(false);
    }
    insert_into(reservation_line::table).values(&lines).execute(tx).await?;
    let movements: Vec<_> = lines.iter().map(|line| line.movement(Kind::Reservation)).collect();
    ledger::book(tx, &movements).await?;
    Ok(true)
}

#[cfg(test)]
mod tests;
