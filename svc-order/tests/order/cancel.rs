//! `cancel_order`: by whom, until when.

use futures_util::future::join_all;
use nats::{
    contracts::order::{CancelReason, OrderCanceled},
    types::{OrderId, PaymentId},
};

use crate::shop::{Shop, one_lamp};

#[tokio::test(flavor = "multi_thread")]
async fn an_unpaid_order_is_canceled() {
    let shop = Shop::open().await;
    let (alice, staff) = (shop.bed.customer(), shop.bed.staff());
    for (client, reason) in [(&alice, CancelReason::Customer), (&staff, CancelReason::Staff)] {
        let placed = shop.place(&alice, &one_lamp()).await;
        let canceled = client.request("POST", &format!("/v1/orders/{}/cancel", placed.id)).send().await;
        assert_eq!(canceled.status, 200, "{canceled}");
        assert_eq!(
            [canceled.at("/status"), canceled.at("/payment_status"), canceled.at("/fulfillment_status")],
            ["canceled", "canceled", "canceled"]
        );
        assert_eq!(canceled.at("/cancel_reason"), &serde_json::to_value(reason).unwrap());
        let event = shop.bed.event::<OrderCanceled>(|event| event.order_id == placed.id).await;
        assert_eq!((event.user_id, event.reason), (alice.user_id(), reason));
        assert_eq!(shop.history(&alice, placed.id).await, ["placed", "canceled"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_canceled_once() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let placed = shop.place(&alice, &one_lamp()).await;
    let path = format!("/v1/orders/{}/cancel", placed.id);
    let answers = join_all((0..8).map(|_| alice.request("POST", &path).send())).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.problem("conflict", "");
        assert_eq!(answer.at("/detail"), "This order is canceled already.");
    }
    shop.bed.event::<OrderCanceled>(|_| true).await;
    assert_eq!(shop.bed.events::<OrderCanceled>(|_| true).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_with_its_key_gets_the_first_answer() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let (one, other) = (shop.place(&alice, &one_lamp()).await, shop.place(&alice, &one_lamp()).await);
    let path = format!("/v1/orders/{}/cancel", one.id);
    let first = alice.request("POST", &path).key("k1").send().await;
    let again = alice.request("POST", &path).key("k1").send().await;
    assert_eq!((again.status, again.json), (200, first.json));
    let reused = alice.request("POST", &format!("/v1/orders/{}/cancel", other.id)).key("k1").send().await;
    reused.problem("idempotency_key_reused", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_order_is_not_canceled() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let placed = shop.place(&alice, &one_lamp()).await;
    shop.bed.publish(&placed.captured(PaymentId::new())).await;
    shop.settled(&alice, placed.id, ["confirmed", "captured", "not_fulfilled"]).await;
    let refused = alice.request("POST", &format!("/v1/orders/{}/cancel", placed.id)).send().await;
    refused.problem("conflict", "");
    assert!(refused.text("/detail").contains("Ask the shop for a refund"), "{refused}");
    assert_eq!(shop.history(&alice, placed.id).await, ["placed", "paid", "confirmed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_yours_is_not_there() {
    let shop = Shop::open().await;
    let (alice, bob) = (shop.bed.customer(), shop.bed.customer());
    let placed = shop.place(&alice, &one_lamp()).await;
    let path = format!("/v1/orders/{}/cancel", placed.id);
    bob.request("POST", &path).key("k1").send().await.problem("not_found", "");
    shop.bed.nobody().request("POST", &path).send().await.problem("unauthenticated", "");
    bob.request("POST", &format!("/v1/orders/{}/cancel", OrderId::new())).send().await.problem("not_found", "");
    shop.settled(&alice, placed.id, ["pending", "awaiting", "not_fulfilled"]).await;
}
