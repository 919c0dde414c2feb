//! From an order to its charge: once, whatever is repeated, lost or stopped in between.

use diesel::{sql_query, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::payment::{DeclineReason, PaymentCaptured, PaymentFailed},
    types::OrderId,
};
use stack::bed::Bed;

use super::ledger::{assert_captured, leave_behind, number, order, payment_when, settled};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_charged() {
    let bed = Bed::start().await;
    let _running = bed.run(svc_payment::service()).await;
    let order = order("sandbox_ok");
    bed.publish(&order).await;
    let event: PaymentCaptured = bed.event(|event: &PaymentCaptured| event.order_id == order.order_id).await;
    assert_eq!((event.user_id, event.amount), (order.user_id, order.total));
    let payment = settled(&bed, order.order_id).await;
    assert_eq!(payment.status, "succeeded");
    assert!(payment.provider_reference.is_some());
    assert_captured(&bed, 1).await;
    bed.no_event::<PaymentFailed>(|_| true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_order_is_not_charged_and_says_why() {
    let bed = Bed::start().await;
    let _running = bed.run(svc_payment::service()).await;
    for (method, reason) in [
        ("sandbox_declined", DeclineReason::Declined),
        ("sandbox_insufficient_funds", DeclineReason::InsufficientFunds),
        ("visa_4242", DeclineReason::UnknownPaymentMethod),
        ("", DeclineReason::UnknownPaymentMethod),
    ] {
        let order = order(method);
        bed.publish(&order).await;
        let event: PaymentFailed = bed.event(|event: &PaymentFailed| event.order_id == order.order_id).await;
        assert_eq!((event.user_id, event.reason), (order.user_id, reason), "{method}");
        let payment = settled(&bed, order.order_id).await;
        assert_eq!((payment.status.as_str(), payment.decline_reason), ("failed", Some(reason.to_string())), "{method}");
    }
    assert_captured(&bed, 0).await;
    bed.no_event::<PaymentCaptured>(|_| true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_answer_is_waited_for_and_holds_up_nobody() {
    let bed = Bed::start().await;
    let _running = bed.run(svc_payment::service()).await;
    let (slow, quick) = (order("sandbox_slow"), order("sandbox_ok"));
    bed.publish(&slow).await;
    payment_when(&bed, slow.order_id, "the slow provider is asked", |payment| payment.tries == 1).await;
    bed.publish(&quick).await;
    settled(&bed, quick.order_id).await;
    let payment = settled(&bed, slow.order_id).await;
    assert_eq!((payment.status.as_str(), payment.tries), ("succeeded", 1));
    let last = "select count(*) from payment where method = 'sandbox_slow' and updated_at = (select max(updated_at) from payment)";
    assert_eq!(number(&mut bed.sql("payment").await, last).await, 1, "the quick one was settled first");
    assert_captured(&bed, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_looked_up_not_charged_again() {
    let bed = Bed::start().await;
    let _running = bed.run(svc_payment::service()).await;
    let order = order("sandbox_timeout_then_ok");
    bed.publish(&order).await;
    let payment = settled(&bed, order.order_id).await;
    assert_eq!((payment.status.as_str(), payment.tries), ("succeeded", 2), "the second try looks the first one up");
    assert_captured(&bed, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_events_and_two_instances_charge_once() {
    let bed = Bed::start().await;
    let _one = bed.run(svc_payment::service()).await;
    let _other = bed.run(svc_payment::service()).await;
    let orders: Vec<_> = (0..5).map(|_| order("sandbox_ok")).collect();
    for order in &orders {
        // Twice with one event id, and once more with another.
        bed.publish_twice(order).await;
        bed.publish(order).await;
    }
    for order in &orders {
        assert_eq!(settled(&bed, order.order_id).await.status, "succeeded");
        bed.event(|event: &PaymentCaptured| event.order_id == order.order_id).await;
    }
    let mut sql = bed.sql("payment").await;
    bed.wait_for("both instances have taken every event", || async {
        let mut sql = bed.sql("payment").await;
        (number(&mut sql, "select count(*) from inbox").await == 10).then_some(())
    })
    .await;
    assert_captured(&bed, 5).await;
    assert_eq!(number(&mut sql, "select max(tries) from payment").await, 1, "nobody asked the provider twice");
    assert!(bed.dead_letters().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_orders_at_once_are_each_charged_once_by_two_instances() {
    let bed = Bed::start().await;
    let _one = bed.run(svc_payment::service()).await;
    let _other = bed.run(svc_payment::service()).await;
    for _ in 0..60 {
        bed.publish(&order("sandbox_ok")).await;
    }
    bed.wait_for("every order is settled", || async {
        let mut sql = bed.sql("payment").await;
        (number(&mut sql, "select count(*) from payment where status = 'succeeded'").await == 60).then_some(())
    })
    .await;
    assert_captured(&bed, 60).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_left_by_a_crash_is_charged_once_after_the_restart() {
    let bed = Bed::start().await;
    bed.run(svc_payment::service()).await.stop().await;
    // As the consumer leaves it: committed, and then the process is gone.
    let order = OrderId::new();
    leave_behind(&bed, order, 0).await;
    let _running = bed.run(svc_payment::service()).await;
    let payment = settled(&bed, order).await;
    assert_eq!((payment.status.as_str(), payment.tries), ("succeeded", 1));
    bed.event(|event: &PaymentCaptured| event.order_id == order).await;
    assert_captured(&bed, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_the_claim_but_before_the_call_ends_in_one_charge() {
    let bed = Bed::start().await;
    bed.run(svc_payment::service()).await.stop().await;
    let order = OrderId::new();
    leave_behind(&bed, order, 1).await;
    let _running = bed.run(svc_payment::service()).await;
    assert_eq!(settled(&bed, order).await.status, "succeeded");
    assert_captured(&bed, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_the_call_keeps_the_first_charge() {
    let bed = Bed::start().await;
    bed.run(svc_payment::service()).await.stop().await;
    let order = OrderId::new();
    leave_behind(&bed, order, 1).await;
    sql_query(
        "insert into sandbox_charge (idempotency_key, amount, currency, method, outcome, reference)
         values ($1, 1299, 'EUR', 'sandbox_ok', 'succeeded', 'sandbox_first')",
    )
    .bind::<sql_types::Text, _>(format!("order:{order}:capture:1"))
    .execute(&mut bed.sql("payment").await)
    .await
    .unwrap();
    let _running = bed.run(svc_payment::service()).await;
    assert_eq!(settled(&bed, order).await.provider_reference.as_deref(), Some("sandbox_first"));
    assert_captured(&bed, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_finishes_the_charge_that_was_begun() {
    let bed = Bed::start().await;
    let running = bed.run(svc_payment::service()).await;
    let order = order("sandbox_slow");
    bed.publish(&order).await;
    payment_when(&bed, order.order_id, "the slow provider is asked", |payment| payment.tries == 1).await;
    running.stop().await;
    let payment = payment_when(&bed, order.order_id, "it is there", |_| true).await;
    assert_eq!((payment.status.as_str(), payment.tries), ("succeeded", 1));
    assert_captured(&bed, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_while_nobody_ran_is_charged_on_start() {
    let bed = Bed::start().await;
    bed.run(svc_payment::service()).await.stop().await;
    let order = order("sandbox_ok");
    bed.publish_twice(&order).await;
    let _running = bed.run(svc_payment::service()).await;
    assert_eq!(settled(&bed, order.order_id).await.status, "succeeded");
    assert_captured(&bed, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_keeps_others_away() {
    let bed = Bed::start().await;
    let running = bed.run(svc_payment::service()).await;
    running.stop().await;
    // Somebody else has it for the next hour.
    let (held, free) = (OrderId::new(), order("sandbox_ok"));
    leave_behind(&bed, held, 1).await;
    sql_query("update payment set next_try_at = now() + interval '1 hour'")
        .execute(&mut bed.sql("payment").await)
        .await
        .unwrap();
    let _running = bed.run(svc_payment::service()).await;
    bed.publish(&free).await;
    settled(&bed, free.order_id).await;
    let payment = payment_when(&bed, held, "it is there", |_| true).await;
    assert_eq!((payment.status.as_str(), payment.tries), ("processing", 1));
    assert_captured(&bed, 1).await;
}
