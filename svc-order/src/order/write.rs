//! Writing placed orders: all that wait, in one transaction (see [`nats::batch`]).
//!
//! An order is written with its number, terms, lines, history, saga and event, with the answer to its request under the
//! request's key, and with the cart it came from emptied; or nothing of it is. Of the orders of one batch, those whose cart
//! has changed or whose key was used meanwhile are left out; the others are written all the same.
//!
//! The trap: batches of several instances meet on rows. Everyone locks carts first and keys second, each in the order of
//! their names, so that nobody waits in a circle.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use diesel::{QueryableByName, insert_into, result::Error, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    batch::{Batcher, Limits},
    contracts::order::OrderPlaced,
    database::{Database, DatabaseError, Tx, sql},
    idempotency::{KeptAnswer, Keyed, claim_all},
    outbox::Traced,
    telemetry::Trace,
    types::OrderId,
};

use super::{
    LineRow, OrderRow, TermsRow,
    company::CompanyRow,
    history::{By, NewEntry, OrderChange},
    resource::Order,
    saga,
    status::State,
};
use crate::{
    cart::{self, CartRow},
    schema::{order_company, order_line, order_terms, orders},
};

/// An order that is agreed upon and not written yet.
pub(crate) struct Draft {
    /// The request that it answers.
    pub(crate) keyed: Keyed,
    /// Its row; the number is given to it when it is written.
    pub(crate) order: OrderRow,
    pub(crate) terms: TermsRow,
    pub(crate) lines: Vec<LineRow>,
    /// The company it is for.
    pub(crate) company: Option<CompanyRow>,
    /// The cart it came from, as it was then.
    pub(crate) cart: Option<CartRow>,
    /// The trace of its request.
    pub(crate) trace: Trace,
}

/// What became of a draft.
pub(crate) enum Written {
    /// It is an order.
    Placed(Box<Order>),
    /// Nothing was written: the key of its request was used meanwhile.
    KeyTaken,
    /// Nothing was written: the cart it came from has changed.
    CartChanged,
    /// Nothing was written: the database went away before the commit.
    Away,
}

/// Takes drafts and makes orders of them.
pub(crate) type Writer = Batcher<Arc<Draft>, Written>;

/// Starts to write what is asked for.
///
/// What is written is to be paid within `payment_timeout`.
pub(crate) fn start(database: Database, payment_timeout: Duration) -> Writer {
    let rows = |draft: &Arc<Draft>| draft.lines.len().saturating_add(8);
    Batcher::start(Limits::default(), rows, move |drafts: Vec<Arc<Draft>>| {
        let database = database.clone();
        async move { write(&database, payment_timeout, &drafts).await }
    })
}

/// The path of an order.
pub(crate) fn location(id: OrderId) -> String {
    format!("/v1/orders/{id}")
}

async fn write(
    database: &Database,
    payment_timeout: Duration,
    drafts: &[Arc<Draft>],
) -> Result<Vec<Written>, DatabaseError> {
    let Composed { tx, unchanged, ours } = match compose(database, payment_timeout, drafts).await {
        Ok(composed) => composed,
        Err(error) if error.is_unavailable() => {
            tracing::warn!(%error, orders = drafts.len(), "the database went away before the orders were committed");
            return Ok(drafts.iter().map(|_| Written::Away).collect());
        }
        Err(error) => return Err(error),
    };
    let mut placed: HashMap<OrderId, Order> = ours.into_iter().map(|one| (one.draft.order.id, one.order)).collect();
    // Whatever a commit says when it fails: it may have been done.
    tx.commit().await.map_err(|error| DatabaseError::Unreachable { reason: error.to_string() })?;
    let outcome = |draft: &Arc<Draft>| match placed.remove(&draft.order.id) {
        Some(order) => Written::Placed(Box::new(order)),
        None if unchanged.contains(&draft.order.id) => Written::KeyTaken,
        None => Written::CartChanged,
    };
    Ok(drafts.iter().map(outcome).collect())
}

/// A batch that lacks its commit alone.
struct Composed<'a> {
    tx: Tx,
    /// The drafts whose carts are as they found them.
    unchanged: HashSet<OrderId>,
    /// Those of them whose keys are ours: what is written.
    ours: Vec<Numbered<'a>>,
}

