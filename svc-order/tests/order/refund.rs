//! `payment.refunded`: the order remembers what went back.

use nats::types::{Currency, Money, OrderId, PaymentId};
use stack::bed::Client;

use crate::shop::{Placed, Shop, one_lamp};

const PARTLY: [&str; 3] = ["confirmed", "partially_refunded", "not_fulfilled"];
const WHOLLY: [&str; 3] = ["confirmed", "refunded", "not_fulfilled"];

/// An order that `payment` paid.
async fn paid(shop: &Shop, customer: &Client, payment: PaymentId) -> Placed {
    let placed = shop.place(customer, &one_lamp()).await;
    shop.bed.publish(&placed.captured(payment)).await;
    shop.settled(customer, placed.id, ["confirmed", "captured", "not_fulfilled"]).await;
    placed
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_it_at_once() {
    let shop = Shop::open().await;
    let (alice, payment) = (shop.bed.customer(), PaymentId::new());
    let placed = paid(&shop, &alice, payment).await;
    let event = placed.refunded(payment, placed.total.amount);
    shop.bed.publish_twice(&event).await;
    // The same fact once more, as an event of its own.
    shop.bed.publish(&event).await;
    shop.settled(&alice, placed.id, WHOLLY).await;
    shop.taken(3).await;
    shop.settled(&alice, placed.id, WHOLLY).await;
    assert_eq!(shop.history(&alice, placed.id).await, ["placed", "paid", "confirmed", "refunded"]);
    let history = alice.get(&format!("/v1/orders/{}/history", placed.id)).send().await;
    assert_eq!(history.text("/data/3/why"), "65.21 EUR went back to the customer: nothing of 65.21 EUR is left.");
    assert_eq!(shop.bed.dead_letters().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_parts_until_nothing_is_left() {
    let shop = Shop::open().await;
    let (alice, payment) = (shop.bed.customer(), PaymentId::new());
    let placed = paid(&shop, &alice, payment).await;
    let rest = placed.total.amount - 1500;
    shop.bed.publish_twice(&placed.refunded(payment, 1000)).await;
    shop.settled(&alice, placed.id, PARTLY).await;
    shop.bed.publish(&placed.refunded(payment, 500)).await;
    shop.taken(3).await;
    shop.settled(&alice, placed.id, PARTLY).await;
    let history = alice.get(&format!("/v1/orders/{}/history", placed.id)).send().await;
    assert_eq!(history.text("/data/4/why"), "5.00 EUR went back to the customer: 15.00 EUR of 65.21 EUR in all.");
    shop.bed.publish(&placed.refunded(payment, rest + 1)).await;
    shop.taken(4).await;
    shop.settled(&alice, placed.id, PARTLY).await;
    shop.bed.publish(&placed.refunded(payment, rest)).await;
    shop.settled(&alice, placed.id, WHOLLY).await;
    let expected = ["placed", "paid", "confirmed", "refunded", "refunded", "payment_contradicted", "refunded"];
    assert_eq!(shop.history(&alice, placed.id).await, expected, "more than was left is noted and changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_after_the_cancellation_goes_back() {
    let shop = Shop::open().await;
    let (alice, payment) = (shop.bed.customer(), PaymentId::new());
    let placed = shop.place(&alice, &one_lamp()).await;
    assert_eq!(alice.request("POST", &format!("/v1/orders/{}/cancel", placed.id)).send().await.status, 200);
    // Whichever of the two is taken first.
    shop.bed.publish(&placed.refunded(payment, placed.total.amount)).await;
    shop.bed.publish(&placed.captured(payment)).await;
    shop.settled(&alice, placed.id, ["canceled", "refunded", "canceled"]).await;
    let expected = ["placed", "canceled", "paid_late", "refunded"];
    assert_eq!(shop.history(&alice, placed.id).await, expected);
    shop.at_step(placed.id, "done").await;
    assert_eq!(shop.bed.dead_letters().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_is_told_before_its_capture_is_counted_with_it() {
    let shop = Shop::open().await;
    let (alice, payment) = (shop.bed.customer(), PaymentId::new());
    let placed = shop.place(&alice, &one_lamp()).await;
    let part = placed.refunded(payment, 1000);
    shop.bed.publish_twice(&part).await;
    shop.bed.publish(&placed.refunded(payment, 500)).await;
    shop.taken(2).await;
    shop.settled(&alice, placed.id, ["pending", "awaiting", "not_fulfilled"]).await;
    shop.bed.publish(&placed.captured(payment)).await;
    shop.settled(&alice, placed.id, PARTLY).await;
    // The same refund in an event of its own: known by its id.
    shop.bed.publish(&part).await;
    shop.taken(4).await;
    assert_eq!(shop.number("select refunded from orders").await, 1500);
    assert_eq!(shop.history(&alice, placed.id).await.iter().filter(|change| *change == "refunded").count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_payment_that_goes_back_leaves_the_order_paid() {
    let shop = Shop::open().await;
    let (alice, second) = (shop.bed.customer(), PaymentId::new());
    let placed = paid(&shop, &alice, PaymentId::new()).await;
    shop.bed.publish(&placed.captured(second)).await;
    shop.taken(2).await;
    shop.bed.publish(&placed.refunded(second, placed.total.amount)).await;
    shop.taken(3).await;
    shop.settled(&alice, placed.id, ["confirmed", "captured", "not_fulfilled"]).await;
    let history = alice.get(&format!("/v1/orders/{}/history", placed.id)).send().await;
    assert!(history.text("/data/4/why").contains("another payment paid the order"), "{history}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completed_order_can_be_refunded() {
    let shop = Shop::open().await;
    let (alice, payment) = (shop.bed.customer(), PaymentId::new());
    let placed = paid(&shop, &alice, payment).await;
    let path = format!("/v1/orders/{}/complete", placed.id);
    assert_eq!(shop.bed.staff().request("POST", &path).send().await.status, 200);
    shop.bed.publish(&placed.refunded(payment, placed.total.amount)).await;
    shop.settled(&alice, placed.id, ["completed", "refunded", "fulfilled"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_a_dead_letter() {
    let shop = Shop::open().await;
    let (alice, payment) = (shop.bed.customer(), PaymentId::new());
    let placed = paid(&shop, &alice, payment).await;
    let mut unknown = placed.refunded(payment, 100);
    unknown.order_id = OrderId::new();
    let mut foreign = placed.refunded(payment, 100);
    foreign.amount = Money::new(100, Currency::USD);
    for event in [unknown, foreign, placed.refunded(payment, 0), placed.refunded(payment, -100)] {
        shop.bed.publish(&event).await;
    }
    let look = async || {
        let dead = shop.bed.dead_letters().await;
        (dead.len() == 4).then_some(dead)
    };
    let dead = shop.bed.wait_for("four dead letters", look).await;
    assert!(dead.iter().all(|(consumer, _)| consumer == "order-note-refund"), "{dead:?}");
    shop.settled(&alice, placed.id, ["confirmed", "captured", "not_fulfilled"]).await;
}
