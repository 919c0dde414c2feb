use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use nats::{contracts::catalog::ReserveRefusal, types::OrderId};

use crate::shop::{Shop, insist, reserve_stock};

const BUYERS: usize = 2_000;
const UNITS: i32 = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn five_hundred_of_a_hot_sku_go_to_five_hundred_of_two_thousand_buyers() {
    let shop = Arc::new(Shop::open().await);
    shop.stocked("HOT", UNITS).await;
    let second = shop.bed.run(svc_catalog::service()).await;
    let answered = Arc::new(AtomicBool::new(false));
    let watching = tokio::spawn(watch(Arc::clone(&shop), Arc::clone(&answered)));
    let mut buyers = tokio::task::JoinSet::new();
    for _ in 0..BUYERS {
        let shop = Arc::clone(&shop);
        buyers.spawn(async move { insist(&shop.bed, &reserve_stock(OrderId::new(), &[("HOT", 1)])).await });
    }
    let (granted, refused): (Vec<_>, Vec<_>) = buyers.join_all().await.into_iter().partition(Result::is_ok);
    answered.store(true, Ordering::Relaxed);
    let looks = watching.await.unwrap();
    assert_eq!((granted.len(), refused.len()), (500, 1500), "seen {looks} times");
    for refusal in refused {
        let sold_out = matches!(&refusal, Err(ReserveRefusal::OutOfStock(short)) if short[0].available == 0);
        assert!(sold_out, "nobody is told so while there is one left: {refusal:?}");
    }
    assert_eq!(shop.level("HOT").await, (500, 500, 0));
    assert_eq!(shop.number("select count(*) as number from reservation where state = 'held'").await, 500);
    let transactions = shop.number("select count(distinct xmin::text) as number from reservation").await;
    assert!(transactions <= 250, "500 reservations took {transactions} transactions: they were not made together");
    shop.balances().await;
    second.stop().await;
}

/// Looks at the level again and again until all have their answer: it only falls, and never below nothing. How often it looked.
async fn watch(shop: Arc<Shop>, answered: Arc<AtomicBool>) -> usize {
    let (mut looks, mut before) = (0, i64::from(UNITS));
    while !answered.load(Ordering::Relaxed) {
        let (on_hand, reserved, available) = shop.level("HOT").await;
        assert_eq!((on_hand, on_hand - reserved), (500, available));
        assert!((0..=before).contains(&available), "{before}, then {available}");
        (looks, before) = (looks + 1, available);
    }
    looks
}
