//! Giving money back: once, and a refusal changes nothing else.

use diesel::{sql_query, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::payment::PaymentRefunded,
    types::{OrderId, RefundId},
};
use stack::bed::Bed;

use super::ledger::{
    assert_captured, assert_nothing_broken, assert_refunded, canceled, kept, order, payment_when, settled, taken, when,
};
use crate::provider::Provider;

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_refund_changes_nothing_but_its_own_row() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
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
    assert_refunded(&bed, &provider, 0).await;
    assert_eq!(kept(&bed).await, 1299);
    let broken = bed.broken_invariants("payment").await;
    assert_eq!(broken.len(), 1, "somebody has to see to it: {broken:#?}");
    assert_eq!(broken[0].invariant, "no canceled order keeps money of the customer's");
    assert!(broken[0].violations[0].starts_with(&order.order_id.to_string()), "{broken:#?}");
    bed.no_event::<PaymentRefunded>(|_| true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_refund_that_fails_had_promised_goes_back_once_the_order_is_canceled() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
    let order = order("sandbox_ok");
    bed.publish(&order).await;
    let charge = settled(&bed, order.order_id).await.provider_reference.unwrap();
    // Staff granted 3.00, and nobody has asked the provider yet when the order is canceled.
    sql_query(
        "insert into refund (id, payment_id, amount, key, tries, next_try_at, traceparent, request_id)
         select $1, id, 300, 'refund:staff', 1, now() + interval '1 hour', '', '' from payment",
    )
    .bind::<sql_types::Uuid, _>(RefundId::new())
    .execute(&mut bed.sql("payment").await)
    .await
    .unwrap();
    bed.publish(&canceled(&order)).await;
    bed.event(|event: &PaymentRefunded| event.amount.amount == 999).await;
    // The provider refuses for good what staff granted.
    assert!(provider.refund("refund:staff", &charge, 1300).await.refused("refund:staff"));
    let ask = "update refund set next_try_at = now() where status = 'pending'";
    sql_query(ask).execute(&mut bed.sql("payment").await).await.unwrap();
    bed.event(|event: &PaymentRefunded| event.amount.amount == 300).await;
    bed.publish(&canceled(&order)).await;
    taken(&bed, 3).await;
    let failed = "select count(*) from refund where status = 'failed' and key = 'refund:staff'";
    when(&bed, "the refund by staff has failed", failed, 1).await;
    when(&bed, "it is promised anew once", "select count(*) from refund", 3).await;
    assert_refunded(&bed, &provider, 2).await;
    assert_captured(&bed, &provider, 1).await;
    assert_eq!(kept(&bed).await, 0);
    assert_nothing_broken(&bed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_refund_is_waited_for() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let running = provider.run(&bed).await;
    let order = order("sandbox_slow");
    bed.publish(&order).await;
    settled(&bed, order.order_id).await;
    bed.publish(&canceled(&order)).await;
    when(&bed, "the provider is asked", "select count(*) from refund where tries = 1", 1).await;
    // Stopping finishes what was begun.
    running.stop().await;
    when(&bed, "it was asked once", "select count(*) from refund where tries = 1 and status = 'succeeded'", 1).await;
    assert_refunded(&bed, &provider, 1).await;
    assert_eq!(kept(&bed).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_before_or_after_the_call_ends_in_one_refund() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let running = provider.run(&bed).await;
    let (before, after) = (order("sandbox_ok"), order("sandbox_ok"));
    for order in [&before, &after] {
        bed.publish(order).await;
        settled(&bed, order.order_id).await;
    }
    running.stop().await;
    for order in [&before, &after] {
        leave_behind(&bed, order.order_id).await;
    }
    let charge = payment_when(&bed, after.order_id, "it is there", |_| true).await.provider_reference.unwrap();
    provider.refund(&format!("order:{}:refund:canceled", after.order_id), &charge, 1299).await;
    let _running = provider.run(&bed).await;
    for order in [&before, &after] {
        bed.event(|event: &PaymentRefunded| event.order_id == order.order_id).await;
    }
    assert_refunded(&bed, &provider, 2).await;
    assert_captured(&bed, &provider, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_looked_up_not_refunded_again() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
    for method in ["sandbox_timeout_then_ok", "sandbox_error_replayed"] {
        let order = order(method);
        bed.publish(&order).await;
        settled(&bed, order.order_id).await;
        bed.publish(&canceled(&order)).await;
        bed.event(|event: &PaymentRefunded| event.order_id == order.order_id).await;
    }
    assert_refunded(&bed, &provider, 2).await;
}

/// The refund of a captured payment that was claimed once, and then the process was gone.
async fn leave_behind(bed: &Bed, order: OrderId) {
    sql_query(
        "insert into refund (id, payment_id, amount, key, tries, traceparent, request_id)
         select $1, id, amount, $3, 1, '', '' from payment where order_id = $2",
    )
    .bind::<sql_types::Uuid, _>(RefundId::new())
    .bind::<sql_types::Uuid, _>(order)
    .bind::<sql_types::Text, _>(format!("order:{order}:refund:canceled"))
    .execute(&mut bed.sql("payment").await)
    .await
    .unwrap();
}
