//! What the order service tells an operator: its own invariants, and its orders page by page.
//!
//! Each check is one statement, so that it judges one moment of a live system.

use std::{collections::HashSet, fmt::Display};

use diesel::{ExpressionMethods, QueryDsl, QueryableByName, SelectableHelper, sql_query, sql_types};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    contracts::{
        Never,
        operations::AuditCheck,
        order::{AuditOrders, AuditedOrder, AuditedOrders, CancelReason},
    },
    database::{DatabaseError, sql},
    invoke::CallError,
    types::{OrderId, PaymentId},
};

use super::{
    OrderRow,
    saga::Step,
    status::{Change, FulfillmentStatus, OrderStatus, PaymentStatus, State},
};
use crate::{Orders, schema::orders};

/// The most orders of one page.
const PAGE: i64 = 1000;

/// `svc.order.audit_orders`: a page of orders.
pub(crate) async fn page(service: Orders, question: AuditOrders) -> Result<AuditedOrders, CallError<Never>> {
    let mut query = orders::table.into_boxed();
    if let Some(after) = question.after {
        query = query.filter(orders::id.gt(after));
    }
    let rows: Vec<OrderRow> = query
        .order(orders::id)
        .limit(question.limit.clamp(1, PAGE))
        .select(OrderRow::as_select())
        .load(&mut service.database.connection().await?)
        .await?;
    let told = |row: OrderRow| AuditedOrder {
        order_id: row.id,
        status: row.status.to_string(),
        payment_status: row.payment_status.to_string(),
        total: row.money(row.total),
        refunded: row.money(row.refunded),
        updated_at: row.updated_at,
    };
    Ok(AuditedOrders { orders: rows.into_iter().map(told).collect() })
}

/// The service's invariants, checked on its own database.
pub(crate) async fn audit(service: Orders) -> Result<Vec<AuditCheck>, DatabaseError> {
    let mut connection = service.database.connection().await?;
    Ok(vec![
        sagas(&mut connection).await?,
        states(&mut connection).await?,
        amounts(&mut connection).await?,
        histories(&mut connection).await?,
        contradictions(&mut connection).await?,
    ])
}

/// An order that something is wrong with.
#[derive(Debug, QueryableByName)]
struct Wrong {
    #[diesel(sql_type = sql_types::Uuid)]
    order_id: OrderId,
    #[diesel(sql_type = sql_types::Text)]
    what: String,
}

impl Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.order_id, self.what)
    }
}

async fn wrong(connection: &mut AsyncPgConnection, query: &str) -> Result<Vec<String>, DatabaseError> {
    let found: Vec<Wrong> = sql_query(query).load(connection).await?;
    Ok(found.iter().map(Wrong::to_string).collect())
}

async fn sagas(connection: &mut AsyncPgConnection) -> Result<AuditCheck, DatabaseError> {
    #[derive(QueryableByName)]
    struct Waiting {
        #[diesel(sql_type = sql_types::BigInt)]
        all: i64,
        #[diesel(sql_type = sql_types::BigInt)]
        payment: i64,
        #[diesel(sql_type = sql_types::BigInt)]
        stock: i64,
        #[diesel(sql_type = sql_types::BigInt)]
        refund: i64,
    }
    let Waiting { all, payment, stock, refund } =
        sql("select count(*) as all, count(*) filter (where step = 'awaiting_payment') as payment,
                count(*) filter (where step = 'securing_stock') as stock,
                count(*) filter (where step = 'awaiting_refund') as refund
         from order_saga")
        .get_result(connection)
        .await?;
    let stuck = wrong(
        connection,
        "select order_id, 'is ' || step || ' and should not be since ' || deadline as what from order_saga
         where step <> 'done' and deadline < now() - interval '1 minute' order by deadline limit 20",
    );
    let figures = format!("{all} orders; {payment} await their payment, {stock} their goods, {refund} a refund");
    Ok(AuditCheck::new("no order waits past its deadline", figures, stuck.await?))
}

async fn contradictions(connection: &mut AsyncPgConnection) -> Result<AuditCheck, DatabaseError> {
    #[derive(QueryableByName)]
    struct Late {
        #[diesel(sql_type = sql_types::BigInt)]
        late: i64,
    }
    let Late { late } =
        sql("select count(*) as late from order_history where change = 'paid_late'").get_result(connection).await?;
    let found = wrong(
        connection,
        "select order_id, 'at ' || at || ': ' || why as what from order_history
         where change = 'payment_contradicted' order by id limit 20",
    );
    let figures = format!("{late} paid after they were canceled");
    Ok(AuditCheck::new("no payment contradicts its order", figures, found.await?))
}

/// All orders that are alike in what this judges.
#[derive(Debug, QueryableByName)]
struct Alike {
    #[diesel(sql_type = sql_types::Text)]
    status: OrderStatus,
    #[diesel(sql_type = sql_types::Text)]
    payment_status: PaymentStatus,
    #[diesel(sql_type = sql_types::Text)]
    fulfillment_status: FulfillmentStatus,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Text>)]
    step: Option<Step>,
    #[diesel(sql_type = sql_types::BigInt)]
    orders: i64,
    /// The first of them.
    #[diesel(sql_type = sql_types::Uuid)]
    order_id: OrderId,
}

