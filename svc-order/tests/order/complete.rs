//! `complete_order`: by whom, and which.

use futures_util::future::join_all;
use nats::{
    contracts::order::OrderCompleted,
    types::{OrderId, PaymentId},
};
use stack::bed::Client;

use crate::shop::{Placed, Shop, one_lamp};

/// An order that is paid.
async fn paid(shop: &Shop, customer: &Client, payment: PaymentId) -> Placed {
    let placed = shop.place(customer, &one_lamp()).await;
    shop.bed.publish(&placed.captured(payment)).await;
    shop.settled(customer, placed.id, ["confirmed", "captured", "not_fulfilled"]).await;
    placed
}

fn path(id: OrderId) -> String {
    format!("/v1/orders/{id}/complete")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_order_is_completed() {
    let shop = Shop::open().await;
    let (alice, staff) = (shop.bed.customer(), shop.bed.staff());
    let placed = paid(&shop, &alice, PaymentId::new()).await;
    let completed = staff.request("POST", &path(placed.id)).send().await;
    assert_eq!(completed.status, 200, "{completed}");
    let order = shop.settled(&alice, placed.id, ["completed", "captured", "fulfilled"]).await;
    assert_eq!(completed.json, order);
    let event = shop.bed.event::<OrderCompleted>(|event| event.order_id == placed.id).await;
    assert_eq!(event.user_id, alice.user_id());
    assert_eq!(shop.history(&alice, placed.id).await, ["placed", "paid", "confirmed", "completed"]);
    let history = staff.get(&format!("/v1/orders/{}/history", placed.id)).send().await;
    assert_eq!(
        (history.text("/data/3/by"), history.text("/data/3/user_id")),
        ("staff".into(), staff.user_id().to_string())
    );
    let canceled = alice.request("POST", &format!("/v1/orders/{}/cancel", placed.id)).send().await;
    canceled.problem("conflict", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_completed_once() {
    let shop = Shop::open().await;
    let (alice, staff) = (shop.bed.customer(), shop.bed.staff());
    let placed = paid(&shop, &alice, PaymentId::new()).await;
    let answers = join_all((0..8).map(|_| staff.request("POST", &path(placed.id)).send())).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.problem("conflict", "");
        assert_eq!(answer.at("/detail"), "This order is completed already.");
    }
    shop.bed.event::<OrderCompleted>(|_| true).await;
    assert_eq!(shop.bed.events::<OrderCompleted>(|_| true).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_with_its_key_gets_the_first_answer() {
    let shop = Shop::open().await;
    let (alice, staff) = (shop.bed.customer(), shop.bed.staff());
    let one = paid(&shop, &alice, PaymentId::new()).await;
    let other = paid(&shop, &alice, PaymentId::new()).await;
    let first = staff.request("POST", &path(one.id)).key("k1").send().await;
    let again = staff.request("POST", &path(one.id)).key("k1").send().await;
    assert_eq!((first.status, again.status, again.json), (200, 200, first.json));
    staff.request("POST", &path(other.id)).key("k1").send().await.problem("idempotency_key_reused", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_other_order_is_refused() {
    let shop = Shop::open().await;
    let (alice, staff) = (shop.bed.customer(), shop.bed.staff());
    let pending = shop.place(&alice, &one_lamp()).await;
    let canceled = shop.place(&alice, &one_lamp()).await;
    assert_eq!(alice.request("POST", &format!("/v1/orders/{}/cancel", canceled.id)).send().await.status, 200);
    let payment = PaymentId::new();
    let refunded = paid(&shop, &alice, payment).await;
    shop.bed.publish(&refunded.refunded(payment, 1)).await;
    shop.settled(&alice, refunded.id, ["confirmed", "partially_refunded", "not_fulfilled"]).await;
    for (placed, detail) in [
        (&pending, "This order is not confirmed yet; only a confirmed order can be completed."),
        (&canceled, "This order is canceled; it cannot be completed any more."),
        (&refunded, "Some or all of this order's money went back; it cannot be completed any more."),
    ] {
        let answer = staff.request("POST", &path(placed.id)).key(&placed.id.to_string()).send().await;
        answer.problem("conflict", "");
        assert_eq!((answer.status, answer.at("/detail").as_str()), (409, Some(detail)), "{answer}");
    }
    // A refusal does not use up the key.
    shop.bed.publish(&pending.captured(PaymentId::new())).await;
    shop.settled(&alice, pending.id, ["confirmed", "captured", "not_fulfilled"]).await;
    let answer = staff.request("POST", &path(pending.id)).key(&pending.id.to_string()).send().await;
    assert_eq!(answer.status, 200, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_for_staff_only() {
    let shop = Shop::open().await;
    let (alice, staff) = (shop.bed.customer(), shop.bed.staff());
    let placed = paid(&shop, &alice, PaymentId::new()).await;
    alice.request("POST", &path(placed.id)).send().await.problem("forbidden", "");
    shop.bed.nobody().request("POST", &path(placed.id)).send().await.problem("unauthenticated", "");
    staff.request("POST", &path(OrderId::new())).send().await.problem("not_found", "");
    staff.request("POST", "/v1/orders/7/complete").send().await.problem("not_found", "");
    shop.settled(&alice, placed.id, ["confirmed", "captured", "not_fulfilled"]).await;
    shop.bed.no_event::<OrderCompleted>(|_| true).await;
}
