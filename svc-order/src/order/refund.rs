//! Refunds: what of an order's money went back, as svc-payment tells it.
//!
//! Each refund is a row, by its id: told twice, it is one. The order keeps the sum, so that refunds in parts are seen to
//! come to the whole. What becomes of the order itself is not decided here: a confirmed order whose money went back is
//! still confirmed, a canceled one still canceled, and done once all of it went back.
//!
//! The trap: captures and refunds come through two consumers, so a refund may be here first. It is kept until its capture
//! is known ([`early`]), and not taken for one of an order that nobody paid.

use diesel::{
    ExpressionMethods, Insertable, QueryDsl, Queryable, Selectable, SelectableHelper, dsl::sql, insert_into, pg::Pg,
    sql_types,
};
use diesel_async::RunQueryDsl;
use nats::{
    consume::{Failure, Received},
    contracts::payment::PaymentRefunded,
    database::Tx,
    types::{OrderId, PaymentId, RefundId},
};

use super::{
    OrderRow,
    change::{ChangeError, Changes},
    saga::{Happening, Meaning, hear, locked},
    status::names,
};
use crate::{Orders, schema::order_refund};

names! {
    /// What is made of a refund.
    pub(crate) RefundState, "the state of a noted refund" {
        /// Its capture is not known yet.
        Early = "early",
        /// It is part of what went back.
        Counted = "counted",
        /// It does not fit the order.
        Contradicted = "contradicted",
    }
}

/// A row of `order_refund`.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = order_refund, check_for_backend(Pg))]
pub(crate) struct RefundRow {
    refund_id: RefundId,
    order_id: OrderId,
    payment_id: PaymentId,
    amount: i64,
    state: RefundState,
}

/// `payment.refunded`: the order remembers that its money, or some of it, went back.
pub(crate) async fn note_refund(
    tx: &mut Tx,
    service: Orders,
    received: Received<PaymentRefunded>,
) -> Result<(), Failure> {
    let PaymentRefunded { payment_id, order_id, refund_id, amount } = received.event;
    let order = locked(tx, order_id).await?;
    if amount.currency != order.currency || amount.amount <= 0 {
        let total = order.money(order.total);
        return Err(Failure::Dead(format!("{payment_id} refunded {amount} of an order of {total}")));
    }
    let refund = RefundRow { refund_id, order_id, payment_id, amount: amount.amount, state: RefundState::Early };
    let fresh = insert_into(order_refund::table).values(&refund).on_conflict_do_nothing().execute(tx).await?;
    if fresh == 0 {
        tracing::info!(%order_id, %refund_id, "known already");
        return Ok(());
    }
    let mut changes = Changes::new();
    count(&mut changes, tx, order, &refund).await?;
    Ok(changes.write(tx, &service.saga).await?)
}

/// Refunds that came before their captures.
pub(super) struct Early(Vec<RefundRow>);

/// Those of these orders, which this transaction has locked.
pub(super) async fn early(tx: &mut Tx, orders: &[OrderId]) -> diesel::QueryResult<Early> {
    let early = order_refund::table
        .filter(order_refund::order_id.eq_any(orders))
        .filter(order_refund::state.eq(RefundState::Early))
        .order(order_refund::refund_id)
        .select(RefundRow::as_select());
    early.load(tx).await.map(Early)
}

impl Early {
    /// Those of a payment of an order; they are not early any more.
    pub(super) fn of(&mut self, order: OrderId, payment: PaymentId) -> Vec<RefundRow> {
        self.0.extract_if(.., |refund| refund.order_id == order && refund.payment_id == payment).collect()
    }
}

/// Adds a refund to what went back before; the order afterwards.
pub(super) async fn count(
    changes: &mut Changes,
    tx: &mut Tx,
    order: OrderRow,
    refund: &RefundRow,
) -> Result<OrderRow, ChangeError> {
    let before: Option<i64> = order_refund::table
        .filter(order_refund::order_id.eq(order.id))
        .filter(order_refund::payment_id.eq(refund.payment_id))
        .filter(order_refund::state.eq(RefundState::Counted))
        .select(sql::<sql_types::Nullable<sql_types::BigInt>>("sum(amount)::bigint"))
        .first(tx)
        .await?;
    let so_far = before.unwrap_or_default().saturating_add(refund.amount);
    let why = went_back(&order, so_far);
    let (meaning, order) = hear(changes, order, Happening::Refunded(refund.payment_id, so_far), &why)?;
    let state = match meaning {
        Meaning::Moves(_) | Meaning::Known => RefundState::Counted,
        Meaning::Early => RefundState::Early,
        Meaning::Contradicts(_) => RefundState::Contradicted,
    };
    diesel::update(order_refund::table.find(refund.refund_id)).set(order_refund::state.eq(state)).execute(tx).await?;
    Ok(order)
}

/// The sentence for the history: `so_far` went back in all.
pub(super) fn went_back(order: &OrderRow, so_far: i64) -> String {
    let (now, total) = (order.money(so_far.saturating_sub(order.refunded)), order.money(order.total));
    match so_far == order.total {
        true => format!("{now} went back to the customer: nothing of {total} is left."),
        false => format!("{now} went back to the customer: {} of {total} in all.", order.money(so_far)),
    }
}
