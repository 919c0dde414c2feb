//! Securing the goods of a paid order: the catalogue says yes, no, nothing, or is not there.

use std::time::Duration;

use nats::{
    contracts::{
        Call,
        catalog::{CommitRefusal, CommitStock},
        order::{CancelReason, OrderCanceled, OrderConfirmed},
    },
    types::PaymentId,
};

use crate::shop::{Shop, one_lamp};

const CONFIRMED: [&str; 3] = ["confirmed", "captured", "not_fulfilled"];
const PAID: [&str; 3] = ["pending", "captured", "not_fulfilled"];

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_goods_are_gone_is_canceled_and_its_money_goes_back() {
    for refusal in [CommitRefusal::OutOfStock, CommitRefusal::Released] {
        let shop = Shop::open().await;
        *shop.catalog.refuses.lock().unwrap() = Some(refusal);
        let (alice, payment) = (shop.bed.customer(), PaymentId::new());
        let placed = shop.place(&alice, &one_lamp()).await;
        shop.bed.publish(&placed.captured(payment)).await;
        let order = shop.settled(&alice, placed.id, ["canceled", "captured", "canceled"]).await;
        assert_eq!(order["cancel_reason"], "out_of_stock");
        let event = shop.bed.event::<OrderCanceled>(|event| event.order_id == placed.id).await;
        assert_eq!(event.reason, CancelReason::OutOfStock);
        shop.at_step(placed.id, "awaiting_refund").await;

        shop.bed.publish(&placed.refunded(payment, placed.total.amount)).await;
        shop.settled(&alice, placed.id, ["canceled", "refunded", "canceled"]).await;
        shop.at_step(placed.id, "done").await;
        assert_eq!(shop.history(&alice, placed.id).await, ["placed", "paid", "canceled", "refunded"]);
        shop.bed.no_event::<OrderConfirmed>(|_| true).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_order_waits_for_a_catalogue_that_is_away() {
    let shop = Shop::without_goods().await;
    let alice = shop.bed.customer();
    let placed = shop.place(&alice, &one_lamp()).await;
    shop.bed.publish(&placed.captured(PaymentId::new())).await;
    shop.settled(&alice, placed.id, PAID).await;
    shop.at_step(placed.id, "securing_stock").await;
    let tried = async || (shop.number("select tries from order_saga").await >= 2).then_some(());
    shop.bed.wait_for("the catalogue to be asked again", tried).await;
    let refused = alice.request("POST", &format!("/v1/orders/{}/cancel", placed.id)).send().await;
    refused.problem("conflict", "");

    shop.goods_can_be_had().await;
    shop.settled(&alice, placed.id, CONFIRMED).await;
    assert_eq!(shop.history(&alice, placed.id).await, ["placed", "paid", "confirmed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_is_asked_for_again() {
    let shop = Shop::without_goods().await;
    let alice = shop.bed.customer();
    // It takes the question and says nothing.
    let mut silent = shop.bed.listen(&CommitStock::subject()).await;
    let placed = shop.place(&alice, &one_lamp()).await;
    shop.bed.publish(&placed.captured(PaymentId::new())).await;
    assert!(silent.next(Duration::from_secs(20)).await.is_some(), "it is asked");
    shop.goods_can_be_had().await;
    shop.settled(&alice, placed.id, CONFIRMED).await;
    assert_eq!(shop.bed.events::<OrderConfirmed>(|_| true).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stopped_instance_had_begun_another_one_finishes() {
    let shop = Shop::without_goods().await;
    let alice = shop.bed.customer();
    let placed = shop.place(&alice, &one_lamp()).await;
    shop.bed.publish(&placed.captured(PaymentId::new())).await;
    shop.at_step(placed.id, "securing_stock").await;
    let shop = shop
        .restarted(async |bed| {
            bed.answer::<CommitStock>(|_| Ok(nats::contracts::catalog::StockCommitted {})).await;
        })
        .await;
    shop.settled(&alice, placed.id, CONFIRMED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_secured_by_two_instances_and_confirmed_once_each() {
    let shop = Shop::open().await;
    let second = shop.bed.run(svc_order::service()).await;
    let alice = shop.bed.customer();
    let mut all = Vec::new();
    for _ in 0..20 {
        all.push(shop.place(&alice, &one_lamp()).await);
    }
    for placed in &all {
        shop.bed.publish_twice(&placed.captured(PaymentId::new())).await;
    }
    for placed in &all {
        shop.settled(&alice, placed.id, CONFIRMED).await;
    }
    shop.bed.event::<OrderConfirmed>(|event| event.order_id == all[19].id).await;
    let confirmed = async || (shop.bed.events::<OrderConfirmed>(|_| true).await.len() == 20).then_some(());
    shop.bed.wait_for("twenty confirmations", confirmed).await;
    second.stop().await;
}
