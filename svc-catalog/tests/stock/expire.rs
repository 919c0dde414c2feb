use std::sync::Arc;

use diesel_async::SimpleAsyncConnection;
use nats::{
    contracts::catalog::{CommitRefusal, CommitStock, ReserveRefusal, StockReleased, StockSold},
    types::OrderId,
};

use crate::shop::{Shop, insist, refusal};

/// A shop with an order of 3 of 5 whose time was up.
async fn expired() -> (Shop, OrderId) {
    let shop = Shop::open_with(&[("RESERVATION_TTL", "1")]).await;
    shop.stocked("A", 5).await;
    let order = OrderId::new();
    shop.reserve(order, &[("A", 3)]).await.unwrap();
    shop.settled(order, "expired").await;
    (shop, order)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_past_its_time_is_given_back() {
    let (shop, order) = expired().await;
    assert_eq!(shop.level("A").await, (5, 0, 5));
    let event = shop.bed.event::<StockReleased>(|event| event.order_id == order).await;
    assert!(event.expired && event.lines[0].quantity.get() == 3, "{event:?}");
    assert_eq!(refusal(shop.reserve(order, &[("A", 3)]).await), ReserveRefusal::Settled);
    shop.balances().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_a_batch_expires_and_two_instances_share_the_work() {
    let shop = Shop::open().await;
    shop.stocked("A", 500).await;
    let second = shop.bed.run(svc_catalog::service()).await;
    for _ in 0..130 {
        shop.reserve(OrderId::new(), &[("A", 1)]).await.unwrap();
    }
    shop.time_passes().await;
    let late = OrderId::new();
    shop.reserve(late, &[("A", 1)]).await.unwrap();
    shop.bed.wait_for("130 to expire", async || (shop.level("A").await == (500, 1, 499)).then_some(())).await;
    shop.settled(late, "held").await;
    assert_eq!(shop.number("select count(*) as number from reservation where state = 'expired'").await, 130);
    shop.balances().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_commit_takes_it_again_if_it_is_there() {
    let (shop, order) = expired().await;
    for _ in 0..2 {
        shop.commit(order).await.unwrap();
    }
    shop.bed.event::<StockSold>(|event| event.order_id == order).await;
    assert_eq!(shop.level("A").await, (2, 0, 2));
    shop.balances().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_commit_of_what_is_gone_is_refused_for_good() {
    let (shop, order) = expired().await;
    shop.set("A", 2).await;
    assert_eq!(refusal(shop.commit(order).await), CommitRefusal::OutOfStock);
    assert_eq!(shop.level("A").await, (2, 0, 2), "what is not there is not sold");
    shop.set("A", 100).await;
    assert_eq!(refusal(shop.commit(order).await), CommitRefusal::Released, "its money is on the way back");
    assert_eq!(shop.level("A").await, (100, 0, 100));
    shop.bed.no_event::<StockSold>(|event| event.order_id == order).await;
    shop.balances().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_order_is_not_taken_again() {
    let (shop, order) = expired().await;
    shop.cancel(order).await;
    shop.settled(order, "released").await;
    assert_eq!(refusal(shop.commit(order).await), CommitRefusal::Released);
    assert_eq!(shop.level("A").await, (5, 0, 5));
    let told = shop.bed.events::<StockReleased>(|event| event.order_id == order).await;
    assert_eq!(told.len(), 1, "given back once: {told:?}");
    shop.balances().await;
}

/// The sweep holds the reservation's lock when the commit arrives.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_meets_the_sweep_waits_for_it_and_takes_the_goods_again() {
    let shop = Arc::new(Shop::open().await);
    shop.stocked("A", 5).await;
    let order = OrderId::new();
    shop.reserve(order, &[("A", 3)]).await.unwrap();
    let mut held = shop.hold("A").await;
    shop.time_passes().await;
    let second = shop.bed.run(svc_catalog::service()).await;
    shop.blocked(1).await;
    let committing = tokio::spawn({
        let shop = Arc::clone(&shop);
        async move { insist(&shop.bed, &CommitStock { order_id: order }).await }
    });
    shop.blocked(2).await;
    held.batch_execute("rollback").await.unwrap();
    committing.await.unwrap().unwrap();
    let told = shop.bed.event::<StockReleased>(|event| event.order_id == order).await;
    assert!(told.expired);
    assert_eq!(shop.level("A").await, (2, 0, 2));
    let ledger = "select count(*) as number from movement where kind in ('reservation', 'release', 'sale')";
    assert_eq!(shop.number(ledger).await, 4, "promised, given back, promised again, sold");
    shop.balances().await;
    second.stop().await;
}

/// The commit holds the reservation's lock when the sweep comes: the sweep passes it by.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_meets_a_commit_leaves_it_alone() {
    let shop = Arc::new(Shop::open().await);
    shop.stocked("A", 5).await;
    shop.stocked("B", 5).await;
    let (order, other) = (OrderId::new(), OrderId::new());
    shop.reserve(order, &[("A", 3)]).await.unwrap();
    shop.reserve(other, &[("B", 1)]).await.unwrap();
    let mut held = shop.hold("A").await;
    shop.time_passes().await;
    // Should the running instance's own sweep come first, the goods are taken again: the end is the same.
    let committing = tokio::spawn({
        let shop = Arc::clone(&shop);
        async move { insist(&shop.bed, &CommitStock { order_id: order }).await }
    });
    shop.blocked(1).await;
    let second = shop.bed.run(svc_catalog::service()).await;
    shop.settled(other, "expired").await;
    held.batch_execute("rollback").await.unwrap();
    committing.await.unwrap().unwrap();
    shop.settled(order, "sold").await;
    assert_eq!((shop.level("A").await, shop.level("B").await), ((2, 0, 2), (5, 0, 5)));
    shop.balances().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commits_releases_and_the_sweep_at_once_give_each_order_one_end() {
    let shop = Arc::new(Shop::open().await);
    shop.stocked("A", 90).await;
    shop.stocked("B", 90).await;
    let orders: Vec<OrderId> = (0..90).map(|_| OrderId::new()).collect();
    for order in &orders {
        shop.reserve(*order, &[("B", 1), ("A", 1)]).await.unwrap();
    }
    shop.time_passes().await;
    // Two more sweeps, while two of three orders are being settled.
    let (second, third, settled) =
        tokio::join!(shop.bed.run(svc_catalog::service()), shop.bed.run(svc_catalog::service()), async {
            let mut settling = tokio::task::JoinSet::new();
            for (index, order) in orders.iter().copied().enumerate() {
                let shop = Arc::clone(&shop);
                settling.spawn(async move {
                    match index % 3 {
                        0 => insist(&shop.bed, &CommitStock { order_id: order }).await.is_ok(),
                        1 => {
                            shop.release(order).await;
                            false
                        }
                        _ => false,
                    }
                });
            }
            settling.join_all().await
        });
    assert_eq!(settled.into_iter().filter(|sold| *sold).count(), 30, "there was enough for all of them");
    shop.bed.wait_for("the rest to expire", async || (shop.level("A").await == (60, 0, 60)).then_some(())).await;
    assert_eq!(shop.level("B").await, (60, 0, 60));
    for (state, orders) in [("sold", 30), ("released", 30), ("expired", 30)] {
        let count = format!("select count(*) as number from reservation where state = '{state}'");
        assert_eq!(shop.number(&count).await, orders, "{state}");
    }
    shop.balances().await;
    assert_eq!(shop.deadlocks().await, 0);
    second.stop().await;
    third.stop().await;
}
