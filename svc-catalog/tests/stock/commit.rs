use std::sync::Arc;

use nats::{
    contracts::catalog::{CommitRefusal, CommitStock, ReserveRefusal, StockSold},
    types::OrderId,
};

use crate::shop::{Shop, insist, refusal};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_is_sold_once_however_often_it_is_asked_for() {
    let shop = Shop::open().await;
    shop.stocked("A", 5).await;
    shop.stocked("B", 5).await;
    let order = OrderId::new();
    shop.reserve(order, &[("B", 1), ("A", 3)]).await.unwrap();
    for _ in 0..3 {
        shop.commit(order).await.unwrap();
    }
    assert_eq!((shop.level("A").await, shop.level("B").await), ((2, 0, 2), (4, 0, 4)));
    let event = shop.bed.event::<StockSold>(|event| event.order_id == order).await;
    let lines: Vec<_> = event.lines.iter().map(|line| (line.sku.as_str(), line.quantity.get())).collect();
    assert_eq!(lines, [("A", 3), ("B", 1)]);
    assert_eq!(shop.bed.events::<StockSold>(|_| true).await.len(), 1, "told once");
    assert_eq!(refusal(shop.reserve(order, &[("B", 1), ("A", 3)]).await), ReserveRefusal::Settled);
    shop.balances().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_askers_at_once_sell_it_once() {
    let shop = Arc::new(Shop::open().await);
    shop.stocked("A", 5).await;
    let second = shop.bed.run(svc_catalog::service()).await;
    let order = OrderId::new();
    shop.reserve(order, &[("A", 3)]).await.unwrap();
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let shop = Arc::clone(&shop);
        asking.spawn(async move { insist(&shop.bed, &CommitStock { order_id: order }).await });
    }
    assert!(asking.join_all().await.into_iter().all(|answer| answer.is_ok()), "all get the same answer");
    assert_eq!(shop.level("A").await, (2, 0, 2));
    assert_eq!(shop.number("select count(*) as number from movement where kind = 'sale'").await, 1);
    shop.balances().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_released_or_never_reserved_is_not_sold_and_stays_so() {
    let shop = Shop::open().await;
    shop.stocked("A", 5).await;
    let (released, unknown) = (OrderId::new(), OrderId::new());
    shop.reserve(released, &[("A", 3)]).await.unwrap();
    shop.release(released).await;
    for order in [released, unknown, released, unknown] {
        assert_eq!(refusal(shop.commit(order).await), CommitRefusal::Released);
    }
    assert_eq!(refusal(shop.reserve(unknown, &[("A", 1)]).await), ReserveRefusal::Settled, "the answer was final");
    assert_eq!(shop.level("A").await, (5, 0, 5));
    shop.bed.no_event::<StockSold>(|_| true).await;
    shop.balances().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sales_that_wait_together_are_made_together() {
    let shop = Arc::new(Shop::open().await);
    shop.stocked("A", 1000).await;
    let orders: Vec<OrderId> = (0..200).map(|_| OrderId::new()).collect();
    for order in &orders {
        shop.reserve(*order, &[("A", 1)]).await.unwrap();
    }
    let mut held = shop.hold("A").await;
    let mut asking = tokio::task::JoinSet::new();
    for order in orders {
        let shop = Arc::clone(&shop);
        asking.spawn(async move { insist(&shop.bed, &CommitStock { order_id: order }).await });
    }
    shop.blocked(2).await;
    diesel_async::SimpleAsyncConnection::batch_execute(&mut held, "rollback").await.unwrap();
    assert!(asking.join_all().await.into_iter().all(|answer| answer.is_ok()));
    let transactions = "select count(distinct xmin::text) as number from movement where kind = 'sale'";
    let transactions = shop.number(transactions).await;
    assert!(transactions <= 50, "200 sales took {transactions} transactions");
    assert_eq!(shop.level("A").await, (800, 0, 800));
    shop.balances().await;
}
