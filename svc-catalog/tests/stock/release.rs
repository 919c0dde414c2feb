use nats::{
    contracts::catalog::{ReleaseStock, ReserveRefusal, StockReleased},
    types::OrderId,
};

use crate::shop::{Shop, canceled, refusal};

#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_is_given_back_once_by_call() {
    let shop = Shop::open().await;
    shop.stocked("A", 5).await;
    let order = OrderId::new();
    shop.reserve(order, &[("A", 3)]).await.unwrap();
    for _ in 0..3 {
        shop.bed.call(&ReleaseStock { order_id: order }).await.unwrap();
    }
    assert_eq!(shop.level("A").await, (5, 0, 5));
    let event = shop.bed.event::<StockReleased>(|event| event.order_id == order).await;
    assert!(!event.expired && event.lines[0].sku.as_str() == "A" && event.lines[0].quantity.get() == 3, "{event:?}");
    shop.balances().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn releasing_what_was_never_reserved_is_harmless_and_final() {
    let shop = Shop::open().await;
    shop.stocked("A", 5).await;
    let order = OrderId::new();
    shop.bed.call(&ReleaseStock { order_id: order }).await.unwrap();
    assert_eq!(
        refusal(shop.reserve(order, &[("A", 1)]).await),
        ReserveRefusal::Settled,
        "the release overtook the question"
    );
    assert_eq!(shop.level("A").await, (5, 0, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_order_gives_its_stock_back_once() {
    let shop = Shop::open().await;
    shop.stocked("A", 5).await;
    let order = OrderId::new();
    shop.reserve(order, &[("A", 3)]).await.unwrap();
    shop.bed.publish_twice(&canceled(order)).await;
    shop.cancel(order).await;
    shop.taken("catalog-release-canceled", 2).await;
    assert_eq!(shop.level("A").await, (5, 0, 5));
    assert_eq!(shop.number("select count(*) as number from movement where kind = 'release'").await, 1);
    shop.bed.event::<StockReleased>(|event| event.order_id == order && !event.expired).await;
    shop.balances().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_does_not_give_back_what_is_sold() {
    let shop = Shop::open().await;
    shop.stocked("A", 5).await;
    let order = OrderId::new();
    shop.reserve(order, &[("A", 3)]).await.unwrap();
    shop.confirm(order).await;
    shop.settled(order, "sold").await;
    shop.bed.call(&ReleaseStock { order_id: order }).await.unwrap();
    assert_eq!(shop.level("A").await, (2, 0, 2));
    shop.bed.no_event::<StockReleased>(|event| event.order_id == order).await;
}
