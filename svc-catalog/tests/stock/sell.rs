use nats::{
    contracts::catalog::{ReserveRefusal, StockReleased, StockSold},
    types::OrderId,
};

use crate::shop::{Shop, confirmed, refusal};

const SELL: &str = "catalog-sell-reserved";
const RELEASE: &str = "catalog-release-canceled";

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_order_is_sold_once() {
    let shop = Shop::open().await;
    shop.stocked("A", 5).await;
    shop.stocked("B", 5).await;
    let order = OrderId::new();
    shop.reserve(order, &[("B", 1), ("A", 3)]).await.unwrap();
    shop.bed.publish_twice(&confirmed(order)).await;
    shop.confirm(order).await;
    shop.taken(SELL, 2).await;
    assert_eq!((shop.level("A").await, shop.level("B").await), ((2, 0, 2), (4, 0, 4)));
    let event = shop.bed.event::<StockSold>(|event| event.order_id == order).await;
    let lines: Vec<_> = event.lines.iter().map(|line| (line.sku.as_str(), line.quantity.get())).collect();
    assert_eq!(lines, [("A", 3), ("B", 1)]);
    assert_eq!(refusal(shop.reserve(order, &[("B", 1), ("A", 3)]).await), ReserveRefusal::Settled);
    shop.balances().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_confirmed_while_we_were_away_is_sold_when_we_are_back() {
    let mut shop = Shop::open().await;
    shop.stocked("A", 5).await;
    let order = OrderId::new();
    shop.reserve(order, &[("A", 3)]).await.unwrap();
    shop.running.stop().await;
    shop.bed.publish(&confirmed(order)).await;
    shop.running = shop.bed.run(svc_catalog::service()).await;
    shop.settled(order, "sold").await;
    assert_eq!(shop.level("A").await, (2, 0, 2));
    shop.balances().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_after_the_sale_brings_the_goods_back() {
    let shop = Shop::open().await;
    shop.stocked("A", 5).await;
    let order = OrderId::new();
    shop.reserve(order, &[("A", 3)]).await.unwrap();
    shop.confirm(order).await;
    shop.settled(order, "sold").await;
    shop.cancel(order).await;
    shop.settled(order, "released").await;
    assert_eq!(shop.level("A").await, (5, 0, 5));
    shop.bed.event::<StockReleased>(|event| event.order_id == order).await;
    shop.balances().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_that_overtakes_the_confirmation_ends_the_same() {
    let shop = Shop::open().await;
    shop.stocked("A", 5).await;
    let order = OrderId::new();
    shop.reserve(order, &[("A", 3)]).await.unwrap();
    shop.cancel(order).await;
    shop.settled(order, "released").await;
    shop.confirm(order).await;
    shop.taken(SELL, 1).await;
    assert_eq!(shop.level("A").await, (5, 0, 5));
    shop.bed.no_event::<StockSold>(|event| event.order_id == order).await;
    shop.balances().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn confirmations_and_cancels_at_once_leave_everything_back() {
    let shop = Shop::open().await;
    shop.stocked("A", 100).await;
    let second = shop.bed.run(svc_catalog::service()).await;
    let orders: Vec<OrderId> = (0..15).map(|_| OrderId::new()).collect();
    for order in &orders {
        shop.reserve(*order, &[("A", 2)]).await.unwrap();
    }
    for order in &orders {
        tokio::join!(shop.confirm(*order), shop.cancel(*order));
    }
    shop.taken(SELL, 15).await;
    shop.taken(RELEASE, 15).await;
    assert_eq!(shop.level("A").await, (100, 0, 100), "a canceled order keeps nothing, whichever came first");
    shop.balances().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_without_a_reservation_is_dead() {
    let shop = Shop::open().await;
    let order = OrderId::new();
    shop.confirm(order).await;
    let letters = shop
        .bed
        .wait_for("a dead letter", async || Some(shop.bed.dead_letters().await).filter(|all| !all.is_empty()))
        .await;
    assert!(letters[0].1.contains("never had a reservation"), "{letters:?}");
}
