//! Giving money back: once, and a refusal changes nothing else.

use diesel::{sql_query, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::payment::PaymentRefunded,
    types::{OrderId, PaymentId, RefundId, UserId},
};
use stack::bed::Bed;

use super::ledger::{assert_captured, assert_refunded, canceled, kept, order, settled, taken, when};

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_refund_changes_nothing_but_its_own_row() {
    let bed = Bed::start().await;
    let _running = bed.run(svc_payment::service()).await;
    let order = order("sandbox_refund_declined");
    bed.publish(&order).await;
    let before = settled(&bed, order.order_id).await;
    bed.publish(&canceled(&order)).await;
    let failed = "select count(*) from refund where status = 'failed' and failure = 'the issuer declined the refund'";
    when(&bed, "the refund has failed", failed, 1).await;
    // Asked again, it is still the same refund.
    bed.publish(&canceled(&order)).await;
    taken(&bed, 3).await;
    when(&bed, "there is one refund", "select count(*) from refund", 1).await;
    assert_eq!(settled(&bed, order.order_id).await, before);
    assert_captured(&bed, 1).await;
    assert_refunded(&bed, 0).await;
    assert_eq!(kept(&bed).await, 1299);
    bed.no_event::<PaymentRefunded>(|_| true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_refund_is_waited_for() {
    let bed = Bed::start().await;
    let running = bed.run(svc_payment::service()).await;
    let order = order("sandbox_slow");
    bed.publish(&order).await;
    settled(&bed, order.order_id).await;
    bed.publish(&canceled(&order)).await;
    when(&bed, "the provider is asked", "select count(*) from refund where tries = 1", 1).await;
    // Stopping finishes what was begun.
    running.stop().await;
    when(&bed, "it was asked once", "select count(*) from refund where tries = 1 and status = 'succeeded'", 1).await;
    assert_refunded(&bed, 1).await;
    assert_eq!(kept(&bed).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_before_the_call_ends_in_one_refund() {
    let bed = Bed::start().await;
    bed.run(svc_payment::service()).await.stop().await;
    let order = leave_behind(&bed).await;
    let _running = bed.run(svc_payment::service()).await;
    bed.event(|event: &PaymentRefunded| event.order_id == order).await;
    assert_refunded(&bed, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_the_call_keeps_the_first_refund() {
    let bed = Bed::start().await;
    bed.run(svc_payment::service()).await.stop().await;
    let order = leave_behind(&bed).await;
    sql_query(
        "insert into sandbox_refund (idempotency_key, charge_reference, amount, outcome, reference)
         values ($1, 'sandbox_charged', 1299, 'succeeded', 'sandbox_first')",
    )
    .bind::<sql_types::Text, _>(format!("order:{order}:refund:1"))
    .execute(&mut bed.sql("payment").await)
    .await
    .unwrap();
    let _running = bed.run(svc_payment::service()).await;
    bed.event(|event: &PaymentRefunded| event.order_id == order).await;
    let first = "select count(*) from transaction where kind = 'refund' and provider_reference = 'sandbox_first'";
    when(&bed, "the first refund is the one", first, 1).await;
    assert_refunded(&bed, 1).await;
}

/// A captured payment of 12.99 EUR whose refund was claimed once, and then the process was gone.
async fn leave_behind(bed: &Bed) -> OrderId {
    let (order, payment) = (OrderId::new(), PaymentId::new());
    let mut sql = bed.sql("payment").await;
    sql_query(
        "insert into sandbox_charge (idempotency_key, amount, currency, method, outcome, reference)
         values ($1, 1299, 'EUR', 'sandbox_ok', 'succeeded', 'sandbox_charged')",
    )
    .bind::<sql_types::Text, _>(format!("order:{order}:capture:1"))
    .execute(&mut sql)
    .await
    .unwrap();
    sql_query(
        "insert into payment (id, order_id, user_id, amount, currency, method, status, tries, provider_reference,
                              next_try_at, traceparent, request_id)
         values ($1, $2, $3, 1299, 'EUR', 'sandbox_ok', 'succeeded', 1, 'sandbox_charged', null, '', '')",
    )
    .bind::<sql_types::Uuid, _>(payment)
    .bind::<sql_types::Uuid, _>(order)
    .bind::<sql_types::Uuid, _>(UserId::new())
    .execute(&mut sql)
    .await
    .unwrap();
    sql_query(
        "insert into refund (id, payment_id, amount, key, tries, traceparent, request_id)
         values ($1, $2, 1299, $3, 1, '', '')",
    )
    .bind::<sql_types::Uuid, _>(RefundId::new())
    .bind::<sql_types::Uuid, _>(payment)
    .bind::<sql_types::Text, _>(format!("order:{order}:refund:1"))
    .execute(&mut sql)
    .await
    .unwrap();
    order
}
