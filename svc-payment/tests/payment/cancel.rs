//! A canceled order costs nothing: it is not charged, or what was charged goes back, whatever comes first.

use diesel::{sql_query, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::{
        order::{CancelReason, OrderCanceled},
        payment::{PaymentCaptured, PaymentFailed, PaymentRefunded},
    },
    types::{OrderId, UserId},
};
use stack::bed::Bed;

use super::ledger::{
    assert_captured, assert_refunded, canceled, kept, leave_behind, number, order, payment_when, settled, taken, when,
};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_canceled_before_it_is_heard_of_is_never_charged() {
    let bed = Bed::start().await;
    let _running = bed.run(svc_payment::service()).await;
    let order = order("sandbox_ok");
    bed.publish_twice(&canceled(&order)).await;
    taken(&bed, 1).await;
    bed.publish_twice(&order).await;
    let payment = settled(&bed, order.order_id).await;
    assert_eq!((payment.status.as_str(), payment.tries), ("canceled", 0));
    assert_never_asked(&bed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_canceled_before_its_charge_is_never_charged() {
    let bed = Bed::start().await;
    bed.run(svc_payment::service()).await.stop().await;
    let order = OrderId::new();
    held(&bed, order, 0).await;
    let _running = bed.run(svc_payment::service()).await;
    bed.publish_twice(&cancel(order)).await;
    let payment = settled(&bed, order).await;
    assert_eq!((payment.status.as_str(), payment.tries), ("canceled", 0));
    assert_never_asked(&bed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_canceled_after_its_capture_is_refunded_once() {
    let bed = Bed::start().await;
    let _one = bed.run(svc_payment::service()).await;
    let _other = bed.run(svc_payment::service()).await;
    let order = order("sandbox_ok");
    bed.publish(&order).await;
    let captured: PaymentCaptured = bed.event(|event: &PaymentCaptured| event.order_id == order.order_id).await;
    // Twice with one event id, and once more with another.
    bed.publish_twice(&canceled(&order)).await;
    bed.publish(&canceled(&order)).await;
    let refunded: PaymentRefunded = bed.event(|event: &PaymentRefunded| event.order_id == order.order_id).await;
    assert_eq!((refunded.payment_id, refunded.amount), (captured.payment_id, order.total));
    taken(&bed, 3).await;
    assert_eq!(settled(&bed, order.order_id).await.status, "succeeded", "what was captured stays captured");
    assert_captured(&bed, 1).await;
    assert_refunded(&bed, 1).await;
    assert_eq!(kept(&bed).await, 0);
    assert!(bed.dead_letters().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_canceled_while_it_is_charged_is_refunded() {
    let bed = Bed::start().await;
    let _running = bed.run(svc_payment::service()).await;
    let order = order("sandbox_slow");
    bed.publish(&order).await;
    when(&bed, "the provider has charged it", "select count(*) from sandbox_charge", 1).await;
    bed.publish(&canceled(&order)).await;
    bed.event(|event: &PaymentRefunded| event.order_id == order.order_id).await;
    assert_captured(&bed, 1).await;
    assert_refunded(&bed, 1).await;
    assert_eq!(kept(&bed).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_about_a_canceled_order_is_found_and_refunded() {
    let bed = Bed::start().await;
    let _running = bed.run(svc_payment::service()).await;
    let order = order("sandbox_timeout_then_ok");
    bed.publish(&order).await;
    when(&bed, "the provider has charged it", "select count(*) from sandbox_charge", 1).await;
    bed.publish(&canceled(&order)).await;
    bed.event(|event: &PaymentRefunded| event.order_id == order.order_id).await;
    let payment = settled(&bed, order.order_id).await;
    assert_eq!((payment.status.as_str(), payment.tries), ("succeeded", 2), "the second try finds the first one");
    let tries = number(&mut bed.sql("payment").await, "select tries from refund").await;
    assert_eq!(tries, 2, "the refund's answer is lost as well, and looked up");
    assert_captured(&bed, 1).await;
    assert_refunded(&bed, 1).await;
    assert_eq!(kept(&bed).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_that_never_reached_the_provider_is_voided() {
    let bed = Bed::start().await;
    bed.run(svc_payment::service()).await.stop().await;
    let order = OrderId::new();
    // Claimed, and then the process was gone: it may have been charged.
    held(&bed, order, 1).await;
    let _running = bed.run(svc_payment::service()).await;
    bed.publish(&cancel(order)).await;
    taken(&bed, 1).await;
    let payment = payment_when(&bed, order, "it is there", |_| true).await;
    assert_eq!(payment.status, "processing", "nobody knows yet what the provider did");
    release(&bed).await;
    assert_eq!(settled(&bed, order).await.status, "canceled");
    // Whatever request is still on its way finds the key used up.
    assert_eq!(
        number(&mut bed.sql("payment").await, "select count(*) from sandbox_charge where outcome = 'voided'").await,
        1
    );
    assert_captured(&bed, 0).await;
    assert_refunded(&bed, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_that_a_crash_left_behind_is_found_and_refunded() {
    let bed = Bed::start().await;
    bed.run(svc_payment::service()).await.stop().await;
    let order = OrderId::new();
    held(&bed, order, 1).await;
    sql_query(
        "insert into sandbox_charge (idempotency_key, amount, currency, method, outcome, reference)
         values ($1, 1299, 'EUR', 'sandbox_ok', 'succeeded', 'sandbox_first')",
    )
    .bind::<sql_types::Text, _>(format!("order:{order}:capture:1"))
    .execute(&mut bed.sql("payment").await)
    .await
    .unwrap();
    let _running = bed.run(svc_payment::service()).await;
    bed.publish(&cancel(order)).await;
    taken(&bed, 1).await;
    release(&bed).await;
    bed.event(|event: &PaymentRefunded| event.order_id == order).await;
    assert_eq!(settled(&bed, order).await.provider_reference.as_deref(), Some("sandbox_first"));
    assert_captured(&bed, 1).await;
    assert_refunded(&bed, 1).await;
    assert_eq!(kept(&bed).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_canceled_because_it_was_declined_stays_as_it_is() {
    let bed = Bed::start().await;
    let _running = bed.run(svc_payment::service()).await;
    let order = order("sandbox_declined");
    bed.publish(&order).await;
    bed.event(|event: &PaymentFailed| event.order_id == order.order_id).await;
    bed.publish(&OrderCanceled { reason: CancelReason::PaymentFailed, ..canceled(&order) }).await;
    taken(&bed, 2).await;
    assert_eq!(settled(&bed, order.order_id).await.status, "failed");
    assert_eq!(number(&mut bed.sql("payment").await, "select count(*) from refund").await, 0);
    assert_captured(&bed, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_of_orders_canceled_at_any_moment_by_two_instances() {
    let bed = Bed::start().await;
    let _one = bed.run(svc_payment::service()).await;
    let _other = bed.run(svc_payment::service()).await;
    let orders: Vec<_> = (0..30).map(|_| order("sandbox_ok")).collect();
    for (index, order) in orders.iter().enumerate() {
        if index % 2 == 0 {
            bed.publish(order).await;
            bed.publish_twice(&canceled(order)).await;
        } else {
            bed.publish(&canceled(order)).await;
            bed.publish_twice(order).await;
        }
    }
    taken(&bed, 60).await;
    when(&bed, "every payment is settled", "select count(*) from payment where status <> 'processing'", 30).await;
    when(&bed, "every refund is settled", "select count(*) from refund where status = 'pending'", 0).await;
    let mut sql = bed.sql("payment").await;
    let captured = number(&mut sql, "select count(*) from payment where status = 'succeeded'").await;
    let voided = number(&mut sql, "select count(*) from payment where status = 'canceled'").await;
    assert_eq!(captured + voided, 30);
    assert_captured(&bed, captured).await;
    assert_refunded(&bed, captured).await;
    assert_eq!(kept(&bed).await, 0);
    assert!(bed.dead_letters().await.is_empty());
}

fn cancel(order_id: OrderId) -> OrderCanceled {
    OrderCanceled { order_id, user_id: UserId::new(), reason: CancelReason::Customer }
}

/// An intent that no worker looks at until it is released.
async fn held(bed: &Bed, order: OrderId, tries: i32) {
    leave_behind(bed, order, tries).await;
    let hold = "update payment set next_try_at = now() + interval '1 hour'";
    sql_query(hold).execute(&mut bed.sql("payment").await).await.unwrap();
}

async fn release(bed: &Bed) {
    sql_query("update payment set next_try_at = now()").execute(&mut bed.sql("payment").await).await.unwrap();
}

async fn assert_never_asked(bed: &Bed) {
    assert_eq!(number(&mut bed.sql("payment").await, "select count(*) from sandbox_charge").await, 0);
    assert_captured(bed, 0).await;
    assert_refunded(bed, 0).await;
    bed.no_event::<PaymentCaptured>(|_| true).await;
}
