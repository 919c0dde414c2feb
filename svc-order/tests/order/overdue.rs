//! What has waited for too long: svc-payment is asked, and the order goes on as if the event had come.

use nats::{
    contracts::{
        order::{CancelReason, OrderCanceled, OrderConfirmed},
        payment::PaymentProgress,
    },
    types::PaymentId,
};
use stack::bed::Client;

use crate::shop::{Placed, Shop, one_lamp};

const CONFIRMED: [&str; 3] = ["confirmed", "captured", "not_fulfilled"];
const TIMED_OUT: [&str; 3] = ["canceled", "canceled", "canceled"];

/// An order of which svc-payment knows this.
async fn known(shop: &Shop, customer: &Client, progress: PaymentProgress) -> Placed {
    let placed = shop.place(customer, &one_lamp()).await;
    let details = placed.details(PaymentId::new(), progress, 0);
    shop.payments.lock().unwrap().insert(placed.id, details);
    placed
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_not_paid_in_time_is_canceled() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let unheard = shop.place(&alice, &one_lamp()).await;
    let processing = known(&shop, &alice, PaymentProgress::Processing).await;
    let canceled = known(&shop, &alice, PaymentProgress::Canceled).await;
    let young = shop.place(&alice, &one_lamp()).await;
    for late in [&unheard, &processing, &canceled] {
        shop.overdue(late.id, 1).await;
        let order = shop.settled(&alice, late.id, TIMED_OUT).await;
        assert_eq!(order["cancel_reason"], "payment_timeout");
        let event = shop.bed.event::<OrderCanceled>(|event| event.order_id == late.id).await;
        assert_eq!(event.reason, CancelReason::PaymentTimeout);
        shop.at_step(late.id, "done").await;
    }
    shop.settled(&alice, young.id, ["pending", "awaiting", "not_fulfilled"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_whose_event_did_not_come_is_found() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let paid = known(&shop, &alice, PaymentProgress::Captured).await;
    shop.overdue(paid.id, 1).await;
    shop.settled(&alice, paid.id, CONFIRMED).await;
    // The event comes after all.
    let payment = shop.payments.lock().unwrap()[&paid.id].payment_id;
    shop.bed.publish(&paid.captured(payment)).await;
    shop.taken(1).await;
    assert_eq!(shop.history(&alice, paid.id).await, ["placed", "paid", "confirmed"]);
    shop.bed.no_event::<OrderCanceled>(|_| true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decline_whose_event_did_not_come_is_found() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let declined = known(&shop, &alice, PaymentProgress::Failed).await;
    shop.overdue(declined.id, 1).await;
    let order = shop.settled(&alice, declined.id, ["canceled", "failed", "canceled"]).await;
    assert_eq!(order["cancel_reason"], "payment_failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_that_does_not_fit_is_left_to_people() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let wrong = known(&shop, &alice, PaymentProgress::Captured).await;
    shop.payments.lock().unwrap().get_mut(&wrong.id).unwrap().captured.amount -= 1;
    shop.overdue(wrong.id, 1).await;
    let looked = async || {
        (shop.number("select count(*) from order_saga where tries > 0 and due_at > now() + interval '30 s'").await == 1)
            .then_some(())
    };
    shop.bed.wait_for("the order to be looked at", looked).await;
    shop.settled(&alice, wrong.id, ["pending", "awaiting", "not_fulfilled"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nobody_knows_an_order_is_given_half_a_minute() {
    let shop = Shop::without_catalog_and_shipping().await;
    shop.catalog_comes().await;
    shop.shipping_comes().await;
    let alice = shop.bed.customer();
    let (late, too_late) = (shop.place(&alice, &one_lamp()).await, shop.place(&alice, &one_lamp()).await);
    shop.overdue(late.id, 1).await;
    shop.overdue(too_late.id, 40).await;
    shop.settled(&alice, too_late.id, TIMED_OUT).await;
    let tried = format!("select tries from order_saga where order_id = '{}'", late.id.uuid());
    let asked = async || (shop.number(&tried).await >= 2).then_some(());
    shop.bed.wait_for("svc-payment to be asked again", asked).await;
    shop.settled(&alice, late.id, ["pending", "awaiting", "not_fulfilled"]).await;
    shop.payments.lock().unwrap().insert(late.id, late.details(PaymentId::new(), PaymentProgress::Captured, 0));
    shop.payment_comes().await;
    shop.goods_can_be_had().await;
    shop.settled(&alice, late.id, CONFIRMED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_whose_event_did_not_come_is_found() {
    let shop = Shop::open().await;
    let (alice, payment) = (shop.bed.customer(), PaymentId::new());
    let placed = shop.place(&alice, &one_lamp()).await;
    assert_eq!(alice.request("POST", &format!("/v1/orders/{}/cancel", placed.id)).send().await.status, 200);
    shop.bed.publish(&placed.captured(payment)).await;
    shop.at_step(placed.id, "awaiting_refund").await;

    // Some of it went back: noted, and looked at again.
    shop.payments.lock().unwrap().insert(placed.id, placed.details(payment, PaymentProgress::Captured, 1000));
    shop.overdue(placed.id, 1).await;
    shop.settled(&alice, placed.id, ["canceled", "partially_refunded", "canceled"]).await;
    shop.at_step(placed.id, "awaiting_refund").await;

    let all = placed.total.amount;
    shop.payments.lock().unwrap().insert(placed.id, placed.details(payment, PaymentProgress::Captured, all));
    shop.overdue(placed.id, 1).await;
    shop.settled(&alice, placed.id, ["canceled", "refunded", "canceled"]).await;
    shop.at_step(placed.id, "done").await;

    // The events come after all: known, not counted twice.
    shop.bed.publish(&placed.refunded(payment, 1000)).await;
    shop.bed.publish(&placed.refunded(payment, all - 1000)).await;
    shop.taken(3).await;
    let expected = ["placed", "canceled", "paid_late", "refunded", "refunded"];
    assert_eq!(shop.history(&alice, placed.id).await, expected);
    assert_eq!(shop.number("select refunded from orders").await, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_cancel_it_once() {
    let shop = Shop::open().await;
    let second = shop.bed.run(svc_order::service()).await;
    let alice = shop.bed.customer();
    for _ in 0..10 {
        shop.place(&alice, &one_lamp()).await;
    }
    let past = "now() - interval '1 s'";
    shop.sql(&format!("update order_saga set deadline = {past}, due_at = {past}")).await;
    let look = async || (shop.bed.events::<OrderCanceled>(|_| true).await.len() >= 10).then_some(());
    shop.bed.wait_for("ten cancellations", look).await;
    second.stop().await;
    assert_eq!(shop.bed.events::<OrderCanceled>(|_| true).await.len(), 10);
    assert_eq!(shop.count("order_history").await, 20);
    shop.bed.no_event::<OrderConfirmed>(|_| true).await;
}
