use nats::{
    contracts::catalog::{ReserveRefusal, StockReleased, StockSold},
    types::OrderId,
};

use crate::shop::{Shop, refusal};

const SELL: &str = "catalog-sell-reserved";

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
    let late = OrderId::new();
    shop.reserve(late, &[("A", 1)]).await.unwrap();
    shop.execute(&format!(
        "update reservation set expires_at = now() - interval '1 hour' where order_id <> '{}'",
        late.uuid()
    ))
    .await;
    shop.bed.wait_for("130 to expire", async || (shop.level("A").await == (500, 1, 499)).then_some(())).await;
    shop.settled(late, "held").await;
    assert_eq!(shop.number("select count(*) as number from reservation where state = 'expired'").await, 130);
    shop.balances().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_confirmation_takes_it_again_if_it_is_there() {
    let (shop, order) = expired().await;
    shop.confirm(order).await;
    shop.bed.event::<StockSold>(|event| event.order_id == order).await;
    assert_eq!(shop.level("A").await, (2, 0, 2));
    shop.balances().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_confirmation_of_what_is_gone_is_written_down_as_owed() {
    let (shop, order) = expired().await;
    shop.set("A", 2).await;
    shop.confirm(order).await;
    shop.taken(SELL, 1).await;
    assert_eq!(shop.level("A").await, (2, 0, 2), "what is not there is not sold");
    let owed = "select count(*) as number from reservation where state = 'expired' and confirmed_at is not null";
    assert_eq!(shop.number(owed).await, 1);
    shop.bed.no_event::<StockSold>(|event| event.order_id == order).await;
    shop.balances().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_order_is_not_taken_again() {
    let (shop, order) = expired().await;
    shop.cancel(order).await;
    shop.settled(order, "released").await;
    shop.confirm(order).await;
    shop.taken(SELL, 1).await;
    assert_eq!(shop.level("A").await, (5, 0, 5));
    let told = shop.bed.events::<StockReleased>(|event| event.order_id == order).await;
    assert_eq!(told.len(), 1, "given back once: {told:?}");
    shop.balances().await;
}
