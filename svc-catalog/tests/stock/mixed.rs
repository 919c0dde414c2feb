use std::sync::Arc;

use nats::{contracts::catalog::CommitStock, types::OrderId};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRng, TestRunner},
};

use crate::shop::{Shop, insist, reserve_stock};

const SKUS: usize = 50;
const ON_HAND: i32 = 15;
const WRITERS: usize = 16;
const CARTS: usize = 25;

/// What a writer does with the reservation it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Keep,
    Release,
    Commit,
    Cancel,
}

type Cart = (Vec<(usize, i64)>, Then);

/// Carts of 1 to 5 different SKUs in any order. The seed is printed, so that a failure can be repeated.
fn carts() -> Vec<Vec<Cart>> {
    let seed: [u8; 32] = std::env::var("SEED").map_or_else(
        |_| {
            let (one, other) = (OrderId::new().uuid().into_bytes(), OrderId::new().uuid().into_bytes());
            std::array::from_fn(|index| if index < 16 { one[index] } else { other[index - 16] })
        },
        |hex| std::array::from_fn(|index| u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).unwrap()),
    );
    eprintln!("SEED={}", seed.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let all: Vec<usize> = (0..SKUS).collect();
    let skus = prop::sample::subsequence(all, 1..=5).prop_shuffle();
    let lines = skus.prop_flat_map(|skus| skus.into_iter().map(|sku| (Just(sku), 1_i64..=3)).collect::<Vec<_>>());
    let then =
        prop_oneof![3 => Just(Then::Keep), 1 => Just(Then::Release), 1 => Just(Then::Commit), 1 => Just(Then::Cancel)];
    let strategy = prop::collection::vec(prop::collection::vec((lines, then), CARTS), WRITERS);
    let rng = TestRng::from_seed(prop::test_runner::RngAlgorithm::ChaCha, &seed);
    strategy.new_tree(&mut TestRunner::new_with_rng(Config::default(), rng)).unwrap().current()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn carts_in_any_order_until_little_is_left_neither_deadlock_nor_lose_a_piece() {
    let shop = Arc::new(Shop::open().await);
    let skus: Vec<String> = (0..SKUS).map(|index| format!("S{index}")).collect();
    shop.product(&skus.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for sku in &skus {
        shop.set(sku, ON_HAND).await;
    }
    let second = shop.bed.run(svc_catalog::service()).await;
    let mut writers = tokio::task::JoinSet::new();
    for carts in carts() {
        let (shop, skus) = (Arc::clone(&shop), skus.clone());
        writers.spawn(async move { write(&shop, &skus, carts).await });
    }
    let granted: Vec<Cart> = writers.join_all().await.into_iter().flatten().collect();
    let ended = |wanted: Then| granted.iter().filter(move |(_, then)| *then == wanted);
    shop.taken("catalog-release-canceled", i64::try_from(ended(Then::Cancel).count()).unwrap()).await;
    let on_hand = i64::from(ON_HAND);
    for (index, sku) in skus.iter().enumerate() {
        let pieces = |wanted| -> i64 {
            ended(wanted).flat_map(|(lines, _)| lines).filter(|line| line.0 == index).map(|line| line.1).sum()
        };
        let (held, sold) = (pieces(Then::Keep), pieces(Then::Commit));
        assert_eq!(
            shop.level(sku).await,
            (on_hand - sold, held, on_hand - sold - held),
            "{sku}: what was granted, and nothing else"
        );
    }
    assert!(granted.len() < WRITERS * CARTS, "some found too little left");
    shop.balances().await;
    assert_eq!(shop.deadlocks().await, 0);
    second.stop().await;
}

async fn write(shop: &Shop, skus: &[String], carts: Vec<Cart>) -> Vec<Cart> {
    let mut granted = Vec::new();
    for (lines, then) in carts {
        let order = OrderId::new();
        let named: Vec<(&str, i64)> = lines.iter().map(|(sku, quantity)| (skus[*sku].as_str(), *quantity)).collect();
        if insist(&shop.bed, &reserve_stock(order, &named)).await.is_err() {
            continue;
        }
        match then {
            Then::Keep => {}
            Then::Release => shop.release(order).await,
            Then::Commit => drop(insist(&shop.bed, &CommitStock { order_id: order }).await.unwrap()),
            Then::Cancel => shop.cancel(order).await,
        }
        granted.push((lines, then));
    }
    granted
}
