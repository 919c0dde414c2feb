use std::sync::Arc;

use nats::{contracts::catalog::ReserveRefusal, types::OrderId};

use crate::shop::{Shop, insist, reserve_stock};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_of_a_hot_sku_go_to_fifty_of_two_hundred_buyers() {
    let shop = Arc::new(Shop::open().await);
    shop.stocked("HOT", 50).await;
    let second = shop.bed.run(svc_catalog::service()).await;
    let mut buyers = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let shop = Arc::clone(&shop);
        buyers.spawn(async move { insist(&shop.bed, &reserve_stock(OrderId::new(), &[("HOT", 1)])).await });
    }
    let (granted, refused): (Vec<_>, Vec<_>) = buyers.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!((granted.len(), refused.len()), (50, 150));
    for refusal in refused {
        assert!(matches!(&refusal, Err(ReserveRefusal::OutOfStock(short)) if short[0].available == 0), "{refusal:?}");
    }
    assert_eq!(shop.level("HOT").await, (50, 50, 0));
    assert_eq!(shop.number("select count(*) as number from reservation where state = 'held'").await, 50);
    shop.balances().await;
    second.stop().await;
}
