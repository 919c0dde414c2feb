//! What the service and the sandbox wrote down, read past the API.

use diesel::{QueryableByName, sql_query, sql_types};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    contracts::order::OrderPlaced,
    types::{Currency, Money, OrderId, UserId},
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