async fn states(connection: &mut AsyncPgConnection) -> Result<AuditCheck, DatabaseError> {
    let kinds: Vec<Alike> = sql("select status, payment_status, fulfillment_status, step, count(*) as orders,
                (array_agg(orders.id order by orders.id))[1] as order_id
         from orders left join order_saga on order_saga.order_id = orders.id
         group by status, payment_status, fulfillment_status, step")
    .load(connection)
    .await?;
    let legal = reachable();
    let mut violations = Vec::new();
    for Alike { status, payment_status, fulfillment_status, step, orders, order_id } in &kinds {
        let state = State { order: *status, payment: *payment_status, fulfillment: *fulfillment_status };
        let those =
            format!("{orders} orders, such as {order_id}, are {status}, {payment_status}, {fulfillment_status}");
        if !legal.contains(&state) {
            violations.push(format!("{those}: no order can get there"));
        } else if *step != Some(Step::of(state)) {
            let step = step.map_or_else(|| "nothing".to_owned(), |step| step.to_string());
            violations.push(format!("{those}, and wait for {step} instead of {}", Step::of(state)));
        }
    }
    let orders: i64 = kinds.iter().map(|kind| kind.orders).sum();
    let figures = format!("{orders} orders in {} combinations of states", kinds.len());
    Ok(AuditCheck::new("states are legal and agree with the saga", figures, violations))
}

/// Every state that an order can be in.
fn reachable() -> HashSet<State> {
    let payment = PaymentId::new();
    let changes = [
        Change::Pay(payment),
        Change::Confirm,
        Change::Cancel(CancelReason::PaymentFailed),
        Change::Cancel(CancelReason::PaymentTimeout),
        Change::Cancel(CancelReason::OutOfStock),
        Change::CaptureLate(payment),
        Change::RefundSome(1),
        Change::RefundAll,
        Change::Complete,
    ];
    let (mut found, mut next) = (HashSet::new(), vec![State::PLACED]);
    while let Some(state) = next.pop() {
        if found.insert(state) {
            next.extend(changes.iter().filter_map(|change| state.after(*change).ok()));
        }
    }
    found
}

async fn amounts(connection: &mut AsyncPgConnection) -> Result<AuditCheck, DatabaseError> {
    #[derive(QueryableByName)]
    struct Sums {
        #[diesel(sql_type = sql_types::BigInt)]
        lines: i64,
        #[diesel(sql_type = sql_types::BigInt)]
        refunds: i64,
    }
    let Sums { lines, refunds } =
        sql("select (select count(*) from order_line) as lines, (select count(*) from order_refund) as refunds")
            .get_result(connection)
            .await?;
    let violations = wrong(
        connection,
        "select orders.id as order_id,
                'comes to ' || total || ' = ' || subtotal || ' + ' || shipping_price || ' + ' || tax_total
                || '; lines ' || net || ', taxes ' || taxes || ', refunded ' || refunded || ', refunds ' || refunds as what
         from orders join order_terms on order_terms.order_id = orders.id,
              lateral (select coalesce(sum(order_line.net), 0) as net from order_line where order_id = orders.id) as lines,
              lateral (select coalesce(sum((one -> 'tax' ->> 'amount')::bigint), 0) as taxes
                       from jsonb_array_elements(order_terms.tax) as one) as taxes,
              lateral (select coalesce(sum(amount), 0) as refunds from order_refund
                       where order_id = orders.id and state = 'counted') as refunds
         where total <> subtotal + shipping_price + tax_total or subtotal <> net or tax_total <> taxes
               or refunded < refunds or refunded > total
         limit 20",
    );
    let figures = format!("{lines} lines, {refunds} refunds");
    Ok(AuditCheck::new("amounts add up: lines, taxes, totals, refunds", figures, violations.await?))
}

async fn histories(connection: &mut AsyncPgConnection) -> Result<AuditCheck, DatabaseError> {
    #[derive(QueryableByName)]
    struct Entries {
        #[diesel(sql_type = sql_types::BigInt)]
        entries: i64,
    }
    let Entries { entries } = sql("select count(*) as entries from order_history").get_result(connection).await?;
    let violations = wrong(
        connection,
        "select orders.id as order_id, 'was placed ' || placed || ' times, and its history ends with '
                || coalesce(last.status || ', ' || last.payment_status || ', ' || last.fulfillment_status, 'nothing') as what
         from orders
              left join lateral (select status, payment_status, fulfillment_status from order_history
                                 where order_id = orders.id order by id desc limit 1) as last on true,
              lateral (select count(*) filter (where change = 'placed') as placed from order_history
                       where order_id = orders.id) as counted
         where placed <> 1 or (last.status, last.payment_status, last.fulfillment_status)
               is distinct from (orders.status, orders.payment_status, orders.fulfillment_status)
         limit 20",
    );
    let figures = format!("{entries} entries");
    Ok(AuditCheck::new("every order was placed once, and its history ends where it is", figures, violations.await?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn orders_can_get_where_they_should_and_nowhere_else() {
        let found = reachable();
        let state = |order, payment, fulfillment| State { order, payment, fulfillment };
        use {FulfillmentStatus as F, OrderStatus as O, PaymentStatus as P};
        assert!(found.contains(&state(O::Completed, P::Refunded, F::Fulfilled)));
        assert!(found.contains(&state(O::Canceled, P::Refunded, F::Canceled)));
        assert!(!found.contains(&state(O::Confirmed, P::Awaiting, F::NotFulfilled)), "confirmed and not paid");
        assert!(!found.contains(&state(O::Pending, P::Failed, F::NotFulfilled)), "declined and not canceled");
    }
}
