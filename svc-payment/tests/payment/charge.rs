//! From an order to its charge: once, whatever is repeated, lost or stopped in between.

use nats::{
    contracts::payment::{DeclineReason, PaymentCaptured, PaymentFailed},
    types::OrderId,
};
use stack::bed::Bed;

use super::ledger::{assert_captured, effects, held, leave_behind, number, order, payment_when, settled, when};
use crate::provider::Provider;

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_charged() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
    let order = order("sandbox_ok");
    bed.publish(&order).await;
    let event: PaymentCaptured = bed.event(|event: &PaymentCaptured| event.order_id == order.order_id).await;
    assert_eq!((event.user_id, event.amount), (order.user_id, order.total));
    let payment = settled(&bed, order.order_id).await;
    assert_eq!(payment.status, "succeeded");
    assert!(payment.provider_reference.is_some());
    assert_eq!(effects(&bed).await, ["authorize 1299", "capture 1299"]);
    assert_captured(&bed, &provider, 1).await;
    bed.no_event::<PaymentFailed>(|_| true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_order_is_not_charged_and_says_why() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
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
    assert_captured(&bed, &provider, 0).await;
    bed.no_event::<PaymentCaptured>(|_| true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_answer_is_waited_for_and_holds_up_nobody() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
    let (slow, quick) = (order("sandbox_slow"), order("sandbox_ok"));
    bed.publish(&slow).await;
    payment_when(&bed, slow.order_id, "the slow provider is asked", |payment| payment.tries == 1).await;
    bed.publish(&quick).await;
    settled(&bed, quick.order_id).await;
    let payment = settled(&bed, slow.order_id).await;
    assert_eq!((payment.status.as_str(), payment.tries), ("succeeded", 1));
    let last = "select count(*) from payment where method = 'sandbox_slow' and updated_at = (select max(updated_at) from payment)";
    assert_eq!(number(&mut bed.sql("payment").await, last).await, 1, "the quick one was settled first");
    assert_captured(&bed, &provider, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_looked_up_not_charged_again() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
    let orders = ["sandbox_timeout_then_ok", "sandbox_authorize_timeout", "sandbox_error_replayed"].map(order);
    for order in &orders {
        bed.publish(order).await;
    }
    for order in &orders {
        assert_eq!(settled(&bed, order.order_id).await.status, "succeeded", "{}", order.payment_method);
    }
    assert_captured(&bed, &provider, 3).await;
    assert_eq!(provider.operations().await.len(), 6, "each was asked for once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_capture_lets_go_what_was_held() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
    let order = order("sandbox_capture_declined");
    bed.publish(&order).await;
    let event: PaymentFailed = bed.event(|event: &PaymentFailed| event.order_id == order.order_id).await;
    assert_eq!(event.reason, DeclineReason::Declined);
    assert_eq!(settled(&bed, order.order_id).await.status, "failed");
    assert_eq!(effects(&bed).await, ["authorize 1299", "void 1299"]);
    assert_captured(&bed, &provider, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_events_and_two_instances_charge_once() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _one = provider.run(&bed).await;
    let _other = provider.run(&bed).await;
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
    assert_captured(&bed, &provider, 5).await;
    assert_eq!(number(&mut sql, "select max(tries) from payment").await, 1, "nobody asked the provider twice");
    assert!(bed.dead_letters().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_orders_at_once_are_each_charged_once_by_two_instances() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _one = provider.run(&bed).await;
    let _other = provider.run(&bed).await;
    for _ in 0..60 {
        bed.publish(&order("sandbox_ok")).await;
    }
    bed.wait_for("every order is settled", || async {
        let mut sql = bed.sql("payment").await;
        (number(&mut sql, "select count(*) from payment where status = 'succeeded'").await == 60).then_some(())
    })
    .await;
    assert_captured(&bed, &provider, 60).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_left_by_a_crash_is_charged_once_after_the_restart() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    provider.run(&bed).await.stop().await;
    // As the consumer leaves it: committed, and then the process is gone.
    let order = OrderId::new();
    leave_behind(&bed, order, 0).await;
    let _running = provider.run(&bed).await;
    let payment = settled(&bed, order).await;
    assert_eq!((payment.status.as_str(), payment.tries), ("succeeded", 1));
    bed.event(|event: &PaymentCaptured| event.order_id == order).await;
    assert_captured(&bed, &provider, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_lost_its_database_makes_the_same_payment_of_an_order() {
    let (provider, order) = (Provider::start().await, order("sandbox_ok"));
    let mut payments = Vec::new();
    for _ in 0..2 {
        let bed = Bed::start().await;
        let running = provider.run(&bed).await;
        bed.publish(&order).await;
        let event: PaymentCaptured = bed.event(|event: &PaymentCaptured| event.order_id == order.order_id).await;
        payments.push(event.payment_id);
        running.stop().await;
        let _running = provider.run(&bed).await;
        // The second time, the provider's statement may have been read before there was anything to compare it with.
        when(&bed, "the statement agrees", "select count(*) from statement_line where matched", 2).await;
        assert_captured(&bed, &provider, 1).await;
    }
    assert_eq!(payments[0], payments[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_the_claim_but_before_the_call_ends_in_one_charge() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    provider.run(&bed).await.stop().await;
    let order = OrderId::new();
    leave_behind(&bed, order, 1).await;
    let _running = provider.run(&bed).await;
    assert_eq!(settled(&bed, order).await.status, "succeeded");
    assert_captured(&bed, &provider, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_any_answer_goes_on_from_there() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    provider.run(&bed).await.stop().await;
    let (held, taken) = (OrderId::new(), OrderId::new());
    let mut references = Vec::new();
    for order in [held, taken] {
        leave_behind(&bed, order, 1).await;
        references.push(provider.authorize(order, "sandbox_ok").await.reference);
    }
    provider.capture(taken, &references[1]).await;
    let _running = provider.run(&bed).await;
    for (order, reference) in [held, taken].into_iter().zip(references) {
        let payment = settled(&bed, order).await;
        assert_eq!((payment.status.as_str(), payment.provider_reference), ("succeeded", Some(reference)));
    }
    assert_captured(&bed, &provider, 2).await;
    assert_eq!(provider.operations().await.len(), 4, "nothing was asked for again");
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_finishes_the_charge_that_was_begun() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let running = provider.run(&bed).await;
    let order = order("sandbox_slow");
    bed.publish(&order).await;
    payment_when(&bed, order.order_id, "the slow provider is asked", |payment| payment.tries == 1).await;
    running.stop().await;
    let payment = payment_when(&bed, order.order_id, "it is there", |_| true).await;
    assert_eq!((payment.status.as_str(), payment.tries), ("succeeded", 1));
    let _running = provider.run(&bed).await;
    assert_captured(&bed, &provider, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_while_nobody_ran_is_charged_on_start() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    provider.run(&bed).await.stop().await;
    let order = order("sandbox_ok");
    bed.publish_twice(&order).await;
    let _running = provider.run(&bed).await;
    assert_eq!(settled(&bed, order.order_id).await.status, "succeeded");
    assert_captured(&bed, &provider, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_keeps_others_away() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let running = provider.run(&bed).await;
    running.stop().await;
    // Somebody else has it for the next hour.
    let (theirs, free) = (OrderId::new(), order("sandbox_ok"));
    held(&bed, theirs, 1).await;
    let _running = provider.run(&bed).await;
    bed.publish(&free).await;
    settled(&bed, free.order_id).await;
    let payment = payment_when(&bed, theirs, "it is there", |_| true).await;
    assert_eq!((payment.status.as_str(), payment.tries), ("processing", 1));
    assert_captured(&bed, &provider, 1).await;
}
