//! The job `settle-owed`: it runs when the service starts, and every minute from then on.

use nats::{contracts::catalog::StockSold, types::OrderId};

use crate::shop::Shop;

const SELL: &str = "catalog-sell-reserved";
const OWED: &str = "select count(*) as number from reservation where state = 'expired' and confirmed_at is not null";

/// A shop that owes each of these orders so many of `A` and one `B`, in this order, and has neither.
async fn owing(quantities: &[i64]) -> (Shop, Vec<OrderId>) {
    let shop = Shop::open().await;
    shop.stocked("A", 100).await;
    shop.stocked("B", 100).await;
    let mut orders = Vec::new();
    for quantity in quantities {
        let order = OrderId::new();
        shop.reserve(order, &[("A", *quantity), ("B", 1)]).await.unwrap();
        orders.push(order);
    }
    shop.execute("update reservation set expires_at = now() - interval '1 hour'").await;
    for order in &orders {
        shop.settled(*order, "expired").await;
    }
    shop.set("A", 0).await;
    shop.set("B", 0).await;
    for (order, taken) in orders.iter().zip(1..) {
        shop.confirm(*order).await;
        shop.taken(SELL, taken).await;
    }
    assert_eq!(shop.number(OWED).await, i64::try_from(orders.len()).unwrap());
    (shop, orders)
}

/// Starts the service anew and stops it, so that the job has run once: stopping finishes what has begun.
async fn job_ran(mut shop: Shop) -> Shop {
    shop.running.stop().await;
    shop.running = shop.bed.run(svc_catalog::service()).await;
    // It answers once all of its jobs are on their way.
    shop.level("A").await;
    shop.running.stop().await;
    shop.running = shop.bed.run(svc_catalog::service()).await;
    shop
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_owed_is_sold_when_it_is_there_again() {
    let (shop, orders) = owing(&[3]).await;
    shop.set("A", 10).await;
    let shop = job_ran(shop).await;
    assert_eq!(shop.number(OWED).await, 1, "all of it or nothing: there is no B");
    assert_eq!((shop.level("A").await, shop.level("B").await), ((10, 0, 10), (0, 0, 0)));
    shop.bed.no_event::<StockSold>(|_| true).await;

    shop.set("B", 1).await;
    let shop = job_ran(shop).await;
    shop.settled(orders[0], "sold").await;
    assert_eq!((shop.level("A").await, shop.level("B").await), ((7, 0, 7), (0, 0, 0)));
    let event = shop.bed.event::<StockSold>(|event| event.order_id == orders[0]).await;
    let lines: Vec<_> = event.lines.iter().map(|line| (line.sku.as_str(), line.quantity.get())).collect();
    assert_eq!(lines, [("A", 3), ("B", 1)]);
    let shop = job_ran(shop).await;
    assert_eq!(shop.level("A").await, (7, 0, 7), "sold once");
    shop.balances().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_confirmed_first_comes_first_and_nobody_is_in_the_way() {
    let (shop, orders) = owing(&[50, 2, 2, 1]).await;
    shop.set("B", 10).await;
    shop.set("A", 3).await;
    let shop = job_ran(shop).await;
    shop.settled(orders[1], "sold").await;
    shop.settled(orders[3], "sold").await;
    assert_eq!((shop.number(OWED).await, shop.level("A").await), (2, (0, 0, 0)));
    // Two instances share what comes next.
    shop.set("A", 60).await;
    let second = shop.bed.run(svc_catalog::service()).await;
    let shop = job_ran(shop).await;
    shop.settled(orders[0], "sold").await;
    shop.settled(orders[2], "sold").await;
    assert_eq!((shop.number(OWED).await, shop.level("A").await), (0, (8, 0, 8)));
    shop.balances().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_order_is_owed_nothing() {
    let (shop, orders) = owing(&[3]).await;
    shop.cancel(orders[0]).await;
    shop.settled(orders[0], "released").await;
    shop.set("A", 10).await;
    shop.set("B", 10).await;
    let shop = job_ran(shop).await;
    assert_eq!(shop.level("A").await, (10, 0, 10));
    shop.bed.no_event::<StockSold>(|_| true).await;
    shop.balances().await;
}
