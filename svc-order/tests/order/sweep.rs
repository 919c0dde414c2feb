//! The sweep: orders that nobody pays.

use diesel_async::RunQueryDsl;
use nats::{
    contracts::order::{CancelReason, OrderCanceled},
    types::{OrderId, PaymentId},
};
use stack::bed::Bed;

use crate::shop::{Shop, one_lamp};

/// Moves orders so many seconds into the past.
async fn age(bed: &Bed, which: &[OrderId], seconds: i32) {
    let mut sql = bed.sql("order").await;
    for id in which {
        let statement =
            format!("update orders set placed_at = placed_at - interval '{seconds} s' where id = '{}'", id.uuid());
        diesel::sql_query(statement).execute(&mut sql).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_not_paid_in_time_is_canceled() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let (unpaid, paid) = (shop.place(&alice, &one_lamp()).await, shop.place(&alice, &one_lamp()).await);
    let young = shop.place(&alice, &one_lamp()).await;
    shop.bed.publish(&paid.captured(PaymentId::new())).await;
    shop.settled(&alice, paid.id, ["confirmed", "captured", "not_fulfilled"]).await;
    let shop = shop
        .restarted(async |bed| {
            age(bed, &[unpaid.id, paid.id], 601).await;
            age(bed, &[young.id], 500).await;
        })
        .await;
    let order = shop.settled(&alice, unpaid.id, ["canceled", "canceled", "canceled"]).await;
    assert_eq!(order["cancel_reason"], "payment_timeout");
    let event = shop.bed.event::<OrderCanceled>(|event| event.order_id == unpaid.id).await;
    assert_eq!(event.reason, CancelReason::PaymentTimeout);
    // Stopping finishes the sweep that has begun.
    let shop = shop.restarted(async |_| {}).await;
    shop.settled(&alice, paid.id, ["confirmed", "captured", "not_fulfilled"]).await;
    shop.settled(&alice, young.id, ["pending", "awaiting", "not_fulfilled"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_cancel_it_once() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let mut placed = Vec::new();
    for _ in 0..5 {
        placed.push(shop.place(&alice, &one_lamp()).await.id);
    }
    let shop = shop.restarted(async |bed| age(bed, &placed, 601).await).await;
    let second = shop.bed.run(svc_order::service()).await;
    let look = async || (shop.bed.events::<OrderCanceled>(|_| true).await.len() >= 5).then_some(());
    shop.bed.wait_for("five cancellations", look).await;
    second.stop().await;
    assert_eq!(shop.bed.events::<OrderCanceled>(|_| true).await.len(), 5);
    assert_eq!(shop.count("order_history").await, 10);
}
