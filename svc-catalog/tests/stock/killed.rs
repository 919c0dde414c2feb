//! The service's own process, killed (-9) while many buy.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use nats::{
    contracts::catalog::{CommitStock, ReserveRefusal},
    types::OrderId,
};
use stack::bed::Bed;

use crate::shop::{Shop, insist, reserve_stock};

const BUYERS: usize = 2_000;
const KILLS: usize = 6;

/// What became of a buyer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Buyer {
    Bought,
    Hesitated,
    SoldOut,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn however_often_it_is_killed_exactly_what_there_was_is_granted() {
    let shop = Shop::open().await;
    shop.stocked("HOT", 500).await;
    let Shop { running, bed, .. } = shop;
    running.stop().await;
    let mut process = bed.spawn(&svc_catalog::service(), &[]).await;
    let (bed, answered) = (Arc::new(bed), Arc::new(AtomicUsize::new(0)));
    let mut buyers = tokio::task::JoinSet::new();
    for index in 0..BUYERS {
        let (bed, answered) = (Arc::clone(&bed), Arc::clone(&answered));
        buyers.spawn(async move {
            let bought = buy(&bed, index).await;
            answered.fetch_add(1, Ordering::Relaxed);
            bought
        });
    }
    // Each time that so many more have their answer: in the midst of the others' questions.
    for kill in 1..=KILLS {
        let enough = BUYERS * kill / (KILLS + 1);
        let asked = || async { (answered.load(Ordering::Relaxed) >= enough).then_some(()) };
        bed.wait_for(&format!("{enough} buyers to have their answer"), asked).await;
        process.kill();
        process.respawn().unwrap();
    }
    let buyers = buyers.join_all().await;
    process.terminate().await;

    let count = |wanted: Buyer| buyers.iter().filter(|buyer| **buyer == wanted).count();
    let (bought, hesitated) = (count(Buyer::Bought), count(Buyer::Hesitated));
    assert_eq!(bought + hesitated, 500, "each unit was granted, and none twice");
    let bed = Arc::into_inner(bed).unwrap();
    let running = bed.run(svc_catalog::service()).await;
    let shop = Shop { running, staff: bed.staff(), nobody: bed.nobody(), bed };
    let (bought, hesitated) = (i64::try_from(bought).unwrap(), i64::try_from(hesitated).unwrap());
    assert_eq!(shop.level("HOT").await, (500 - bought, hesitated, 0));
    // Who hesitated loses it.
    shop.time_passes().await;
    let all_free = (500 - bought, 0, 500 - bought);
    shop.bed.wait_for("the rest to expire", async || (shop.level("HOT").await == all_free).then_some(())).await;
    let expired = shop.number("select count(*) as number from reservation where state = 'expired'").await;
    assert_eq!(bought + expired, 500);
    shop.balances().await;
}

/// Insists on an answer under the same order id; two of three who get a unit pay for it.
async fn buy(bed: &Bed, index: usize) -> Buyer {
    let order = OrderId::new();
    match insist(bed, &reserve_stock(order, &[("HOT", 1)])).await {
        Ok(_) if index.is_multiple_of(3) => Buyer::Hesitated,
        Ok(_) => {
            insist(bed, &CommitStock { order_id: order }).await.expect("what was granted can be had");
            Buyer::Bought
        }
        Err(ReserveRefusal::OutOfStock(_)) => Buyer::SoldOut,
        Err(other) => panic!("{other:?}"),
    }
}
