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
use svc_payment::{
    payment::TransactionKind,
    provider::{ProviderPayment, ProviderStatus},
};

use super::ledger::{
    assert_captured, assert_nothing_broken, assert_refunded, canceled, compared, held, kept, number, order,
    payment_when, release, settled, taken, when,
};
use crate::provider::Provider;

#[tokio::test(flavor = "multi_thread")]
async fn an_order_canceled_before_it_is_heard_of_is_never_charged() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
    let order = order("sandbox_ok");
    bed.publish_twice(&canceled(&order)).await;
    taken(&bed, 1).await;
    bed.publish_twice(&order).await;
    let payment = settled(&bed, order.order_id).await;
    assert_eq!((payment.status.as_str(), payment.tries), ("canceled", 0));
    assert_never_asked(&bed, &provider).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_canceled_before_its_charge_is_never_charged() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    provider.run(&bed).await.stop().await;
    let order = OrderId::new();
    held(&bed, order, 0).await;
    let _running = provider.run(&bed).await;
    bed.publish_twice(&cancel(order)).await;
    let payment = settled(&bed, order).await;
    assert_eq!((payment.status.as_str(), payment.tries), ("canceled", 0));
    assert_never_asked(&bed, &provider).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_canceled_after_its_capture_is_refunded_once() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _one = provider.run(&bed).await;
    let _other = provider.run(&bed).await;
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
    assert_captured(&bed, &provider, 1).await;
    assert_refunded(&bed, &provider, 1).await;
    assert_eq!(kept(&bed).await, 0);
    assert!(bed.dead_letters().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_canceled_while_it_is_charged_is_refunded() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
    let order = order("sandbox_slow");
    bed.publish(&order).await;
    provider.until_done(&bed, TransactionKind::Capture).await;
    bed.publish(&canceled(&order)).await;
    bed.event(|event: &PaymentRefunded| event.order_id == order.order_id).await;
    assert_captured(&bed, &provider, 1).await;
    assert_refunded(&bed, &provider, 1).await;
    assert_eq!(kept(&bed).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_about_a_canceled_order_is_found_and_refunded() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
    let order = order("sandbox_timeout_then_ok");
    bed.publish(&order).await;
    provider.until_done(&bed, TransactionKind::Capture).await;
    bed.publish(&canceled(&order)).await;
    bed.event(|event: &PaymentRefunded| event.order_id == order.order_id).await;
    let payment = settled(&bed, order.order_id).await;
    assert_eq!(payment.status, "succeeded");
    let tries = number(&mut bed.sql("payment").await, "select tries from refund").await;
    assert_eq!(tries, 2, "the refund's answer is lost as well, and looked up");
    assert_captured(&bed, &provider, 1).await;
    assert_refunded(&bed, &provider, 1).await;
    assert_eq!(kept(&bed).await, 0);
}

/// How far a charge was when its worker was gone, and what becomes of it.
#[derive(Debug, Clone, Copy)]
enum Reached {
    Nothing,
    Held,
    HeldAndKnown,
    Taken,
    TakenAfterHeldAndKnown,
}

#[tokio::test(flavor = "multi_thread")]
async fn however_far_it_was_a_canceled_order_costs_nothing() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    provider.run(&bed).await.stop().await;
    let mut orders = Vec::new();
    for (reached, status) in [
        (Reached::Nothing, "canceled"),
        (Reached::Held, "canceled"),
        (Reached::HeldAndKnown, "canceled"),
        (Reached::Taken, "succeeded"),
        (Reached::TakenAfterHeldAndKnown, "succeeded"),
    ] {
        let order = OrderId::new();
        orders.push((order, reached, status));
        held(&bed, order, 1).await;
        if matches!(reached, Reached::Nothing) {
            continue;
        }
        let payment = provider.authorize(order, "sandbox_ok").await;
        if matches!(reached, Reached::HeldAndKnown | Reached::TakenAfterHeldAndKnown) {
            known_as_held(&bed, order, &payment).await;
        }
        if matches!(reached, Reached::Taken | Reached::TakenAfterHeldAndKnown) {
            provider.capture(order, &payment.reference).await;
        }
    }
    let hold = "update payment set next_try_at = now() + interval '1 hour'";
    sql_query(hold).execute(&mut bed.sql("payment").await).await.unwrap();
    // The statement has it all; nobody but the worker is to settle it.
    compared(&bed, &provider).await;
    let _running = provider.run(&bed).await;
    for (order, ..) in &orders {
        bed.publish_twice(&cancel(*order)).await;
    }
    taken(&bed, 5).await;
    for (order, reached, _) in &orders {
        let payment = payment_when(&bed, *order, "it is there", |_| true).await;
        assert_ne!(payment.status, "canceled", "{reached:?}: nobody knows yet what the provider did");
    }
    release(&bed).await;
    for (order, reached, status) in &orders {
        assert_eq!(settled(&bed, *order).await.status, *status, "{reached:?}");
    }
    when(&bed, "every refund is settled", "select count(*) from refund where status = 'succeeded'", 2).await;
    // Whatever request is still on its way finds the key used up.
    let late = provider.authorize(orders[0].0, "sandbox_ok").await;
    assert_eq!(late.status, ProviderStatus::Voided);
    assert_captured(&bed, &provider, 2).await;
    assert_refunded(&bed, &provider, 2).await;
    assert_eq!(provider.done(TransactionKind::Void).await, (3, 2 * 1299), "two were held, one was never asked for");
    assert_eq!(kept(&bed).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_canceled_before_its_capture_is_voided_or_refunded() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
    let order = order("sandbox_slow_capture");
    bed.publish(&order).await;
    payment_when(&bed, order.order_id, "the money is held", |payment| payment.status == "requires_capture").await;
    // The capture is on its way, and nobody knows whether it will be heard before this.
    bed.publish(&canceled(&order)).await;
    taken(&bed, 2).await;
    settled(&bed, order.order_id).await;
    when(&bed, "every refund is settled", "select count(*) from refund where status = 'pending'", 0).await;
    assert_eq!(kept(&bed).await, 0);
    assert_nothing_broken(&bed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_captured_after_all_goes_back() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let running = provider.run(&bed).await;
    let order = order("sandbox_ok");
    bed.publish(&canceled(&order)).await;
    taken(&bed, 1).await;
    bed.publish(&order).await;
    assert_eq!(settled(&bed, order.order_id).await.status, "canceled");
    // Against all rules, the provider takes money for what we never asked for.
    let payment = provider.authorize(order.order_id, "sandbox_ok").await;
    provider.capture(order.order_id, &payment.reference).await;
    running.stop().await;
    let _running = provider.run(&bed).await;
    bed.event(|event: &PaymentRefunded| event.order_id == order.order_id).await;
    assert_captured(&bed, &provider, 1).await;
    assert_refunded(&bed, &provider, 1).await;
    assert_eq!(kept(&bed).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_canceled_because_it_was_declined_stays_as_it_is() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
    let order = order("sandbox_declined");
    bed.publish(&order).await;
    bed.event(|event: &PaymentFailed| event.order_id == order.order_id).await;
    bed.publish(&OrderCanceled { reason: CancelReason::PaymentFailed, ..canceled(&order) }).await;
    taken(&bed, 2).await;
    assert_eq!(settled(&bed, order.order_id).await.status, "failed");
    assert_eq!(number(&mut bed.sql("payment").await, "select count(*) from refund").await, 0);
    assert_captured(&bed, &provider, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_of_orders_canceled_at_any_moment_by_two_instances() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _one = provider.run(&bed).await;
    let _other = provider.run(&bed).await;
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
    when(&bed, "every payment is settled", "select count(*) from payment where next_try_at is null", 30).await;
    when(&bed, "every refund is settled", "select count(*) from refund where status = 'pending'", 0).await;
    let mut sql = bed.sql("payment").await;
    let captured = number(&mut sql, "select count(*) from payment where status = 'succeeded'").await;
    let voided = number(&mut sql, "select count(*) from payment where status = 'canceled'").await;
    assert_eq!(captured + voided, 30);
    assert_captured(&bed, &provider, captured).await;
    assert_refunded(&bed, &provider, captured).await;
    assert_eq!(kept(&bed).await, 0);
    assert!(bed.dead_letters().await.is_empty());
}

fn cancel(order_id: OrderId) -> OrderCanceled {
    OrderCanceled { order_id, user_id: UserId::new(), reason: CancelReason::Customer }
}

/// As the worker leaves it behind that wrote down that the money is held.
async fn known_as_held(bed: &Bed, order: OrderId, seen: &ProviderPayment) {
    let mut sql = bed.sql("payment").await;
    sql_query(
        "with held as (update payment set status = 'requires_capture', provider_reference = $2 where order_id = $1 returning id)
         insert into transaction (payment_id, kind, amount, provider_reference) select id, 'authorize', 1299, $3 from held",
    )
    .bind::<sql_types::Uuid, _>(order)
    .bind::<sql_types::Text, _>(&seen.reference)
    .bind::<sql_types::Text, _>(&seen.operations[0].reference)
    .execute(&mut sql)
    .await
    .unwrap();
}

async fn assert_never_asked(bed: &Bed, provider: &Provider) {
    assert_eq!(provider.operations().await, []);
    assert_captured(bed, provider, 0).await;
    assert_refunded(bed, provider, 0).await;
    bed.no_event::<PaymentCaptured>(|_| true).await;
}
