//! The saga: payments that come, fail, come twice, late, or in another order.

use nats::{
    contracts::order::{CancelReason, OrderCanceled, OrderConfirmed},
    types::{Currency, Money, OrderId, PaymentId},
};

use crate::shop::{Shop, one_lamp};

const CONFIRMED: [&str; 3] = ["confirmed", "captured", "not_fulfilled"];
const DECLINED: [&str; 3] = ["canceled", "failed", "canceled"];

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_order_is_confirmed() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let placed = shop.place(&alice, &one_lamp()).await;
    shop.bed.publish(&placed.captured(PaymentId::new())).await;
    let order = shop.settled(&alice, placed.id, CONFIRMED).await;
    assert!(order["updated_at"].as_str() > order["placed_at"].as_str());
    let event = shop.bed.event::<OrderConfirmed>(|event| event.order_id == placed.id).await;
    assert_eq!((event.user_id, event.total), (alice.user_id(), placed.total));
    assert_eq!(*shop.catalog.committed.lock().unwrap(), [placed.id], "it has its goods");
    shop.at_step(placed.id, "done").await;
    assert_eq!(shop.history(&alice, placed.id).await, ["placed", "paid", "confirmed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_order_is_canceled() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let placed = shop.place(&alice, &one_lamp()).await;
    shop.bed.publish(&placed.failed(PaymentId::new())).await;
    let order = shop.settled(&alice, placed.id, DECLINED).await;
    assert_eq!(order["cancel_reason"], "payment_failed");
    let event = shop.bed.event::<OrderCanceled>(|event| event.order_id == placed.id).await;
    assert_eq!(event.reason, CancelReason::PaymentFailed);
    shop.bed.no_event::<OrderConfirmed>(|_| true).await;
    assert_eq!(shop.history(&alice, placed.id).await, ["placed", "canceled"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_comes_twice_counts_once() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let (paid, declined) = (shop.place(&alice, &one_lamp()).await, shop.place(&alice, &one_lamp()).await);
    let payment = PaymentId::new();
    shop.bed.publish_twice(&paid.captured(payment)).await;
    shop.bed.publish_twice(&declined.failed(PaymentId::new())).await;
    // The same fact once more, as an event of its own.
    shop.bed.publish(&paid.captured(payment)).await;
    let last = shop.place(&alice, &one_lamp()).await;
    shop.bed.publish(&last.captured(PaymentId::new())).await;
    shop.settled(&alice, last.id, CONFIRMED).await;
    shop.settled(&alice, paid.id, CONFIRMED).await;
    shop.settled(&alice, declined.id, DECLINED).await;
    // Five events, in four inbox rows.
    shop.taken(4).await;
    assert_eq!(shop.history(&alice, paid.id).await, ["placed", "paid", "confirmed"]);
    assert_eq!(shop.history(&alice, declined.id).await, ["placed", "canceled"]);
    // Three placed, two confirmed, one canceled.
    assert_eq!(shop.count("event_log").await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_comes_after_the_cancellation_is_noted() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let placed = shop.place(&alice, &one_lamp()).await;
    assert_eq!(alice.request("POST", &format!("/v1/orders/{}/cancel", placed.id)).send().await.status, 200);
    let payment = PaymentId::new();
    shop.bed.publish(&placed.captured(payment)).await;
    let order = shop.settled(&alice, placed.id, ["canceled", "captured", "canceled"]).await;
    assert_eq!(order["cancel_reason"], "customer", "it stays canceled, for the reason it was");
    shop.at_step(placed.id, "awaiting_refund").await;
    let history = alice.get(&format!("/v1/orders/{}/history", placed.id)).send().await;
    assert_eq!(history.at("/data/2/change"), "paid_late");
    assert!(history.text("/data/2/why").contains(&payment.to_string()), "{history}");
    shop.bed.no_event::<OrderConfirmed>(|_| true).await;
    assert!(shop.catalog.committed.lock().unwrap().is_empty(), "nobody asked for its goods");
    assert_eq!(shop.bed.dead_letters().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_in_the_wrong_order_end_the_same() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    // Declined, then paid by a second attempt: whichever comes first, the money is known and nothing is confirmed twice.
    let placed = shop.place(&alice, &one_lamp()).await;
    let (declined, paid) = (PaymentId::new(), PaymentId::new());
    shop.bed.publish(&placed.captured(paid)).await;
    shop.settled(&alice, placed.id, CONFIRMED).await;
    shop.bed.publish(&placed.failed(declined)).await;
    shop.taken(2).await;
    shop.settled(&alice, placed.id, CONFIRMED).await;
    assert_eq!(shop.history(&alice, placed.id).await, ["placed", "paid", "confirmed"]);

    let placed = shop.place(&alice, &one_lamp()).await;
    shop.bed.publish(&placed.failed(declined)).await;
    shop.settled(&alice, placed.id, DECLINED).await;
    shop.bed.publish(&placed.captured(paid)).await;
    shop.settled(&alice, placed.id, ["canceled", "captured", "canceled"]).await;
    assert_eq!(shop.history(&alice, placed.id).await, ["placed", "canceled", "paid_late"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn contradictions_are_written_down() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let placed = shop.place(&alice, &one_lamp()).await;
    let payment = PaymentId::new();
    shop.bed.publish(&placed.captured(payment)).await;
    shop.settled(&alice, placed.id, CONFIRMED).await;
    shop.bed.publish(&placed.captured(PaymentId::new())).await;
    shop.taken(2).await;
    shop.bed.publish(&placed.failed(payment)).await;
    shop.taken(3).await;
    let history = alice.get(&format!("/v1/orders/{}/history", placed.id)).send().await;
    assert!(history.text("/data/3/why").contains("paid twice"), "{history}");
    assert!(history.text("/data/4/why").contains("failed after it was captured"), "{history}");
    shop.settled(&alice, placed.id, CONFIRMED).await;
    assert_eq!(shop.bed.events::<OrderConfirmed>(|_| true).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_a_dead_letter() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let placed = shop.place(&alice, &one_lamp()).await;
    let mut wrong = placed.captured(PaymentId::new());
    wrong.amount = Money::new(1, Currency::EUR);
    shop.bed.publish(&wrong).await;
    let mut unknown = placed.failed(PaymentId::new());
    unknown.order_id = OrderId::new();
    shop.bed.publish(&unknown).await;
    let look = async || {
        let mut dead = shop.bed.dead_letters().await;
        dead.sort();
        (dead.len() == 2).then_some(dead)
    };
    let dead = shop.bed.wait_for("two dead letters", look).await;
    assert_eq!(dead[0], ("order-cancel-unpaid".to_owned(), format!("dead: there is no order {}", unknown.order_id)));
    let reason = format!("dead: {} captured 0.01 EUR for an order of 65.21 EUR", wrong.payment_id);
    assert_eq!(dead[1], ("order-note-capture".to_owned(), reason));
    shop.settled(&alice, placed.id, ["pending", "awaiting", "not_fulfilled"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_while_the_service_is_down_is_done_afterwards() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let (paid, declined) = (shop.place(&alice, &one_lamp()).await, shop.place(&alice, &one_lamp()).await);
    let shop = shop
        .restarted(async |bed| {
            bed.publish(&paid.captured(PaymentId::new())).await;
            bed.publish(&declined.failed(PaymentId::new())).await;
        })
        .await;
    shop.settled(&alice, paid.id, CONFIRMED).await;
    shop.settled(&alice, declined.id, DECLINED).await;
    shop.bed.event::<OrderConfirmed>(|event| event.order_id == paid.id).await;
    shop.bed.event::<OrderCanceled>(|event| event.order_id == declined.id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_races_with_a_cancellation_is_never_lost() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    for _ in 0..8 {
        let placed = shop.place(&alice, &one_lamp()).await;
        let event = placed.captured(PaymentId::new());
        let path = format!("/v1/orders/{}/cancel", placed.id);
        let (canceled, ()) = tokio::join!(alice.request("POST", &path).send(), shop.bed.publish(&event));
        let states = match canceled.status {
            200 => ["canceled", "captured", "canceled"],
            409 => CONFIRMED,
            _ => panic!("expected 200 or 409, got {canceled}"),
        };
        shop.settled(&alice, placed.id, states).await;
    }
}
