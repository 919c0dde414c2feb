//! PostgreSQL and Redis die or hang under load.

use std::time::Duration;

use super::{fragile, load::Load};

const BUYERS: u32 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_survives_the_crash_of_postgres() {
    let mut shop = fragile().await.lock().await;
    let load = Load::start(&shop, BUYERS).await;
    load.goes_on(6).await;

    shop.system.crash_postgres().unwrap();
    let accepted = load.accepted();
    let ines = shop.nobody();
    let refused = ines.try_get("/v1/products").await;
    let took = shop.system.restart_postgres().await.unwrap();
    let back = std::time::Instant::now();
    load.goes_on(1).await;
    let first = back.elapsed();

    // What was on its way back at the moment of the crash may still arrive; nothing can be accepted after it.
    assert!(refused.is_err() || refused.is_ok_and(|answer| answer.status != 201));
    assert!(load.accepted() > accepted);
    assert!(first < Duration::from_secs(10), "no order for {first:?} after PostgreSQL was back");
    load.goes_on(6).await;
    load.finish().await.all_arrive(&shop).await;
    println!("PostgreSQL recovered in {took:?}; the first order was accepted {first:?} later");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_hangs_is_waited_out() {
    let shop = fragile().await.lock().await;
    let load = Load::start(&shop, BUYERS).await;

    shop.system.postgres.pause().unwrap();
    let started = std::time::Instant::now();
    // A level is never answered from memory, as lists of products are.
    let answer = shop.nobody().try_get("/v1/stock/LAMP-1").await.unwrap();
    let bounded = started.elapsed();
    shop.system.postgres.resume().unwrap();

    assert!(matches!(answer.status, 503 | 504), "a request that needs it is told so: {answer}");
    assert!(bounded < Duration::from_secs(20), "and within its deadline, not after {bounded:?}");
    load.goes_on(6).await;
    load.finish().await.all_arrive(&shop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_death_of_redis_changes_nothing_that_counts() {
    let mut shop = fragile().await.lock().await;
    let load = Load::start(&shop, BUYERS).await;

    shop.system.kill_redis();
    load.goes_on(6).await;
    shop.system.restart_redis().await.unwrap();

    load.goes_on(6).await;
    load.finish().await.all_arrive(&shop).await;
}
