//! What the service and the sandbox wrote down, read past the API.

use diesel::{QueryableByName, sql_query, sql_types};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    contracts::order::{CancelReason, OrderCanceled, OrderPlaced},
    types::{Currency, Money, OrderId, PaymentId, UserId},
};
use stack::bed::Bed;

#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub(super) struct Payment {
    #[diesel(sql_type = sql_types::Text)]
    pub(super) status: String,
    #[diesel(sql_type = sql_types::Integer)]
    pub(super) tries: i32,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Text>)]
    pub(super) provider_reference: Option<String>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Text>)]
    pub(super) decline_reason: Option<String>,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = sql_types::BigInt)]
    number: i64,
}

/// An order of 12.99 EUR that pays by this method.
pub(super) fn order(method: &str) -> OrderPlaced {
    OrderPlaced {
        order_id: OrderId::new(),
        user_id: UserId::new(),
        total: Money::new(1299, Currency::EUR),
        payment_method: method.to_owned(),
    }
}

/// The customer cancels it.
pub(super) fn canceled(order: &OrderPlaced) -> OrderCanceled {
    OrderCanceled { order_id: order.order_id, user_id: order.user_id, reason: CancelReason::Customer }
}

/// What a query of one `number` gives.
pub(super) async fn number(sql: &mut AsyncPgConnection, query: &str) -> i64 {
    let row: Number = sql_query(format!("select ({query})::bigint as number")).get_result(sql).await.unwrap();
    row.number
}

/// The payment of an order, once it is there and this holds of it.
pub(super) async fn payment_when(bed: &Bed, order: OrderId, what: &str, holds: impl Fn(&Payment) -> bool) -> Payment {
    bed.wait_for(what, || async {
        let mut sql = bed.sql("payment").await;
        let found: Vec<Payment> =
            sql_query("select status, tries, provider_reference, decline_reason from payment where order_id = $1")
                .bind::<sql_types::Uuid, _>(order)
                .load(&mut sql)
                .await
                .unwrap();
        found.into_iter().find(|payment| holds(payment))
    })
    .await
}

/// The payment of an order, once it is settled.
pub(super) async fn settled(bed: &Bed, order: OrderId) -> Payment {
    payment_when(bed, order, "the payment is settled", |payment| payment.status != "processing").await
}

/// Asserts that the ledger, the payments and the provider agree on how often and how much was taken.
pub(super) async fn assert_captured(bed: &Bed, times: i64) {
    let mut sql = bed.sql("payment").await;
    for (what, query) in [
        ("charges at the provider", "select count(*) from sandbox_charge where outcome = 'succeeded'"),
        ("captures in the ledger", "select count(*) from transaction where kind = 'capture'"),
        ("payments that succeeded", "select count(*) from payment where status = 'succeeded'"),
        ("events", "select count(*) from event_log where subject like 'evt.payment.captured.%'"),
    ] {
        assert_eq!(number(&mut sql, query).await, times, "{what}");
    }
    let taken =
        number(&mut sql, "select coalesce(sum(amount), 0) from sandbox_charge where outcome = 'succeeded'").await;
    let ledger = number(&mut sql, "select coalesce(sum(amount), 0) from transaction where kind = 'capture'").await;
    let payments = number(&mut sql, "select coalesce(sum(amount), 0) from payment where status = 'succeeded'").await;
    assert_eq!((ledger, payments), (taken, taken), "ledger, payments and provider differ");
}

/// Asserts that the ledger, the refunds and the provider agree on how often and how much went back.
pub(super) async fn assert_refunded(bed: &Bed, times: i64) {
    let mut sql = bed.sql("payment").await;
    for (what, query) in [
        ("refunds at the provider", "select count(*) from sandbox_refund where outcome = 'succeeded'"),
        ("refunds in the ledger", "select count(*) from transaction where kind = 'refund'"),
        ("refunds that succeeded", "select count(*) from refund where status = 'succeeded'"),
        ("events", "select count(*) from event_log where subject like 'evt.payment.refunded.%'"),
    ] {
        assert_eq!(number(&mut sql, query).await, times, "{what}");
    }
    let given =
        number(&mut sql, "select coalesce(sum(amount), 0) from sandbox_refund where outcome = 'succeeded'").await;
    let ledger = number(&mut sql, "select coalesce(sum(amount), 0) from transaction where kind = 'refund'").await;
    assert_eq!(ledger, given, "ledger and provider differ");
}

/// What the shop keeps: captured less refunded, as the ledger says.
pub(super) async fn kept(bed: &Bed) -> i64 {
    let kept =
        "select coalesce(sum(case kind when 'capture' then amount when 'refund' then -amount end), 0) from transaction";
    number(&mut bed.sql("payment").await, kept).await
}

/// Once a query of one `number` gives this.
pub(super) async fn when(bed: &Bed, what: &str, query: &str, expected: i64) {
    bed.wait_for(what, || async {
        let mut sql = bed.sql("payment").await;
        (number(&mut sql, query).await == expected).then_some(())
    })
    .await;
}

/// Once so many events have been taken.
pub(super) async fn taken(bed: &Bed, events: i64) {
    when(bed, "every event is taken", "select count(*) from inbox", events).await;
}

/// An intent for 12.99 EUR by `sandbox_ok` that has been claimed so many times and is due.
pub(super) async fn leave_behind(bed: &Bed, order: OrderId, tries: i32) {
    sql_query(
        "insert into payment (id, order_id, user_id, amount, currency, method, status, tries, traceparent, request_id)
         values ($1, $2, $3, 1299, 'EUR', 'sandbox_ok', 'processing', $4, '', '')",
    )
    .bind::<sql_types::Uuid, _>(PaymentId::new())
    .bind::<sql_types::Uuid, _>(order)
    .bind::<sql_types::Uuid, _>(UserId::new())
    .bind::<sql_types::Integer, _>(tries)
    .execute(&mut bed.sql("payment").await)
    .await
    .unwrap();
}
