use std::sync::Arc;

use diesel_async::SimpleAsyncConnection;
use nats::{
    contracts::catalog::{CommitRefusal, ReserveRefusal, StockReleased, StockSold},
    invoke::CallError,
    types::OrderId,
};

use crate::shop::{Shop, canceled, insist, refusal, reserve_stock};

const RELEASE: &str = "catalog-release-canceled";

#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_is_given_back_once_by_call() {
    let shop = Shop::open().await;
    shop.stocked("A", 5).await;
    let order = OrderId::new();
    shop.reserve(order, &[("A", 3)]).await.unwrap();
    for _ in 0..3 {
        shop.release(order).await;
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
    shop.release(order).await;
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
    shop.commit(order).await.unwrap();
    shop.release(order).await;
    assert_eq!(shop.level("A").await, (2, 0, 2));
    shop.bed.no_event::<StockReleased>(|event| event.order_id == order).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_after_the_sale_brings_the_goods_back_once() {
    let shop = Shop::open().await;
    shop.stocked("A", 5).await;
    let order = OrderId::new();
    shop.reserve(order, &[("A", 3)]).await.unwrap();
    shop.commit(order).await.unwrap();
    shop.bed.publish_twice(&canceled(order)).await;
    shop.cancel(order).await;
    shop.taken(RELEASE, 2).await;
    assert_eq!(shop.level("A").await, (5, 0, 5));
    assert_eq!(shop.number("select count(*) as number from movement where kind = 'return'").await, 1);
    shop.bed.event::<StockReleased>(|event| event.order_id == order).await;
    assert_eq!(refusal(shop.commit(order).await), CommitRefusal::Released);
    shop.balances().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_that_overtakes_the_sale_leaves_nothing_to_sell() {
    let shop = Shop::open().await;
    shop.stocked("A", 5).await;
    let order = OrderId::new();
    shop.reserve(order, &[("A", 3)]).await.unwrap();
    shop.cancel(order).await;
    shop.settled(order, "released").await;
    assert_eq!(refusal(shop.commit(order).await), CommitRefusal::Released);
    assert_eq!(shop.level("A").await, (5, 0, 5));
    shop.bed.no_event::<StockSold>(|event| event.order_id == order).await;
    shop.balances().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sales_and_cancels_at_once_leave_everything_back() {
    let shop = Shop::open().await;
    shop.stocked("A", 100).await;
    let second = shop.bed.run(svc_catalog::service()).await;
    let orders: Vec<OrderId> = (0..15).map(|_| OrderId::new()).collect();
    for order in &orders {
        shop.reserve(*order, &[("A", 2)]).await.unwrap();
    }
    for order in &orders {
        let (sold, ()) = tokio::join!(shop.commit(*order), shop.cancel(*order));
        assert!(matches!(sold, Ok(_) | Err(CallError::Refused(CommitRefusal::Released))), "{sold:?}");
    }
    shop.taken(RELEASE, 15).await;
    assert_eq!(shop.level("A").await, (100, 0, 100), "a canceled order keeps nothing, whichever came first");
    shop.balances().await;
    second.stop().await;
}

/// A release of an order that has no reservation, and its reservation, at the same moment: one of them is first, and the
/// other finds it, with many orders in each batch.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn releases_that_cross_their_reservations_leave_nothing_held() {
    let shop = Arc::new(Shop::open().await);
    shop.stocked("A", 1000).await;
    shop.stocked("B", 1000).await;
    let second = shop.bed.run(svc_catalog::service()).await;
    let mut crossing = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (shop, order) = (Arc::clone(&shop), OrderId::new());
        crossing.spawn(async move {
            let question = reserve_stock(order, &[("B", 1), ("A", 1)]);
            let asking = async {
                match insist(&shop.bed, &question).await {
                    Ok(_) | Err(ReserveRefusal::Settled) => {}
                    Err(other) => panic!("there is enough: {other:?}"),
                }
            };
            tokio::join!(asking, shop.release(order));
        });
    }
    crossing.join_all().await;
    assert_eq!((shop.level("A").await, shop.level("B").await), ((1000, 0, 1000), (1000, 0, 1000)));
    assert_eq!(shop.number("select count(*) as number from reservation where state <> 'released'").await, 0);
    shop.balances().await;
    assert_eq!(shop.deadlocks().await, 0);
    second.stop().await;
}

/// A batch with an order that is held and one that has no reservation, while the latter is being reserved: were the order
/// settled before stock is locked, each would wait for the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_batch_of_releases_waits_for_nobody_who_waits_for_it() {
    let shop = Arc::new(Shop::open().await);
    shop.stocked("A", 10).await;
    shop.stocked("B", 10).await;
    let [first, second, held, crossing] = std::array::from_fn(|_| OrderId::new());
    for (order, sku) in [(first, "B"), (second, "A"), (held, "A")] {
        shop.reserve(order, &[(sku, 1)]).await.unwrap();
    }
    let (mut a, mut b) = (shop.hold("A").await, shop.hold("B").await);
    let mut asking = tokio::task::JoinSet::new();
    let release = |order| {
        let shop = Arc::clone(&shop);
        async move { shop.release(order).await }
    };
    // Both workers are busy, so that the next two go together.
    asking.spawn(release(first));
    asking.spawn(release(second));
    shop.blocked(2).await;
    asking.spawn(release(held));
    asking.spawn(release(crossing));
    let reserving = tokio::spawn({
        let shop = Arc::clone(&shop);
        async move { shop.reserve(crossing, &[("A", 1)]).await }
    });
    shop.blocked(3).await;
    b.batch_execute("rollback").await.unwrap();
    shop.settled(first, "released").await;
    shop.blocked(3).await;
    a.batch_execute("rollback").await.unwrap();
    asking.join_all().await;
    // Whichever of the two was first: the order ends without stock.
    let reserved = reserving.await.unwrap();
    assert!(matches!(reserved, Ok(_) | Err(CallError::Refused(ReserveRefusal::Settled))), "{reserved:?}");
    assert_eq!((shop.level("A").await, shop.level("B").await), ((10, 0, 10), (10, 0, 10)));
    shop.balances().await;
    assert_eq!(shop.deadlocks().await, 0);
}
