//! The provider dies, hangs or is away: nothing is charged twice, nothing is forgotten.

use nats::{
    contracts::payment::{PaymentCaptured, PaymentRefunded},
    types::OrderId,
};
use stack::bed::Bed;
use svc_payment::payment::TransactionKind;

use super::ledger::{
    assert_captured, assert_refunded, canceled, effects, held, kept, order, payment_when, release, settled, taken, when,
};
use crate::provider::Provider;

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_dies_with_an_answer_is_looked_at_again() {
    for kind in ["authorize", "capture"] {
        let (bed, mut provider) = (Bed::start().await, Provider::start_with(&[("DIE_AFTER", kind)]).await);
        let _running = provider.run(&bed).await;
        let order = order("sandbox_ok");
        bed.publish(&order).await;
        dead(&bed, &provider).await;
        provider.restart().await;
        bed.event(|event: &PaymentCaptured| event.order_id == order.order_id).await;
        let payment = settled(&bed, order.order_id).await;
        assert_eq!(payment.status, "succeeded");
        assert!(payment.tries > 1, "the answer about the {kind} was lost");
        assert_eq!(effects(&bed).await, ["authorize 1299", "capture 1299"], "{kind}");
        assert_captured(&bed, &provider, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_dies_with_a_refund_or_a_void_has_made_one() {
    let (bed, mut provider) = (Bed::start().await, Provider::start_with(&[("DIE_AFTER", "refund")]).await);
    let _running = provider.run(&bed).await;
    let refunded = order("sandbox_ok");
    bed.publish(&refunded).await;
    settled(&bed, refunded.order_id).await;
    bed.publish(&canceled(&refunded)).await;
    dead(&bed, &provider).await;
    provider.restart().await;
    bed.event(|event: &PaymentRefunded| event.order_id == refunded.order_id).await;
    assert_refunded(&bed, &provider, 1).await;
    assert_eq!(kept(&bed).await, 0);

    let (bed, mut provider) = (Bed::start().await, Provider::start_with(&[("DIE_AFTER", "void")]).await);
    provider.run(&bed).await.stop().await;
    let voided = OrderId::new();
    held(&bed, voided, 1).await;
    let _running = provider.run(&bed).await;
    provider.authorize(voided, "sandbox_ok").await;
    bed.publish(&canceled(&nats::contracts::order::OrderPlaced { order_id: voided, ..order("sandbox_ok") })).await;
    taken(&bed, 1).await;
    release(&bed).await;
    dead(&bed, &provider).await;
    provider.restart().await;
    assert_eq!(settled(&bed, voided).await.status, "canceled");
    assert_eq!(effects(&bed).await, ["authorize 1299", "void 1299"]);
    assert_captured(&bed, &provider, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_killed_between_authorize_and_capture_captures_once() {
    let (bed, mut provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
    let order = order("sandbox_slow_capture");
    bed.publish(&order).await;
    payment_when(&bed, order.order_id, "the money is held", |payment| payment.status == "requires_capture").await;
    provider.kill();
    provider.restart().await;
    assert_eq!(provider.done(TransactionKind::Capture).await.0, 0, "it was killed before it captured");
    bed.event(|event: &PaymentCaptured| event.order_id == order.order_id).await;
    assert_captured(&bed, &provider, 1).await;
    assert_eq!(provider.operations().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_wait_for_a_provider_that_is_away_or_hangs() {
    const SIGSTOP: i32 = 19;
    const SIGCONT: i32 = 18;
    let (bed, mut provider) = (Bed::start().await, Provider::start().await);
    let _one = provider.run(&bed).await;
    let _other = provider.run(&bed).await;
    let orders: Vec<_> = (0..10).map(|_| order("sandbox_ok")).collect();
    let (away, hangs) = orders.split_at(5);
    provider.kill();
    for order in away {
        bed.publish_twice(order).await;
    }
    when(&bed, "each has been tried", "select count(*) from payment where tries > 0", 5).await;
    provider.restart().await;
    provider.signal(SIGSTOP);
    for order in hangs {
        bed.publish(order).await;
    }
    when(&bed, "each has been tried twice", "select count(*) from payment where tries > 1", 10).await;
    provider.signal(SIGCONT);
    for order in &orders {
        assert_eq!(settled(&bed, order.order_id).await.status, "succeeded");
    }
    assert_captured(&bed, &provider, 10).await;
    assert_eq!(provider.operations().await.len(), 20, "each was held once and captured once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_killed_at_any_moment_charges_each_order_once() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let mut service = bed.spawn(&svc_payment::service(), &provider.settings()).await;
    let orders: Vec<_> = (0..40).map(|_| order("sandbox_ok")).collect();
    for (index, order) in orders.iter().enumerate() {
        bed.publish(order).await;
        if index % 10 == 9 {
            // Somewhere amid the work: some are asked for, some answered, some written down.
            let captured = i64::try_from(index).unwrap() / 2;
            bed.wait_for("some to be captured", || async {
                (provider.done(TransactionKind::Capture).await.0 >= captured).then_some(())
            })
            .await;
            service.kill();
            service.respawn().unwrap();
        }
    }
    for order in &orders {
        assert_eq!(settled(&bed, order.order_id).await.status, "succeeded");
    }
    assert_captured_after_restart(&bed, &provider, 40).await;
}

/// The audit is a call: it wants a service that is up again.
async fn assert_captured_after_restart(bed: &Bed, provider: &Provider, times: i64) {
    bed.wait_for("the service to answer", || async {
        let question = nats::contracts::payment::AuditPayments { after: None, limit: 1 };
        bed.call(&question).await.ok()
    })
    .await;
    assert_captured(bed, provider, times).await;
    assert_eq!(provider.operations().await.len() as i64, 2 * times);
}

async fn dead(bed: &Bed, provider: &Provider) {
    bed.wait_for("the provider to die", || async { (!provider.is_running()).then_some(()) }).await;
}
