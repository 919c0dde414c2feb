//! What the service wrote down and the provider knows, read past the API.

use diesel::{QueryableByName, sql_query, sql_types};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    contracts::order::{CancelReason, OrderCanceled, OrderPlaced},
    types::{Currency, Money, OrderId, PaymentId, UserId},
};
use stack::bed::Bed;
use svc_payment::payment::TransactionKind;

use crate::provider::Provider;

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
    let open = ["processing", "requires_capture"];
    payment_when(bed, order, "the payment is settled", |payment| !open.contains(&payment.status.as_str())).await
}

/// Asserts that the ledger, the payments and the provider agree on how often and how much was taken.
pub(super) async fn assert_captured(bed: &Bed, provider: &Provider, times: i64) {
    let mut sql = bed.sql("payment").await;
    for (what, query) in [
        ("captures in the ledger", "select count(*) from transaction where kind = 'capture'"),
        ("payments that succeeded", "select count(*) from payment where status = 'succeeded'"),
        ("events", "select count(*) from event_log where subject like 'evt.payment.captured.%'"),
    ] {
        assert_eq!(number(&mut sql, query).await, times, "{what}");
    }
    let (taken, sum) = provider.done(TransactionKind::Capture).await;
    assert_eq!(taken, times, "captures at the provider");
    let ledger = number(&mut sql, "select coalesce(sum(amount), 0) from transaction where kind = 'capture'").await;
    let payments = number(&mut sql, "select coalesce(sum(amount), 0) from payment where status = 'succeeded'").await;
    assert_eq!((ledger, payments), (sum, sum), "ledger, payments and provider differ");
    assert_nothing_broken(bed).await;
}

/// Asserts that the ledger, the refunds and the provider agree on how often and how much went back.
pub(super) async fn assert_refunded(bed: &Bed, provider: &Provider, times: i64) {
    let mut sql = bed.sql("payment").await;
    for (what, query) in [
        ("refunds in the ledger", "select count(*) from transaction where kind = 'refund'"),
        ("refunds that succeeded", "select count(*) from refund where status = 'succeeded'"),
        ("events", "select count(*) from event_log where subject like 'evt.payment.refunded.%'"),
    ] {
        assert_eq!(number(&mut sql, query).await, times, "{what}");
    }
    let (given, sum) = provider.done(TransactionKind::Refund).await;
    assert_eq!(given, times, "refunds at the provider");
    let ledger = number(&mut sql, "select coalesce(sum(amount), 0) from transaction where kind = 'refund'").await;
    assert_eq!(ledger, sum, "ledger and provider differ");
}

/// Asserts that the service's own audit finds nothing.
pub(super) async fn assert_nothing_broken(bed: &Bed) {
    let broken = bed.broken_invariants("payment").await;
    assert!(broken.is_empty(), "{broken:#?}");
}

/// What the ledger has, in its order.
pub(super) async fn effects(bed: &Bed) -> Vec<String> {
    #[derive(QueryableByName)]
    struct Effect {
        #[diesel(sql_type = sql_types::Text)]
        effect: String,
    }
    let query = "select kind || ' ' || amount as effect from transaction order by id";
    let effects: Vec<Effect> = sql_query(query).load(&mut bed.sql("payment").await).await.unwrap();
    effects.into_iter().map(|row| row.effect).collect()
}

/// What the shop keeps: captured less refunded, as the ledger says.
pub(super) async fn kept(bed: &Bed) -> i64 {
    let kept =
        "select coalesce(sum(case kind when 'capture' then amount when 'refund' then -amount end), 0) from transaction";
    number(&mut bed.sql("payment").await, kept).await
}

/// As if the provider's statement had been read and compared already: the reconciliation finds no news in it.
pub(super) async fn compared(bed: &Bed, provider: &Provider) {
    for line in provider.operations().await {
        sql_query(
            "insert into statement_line (reference, sequence, payment, kind, amount, matched)
             values ($1, $2, $3, $4, $5, true) on conflict (reference) do update set matched = true",
        )
        .bind::<sql_types::Text, _>(&line.reference)
        .bind::<sql_types::BigInt, _>(line.sequence)
        .bind::<sql_types::Text, _>(&line.payment)
        .bind::<sql_types::Text, _>(line.kind)
        .bind::<sql_types::BigInt, _>(line.amount.amount)
        .execute(&mut bed.sql("payment").await)
        .await
        .unwrap();
    }
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
    insert(bed, order, tries, "now()").await;
}

async fn insert(bed: &Bed, order: OrderId, tries: i32, next_try_at: &str) {
    sql_query(format!(
        "insert into payment (id, order_id, user_id, amount, currency, method, status, tries, next_try_at, traceparent,
                              request_id)
         values ($1, $2, $3, 1299, 'EUR', 'sandbox_ok', 'processing', $4, {next_try_at}, '', '')"
    ))
    .bind::<sql_types::Uuid, _>(PaymentId::new())
    .bind::<sql_types::Uuid, _>(order)
    .bind::<sql_types::Uuid, _>(UserId::new())
    .bind::<sql_types::Integer, _>(tries)
    .execute(&mut bed.sql("payment").await)
    .await
    .unwrap();
}

/// An intent that no worker looks at until it is released.
pub(super) async fn held(bed: &Bed, order: OrderId, tries: i32) {
    insert(bed, order, tries, "now() + interval '1 hour'").await;
}

/// Lets the workers look at what is held.
pub(super) async fn release(bed: &Bed) {
    let release = "update payment set next_try_at = now() where next_try_at is not null";
    sql_query(release).execute(&mut bed.sql("payment").await).await.unwrap();
}
