use diesel_async::SimpleAsyncConnection;
use nats::{
    contracts::catalog::{AuditReservations, AuditedReservation},
    types::OrderId,
};

use crate::shop::Shop;

/// A shop in which each kind of thing has happened.
async fn lived_in() -> (Shop, Vec<(OrderId, &'static str, i64)>) {
    let shop = Shop::open().await;
    shop.stocked("A", 50).await;
    shop.stocked("B", 50).await;
    let orders: Vec<OrderId> = (0..5).map(|_| OrderId::new()).collect();
    for order in &orders[..4] {
        shop.reserve(*order, &[("B", 1), ("A", 2)]).await.unwrap();
    }
    shop.commit(orders[0]).await.unwrap();
    shop.commit(orders[1]).await.unwrap();
    shop.cancel(orders[1]).await;
    shop.settled(orders[1], "released").await;
    shop.execute(&format!(
        "update reservation set expires_at = now() - interval '1 minute' where order_id = '{}'",
        orders[2].uuid()
    ))
    .await;
    shop.settled(orders[2], "expired").await;
    shop.release(orders[4]).await;
    let ends = ["sold", "released", "expired", "held", "released"];
    let mut all: Vec<_> =
        orders.into_iter().zip(ends).zip([3, 3, 3, 3, 0]).map(|((order, end), pieces)| (order, end, pieces)).collect();
    all.sort_by_key(|(order, ..)| *order);
    (shop, all)
}

#[tokio::test(flavor = "multi_thread")]
async fn reservations_are_told_page_by_page() {
    let (shop, orders) = lived_in().await;
    let mut told: Vec<AuditedReservation> = Vec::new();
    loop {
        let after = told.last().map(|last| last.order_id);
        let page = shop.bed.call(&AuditReservations { after, limit: 2 }).await.unwrap().reservations;
        assert!(page.len() <= 2);
        if page.is_empty() {
            break;
        }
        told.extend(page);
    }
    let told: Vec<_> = told.iter().map(|one| (one.order_id, one.state.as_str(), one.pieces)).collect();
    assert_eq!(told, orders);
    assert_eq!(shop.bed.call(&AuditReservations { after: None, limit: 0 }).await.unwrap().reservations.len(), 1);
    shop.balances().await;
}

/// Breaks what the database itself keeps from breaking, one thing at a time, and looks for the one who notices.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_is_found() {
    const ON_HAND: &str = "on hand is receipts, adjustments and returns less sales, SKU by SKU";
    const RESERVED: &str = "reserved is reservations less releases and sales, and what orders hold, SKU by SKU";
    const NEGATIVE: &str = "no level is negative";
    const ORDERS: &str = "each order's movements are what its reservation says, with one sale per sold line";
    let (shop, orders) = lived_in().await;
    let of = |state: &str| {
        let (order, ..) = orders.iter().find(|(_, end, pieces)| *end == state && *pieces > 0).unwrap();
        format!("where order_id = '{}'", order.uuid())
    };
    let (sold, held, released) = (of("sold"), of("held"), of("released"));
    shop.execute("alter table movement disable trigger user").await;
    shop.execute("alter table reservation disable trigger user").await;
    shop.execute("alter table stock drop constraint stock_not_oversold").await;
    for (broken, mended, noticed) in [
        (
            "update stock set on_hand = on_hand + 1 where sku = 'A'".to_owned(),
            "update stock set on_hand = on_hand - 1 where sku = 'A'".to_owned(),
            vec![ON_HAND],
        ),
        (
            "update stock set reserved = reserved + 1 where sku = 'A'".to_owned(),
            "update stock set reserved = reserved - 1 where sku = 'A'".to_owned(),
            vec![RESERVED],
        ),
        (
            "update stock set reserved = reserved + 1000 where sku = 'A'".to_owned(),
            "update stock set reserved = reserved - 1000 where sku = 'A'".to_owned(),
            vec![RESERVED, NEGATIVE],
        ),
        (
            "update movement set quantity = quantity + 1 where kind = 'adjustment' and sku = 'B'".to_owned(),
            "update movement set quantity = quantity - 1 where kind = 'adjustment' and sku = 'B'".to_owned(),
            vec![ON_HAND],
        ),
        (
            format!("update movement set kind = 'release' {sold} and kind = 'sale' and sku = 'A'"),
            format!("update movement set kind = 'sale' {sold} and kind = 'release' and sku = 'A'"),
            vec![ON_HAND, ORDERS],
        ),
        (
            format!("update reservation set state = 'sold' {held}"),
            format!("update reservation set state = 'held' {held}"),
            vec![RESERVED, ORDERS],
        ),
        (
            format!("update reservation set state = 'released' {sold}"),
            format!("update reservation set state = 'sold' {sold}"),
            vec![ORDERS],
        ),
        (
            format!("update reservation set state = 'sold' {released}"),
            format!("update reservation set state = 'released' {released}"),
            vec![ORDERS],
        ),
    ] {
        shop.execute(&broken).await;
        assert_eq!(names(&shop).await, noticed, "{broken}");
        shop.execute(&mended).await;
        shop.balances().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_that_the_sweep_does_not_get_to_is_found() {
    let (shop, _) = lived_in().await;
    // What the sweep waits for keeps it from making an end.
    let mut busy = shop.hold("A").await;
    shop.execute("update reservation set expires_at = now() - interval '2 minutes' where state = 'held'").await;
    assert_eq!(names(&shop).await, ["no reservation is held a minute after its time"]);
    busy.batch_execute("rollback").await.unwrap();
    shop.bed.wait_for("the sweep", async || names(&shop).await.is_empty().then_some(())).await;
    shop.balances().await;
}

/// The invariants that do not hold.
async fn names(shop: &Shop) -> Vec<String> {
    shop.bed.broken_invariants("catalog").await.into_iter().map(|check| check.invariant).collect()
}
