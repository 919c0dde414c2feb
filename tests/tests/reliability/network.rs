//! The network between services and NATS or PostgreSQL is slow, breaks, or goes silent.

use std::time::{Duration, Instant};

use stack::{
    proxy::Toxic,
    system::{SERVICES, Upstream},
};

use super::{fragile, load::Load};
use crate::shop::Shop;

const BUYERS: u32 = 3;
const SLOW: Toxic = Toxic::Latency { delay: Duration::from_millis(200), jitter: Duration::from_millis(100) };
/// There and back it is 50 ms.
const A_LITTLE_SLOW: Toxic = Toxic::Latency { delay: Duration::from_millis(25), jitter: Duration::from_millis(5) };
const BREAKING: Toxic = Toxic::Resets { probability: 0.01 };

/// The memory that each service holds.
fn memory(shop: &Shop) -> Vec<(&'static str, u64)> {
    SERVICES.map(|name| (name, shop.system.process(name).unwrap().memory())).to_vec()
}

/// Load while a fault lasts and after it is over; everything has to arrive, and nobody may have grown by much.
async fn survives(upstream: Upstream, toxic: Toxic, orders_meanwhile: u32) {
    let shop = fragile().await.lock().await;
    let load = Load::start(&shop, BUYERS).await;
    load.goes_on(6).await;
    let before = memory(&shop);

    shop.system.poison_all(upstream, toxic).unwrap();
    load.goes_on(orders_meanwhile).await;
    shop.system.heal();

    load.goes_on(6).await;
    let orders = load.finish().await;
    let healed = Instant::now();
    orders.all_arrive(&shop).await;
    println!("{upstream:?} {toxic:?}: everything had arrived {:?} later; {} repeats", healed.elapsed(), orders.repeats);
    for ((name, before), (_, after)) in before.into_iter().zip(memory(&shop)) {
        // A fifth, and what a process takes at first for what it has not done before.
        assert!(after < before + before / 5 + (16 << 20), "svc-{name} has grown from {before} to {after} bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_arrive_over_a_slow_network_to_nats() {
    survives(Upstream::Nats, SLOW, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_arrive_though_connections_to_nats_break() {
    survives(Upstream::Nats, BREAKING, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_arrive_over_a_slow_network_to_postgres() {
    survives(Upstream::Postgres, A_LITTLE_SLOW, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_arrive_though_connections_to_postgres_break() {
    survives(Upstream::Postgres, BREAKING, 6).await;
}

/// Half-open: the service's connection stands, and nothing passes. What it answers meanwhile is bounded, and it comes back by
/// itself.
async fn comes_back_from_silence(service: &str, upstream: Upstream) {
    let shop = fragile().await.lock().await;
    let load = Load::start(&shop, BUYERS).await;

    shop.system.poison(service, upstream, Toxic::Hang).unwrap();
    let started = Instant::now();
    let answer = shop.demo("STAFF").await.try_get("/v1/orders").await.unwrap();
    let bounded = started.elapsed();
    shop.system.heal();

    assert!(matches!(answer.status, 503 | 504), "a request that needs it is told so: {answer}");
    assert!(bounded < Duration::from_secs(20), "and within its deadline, not after {bounded:?}");
    load.goes_on(6).await;
    load.finish().await.all_arrive(&shop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn svc_order_comes_back_from_a_silent_nats() {
    comes_back_from_silence("order", Upstream::Nats).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn svc_order_comes_back_from_a_silent_postgres() {
    comes_back_from_silence("order", Upstream::Postgres).await;
}