async fn compose<'a>(
    database: &Database,
    payment_timeout: Duration,
    drafts: &'a [Arc<Draft>],
) -> Result<Composed<'a>, DatabaseError> {
    let mut tx = database.begin().await?;
    let unchanged = with_their_carts(&mut tx, drafts).await?;
    let numbers = numbers(&mut tx, unchanged.len()).await?;
    let numbered: Vec<Numbered<'_>> =
        unchanged.iter().zip(numbers).map(|(draft, number)| Numbered::of(draft, number)).collect::<Result<_, _>>()?;
    let answers: Vec<(&Keyed, &KeptAnswer)> = numbered.iter().map(|one| (&one.draft.keyed, &one.answer)).collect();
    let claimed = claim_all(&mut tx, &answers).await?;
    let ours: Vec<Numbered<'_>> =
        numbered.into_iter().zip(claimed).filter(|(_, ours)| *ours).map(|(one, _)| one).collect();
    insert(&mut tx, payment_timeout, &ours).await?;
    let emptied: Vec<_> = ours.iter().filter_map(|one| one.draft.cart.map(|cart| cart.id)).collect();
    cart::empty(&mut tx, &emptied).await?;
    Ok(Composed { tx, unchanged: unchanged.iter().map(|draft| draft.order.id).collect(), ours })
}

/// The drafts that did not come from a cart, or whose cart is still as they found it; such carts are locked. Of several
/// orders of one cart, the first has it.
async fn with_their_carts<'a>(tx: &mut Tx, drafts: &'a [Arc<Draft>]) -> Result<Vec<&'a Draft>, DatabaseError> {
    let carts: Vec<_> = drafts.iter().filter_map(|draft| draft.cart.map(|cart| cart.id)).collect();
    let mut now: HashSet<CartRow> = cart::lock(tx, &carts).await?.into_iter().collect();
    let unchanged = |draft: &&Draft| draft.cart.is_none_or(|cart| now.remove(&cart));
    Ok(drafts.iter().map(|draft| &**draft).filter(unchanged).collect())
}

/// The next numbers that people read.
async fn numbers(tx: &mut Tx, how_many: usize) -> Result<Vec<String>, DatabaseError> {
    #[derive(QueryableByName)]
    struct Number {
        #[diesel(sql_type = sql_types::Text)]
        number: String,
    }
    let numbers: Vec<Number> = sql("select 'A-' || nextval('order_number') as number from generate_series(1, $1)")
        .bind::<sql_types::BigInt, _>(i64::try_from(how_many).unwrap_or(i64::MAX))
        .load(tx)
        .await?;
    Ok(numbers.into_iter().map(|row| row.number).collect())
}

/// A draft with its number, and what comes of that.
struct Numbered<'a> {
    draft: &'a Draft,
    row: OrderRow,
    /// As its customer sees it.
    order: Order,
    answer: KeptAnswer,
}

impl<'a> Numbered<'a> {
    fn of(draft: &'a Draft, number: String) -> Result<Self, DatabaseError> {
        let row = OrderRow { number, ..draft.order.clone() };
        let order = Order::of(row.clone(), (draft.terms.clone(), draft.company.clone()), draft.lines.clone());
        let answer =
            KeptAnswer::new(201, &location(row.id), &order).map_err(|error| Error::SerializationError(error.into()))?;
        Ok(Self { draft, row, order, answer })
    }

    fn event(&self) -> Traced<OrderPlaced> {
        let OrderRow { id: order_id, user_id, total, .. } = self.row;
        let payment_method = self.draft.terms.payment_method.to_string();
        let event = OrderPlaced { order_id, user_id, total: self.row.money(total), payment_method };
        Traced { event, trace: self.draft.trace.clone() }
    }
}

/// Everything of these orders, one statement per table.
async fn insert(tx: &mut Tx, payment_timeout: Duration, all: &[Numbered<'_>]) -> Result<(), DatabaseError> {
    if all.is_empty() {
        return Ok(());
    }
    let rows: Vec<&OrderRow> = all.iter().map(|one| &one.row).collect();
    insert_into(orders::table).values(rows).execute(tx).await?;
    let terms: Vec<&TermsRow> = all.iter().map(|one| &one.draft.terms).collect();
    insert_into(order_terms::table).values(terms).execute(tx).await?;
    let companies: Vec<&CompanyRow> = all.iter().filter_map(|one| one.draft.company.as_ref()).collect();
    if !companies.is_empty() {
        insert_into(order_company::table).values(companies).execute(tx).await?;
    }
    let lines: Vec<&LineRow> = all.iter().flat_map(|one| &one.draft.lines).collect();
    insert_into(order_line::table).values(lines).execute(tx).await?;
    let placed = |row: &OrderRow| {
        let by = By::Customer(row.user_id);
        NewEntry::of(row.id, OrderChange::Placed, State::PLACED, by, "The order was placed.".to_owned())
    };
    let entries: Vec<NewEntry> = all.iter().map(|one| placed(&one.row)).collect();
    NewEntry::write_all(&entries, tx).await?;
    let begun: Vec<(OrderId, &Trace)> = all.iter().map(|one| (one.row.id, &one.draft.trace)).collect();
    saga::row::begin(tx, payment_timeout, &begun).await?;
    let events: Vec<Traced<OrderPlaced>> = all.iter().map(Numbered::event).collect();
    tx.record_all(&events).await
}
