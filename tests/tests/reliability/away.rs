//! A service that is away is missed as little as possible: what anyone may read of the catalogue is told from memory.

use std::time::{Duration, Instant};

use serde_json::json;

use super::fragile;
use crate::shop::{Answer, Shop};

/// What visitors of the shop look at.
async fn pages(shop: &Shop) -> Vec<String> {
    let product = shop.nobody().get("/v1/products?limit=1").await.text("/data/0/id");
    let category = shop.nobody().get("/v1/categories").await.text("/data/0/slug");
    vec![
        "/v1/products".to_owned(),
        "/v1/products?search=lamp".to_owned(),
        format!("/v1/products/{product}"),
        "/v1/categories".to_owned(),
        format!("/v1/categories/{category}"),
    ]
}

fn assert_stale(answer: &Answer, before: &Answer, page: &str) {
    assert_eq!((answer.status, &answer.json), (200, &before.json), "{page}");
    assert!(answer.header("age").parse::<u64>().is_ok(), "{page} says how old it is: {:?}", answer.headers);
    assert_eq!(answer.header("cache-status"), "argosy; fwd=stale", "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_is_read_on_while_its_service_is_dead_and_nothing_is_written() {
    let mut shop = fragile().await.lock().await;
    let (nobody, staff) = (shop.nobody(), shop.demo("STAFF").await);
    let pages = pages(&shop).await;
    let mut before = Vec::new();
    for page in &pages {
        let answer = nobody.get(page).await;
        assert_eq!((answer.status, answer.header("age")), (200, ""), "{answer}");
        before.push(answer);
    }

    shop.system.kill("catalog").unwrap();

    for (page, before) in pages.iter().zip(&before) {
        assert_stale(&nobody.get(page).await, before, page);
        assert_stale(&staff.get(page).await, before, page);
    }
    // What nobody has asked for, what has to be of this moment, and what changes something.
    nobody.get("/v1/products?search=never+asked+before").await.problem("unavailable");
    nobody.get("/v1/stock/LAMP-1").await.problem("unavailable");
    staff.put("/v1/stock/LAMP-1", &json!({ "on_hand": 1, "reorder_point": 0 })).await.problem("unavailable");

    shop.system.restart("catalog").await.unwrap();
    let fresh = nobody.get(&pages[0]).await;
    assert_eq!((fresh.status, fresh.header("age"), fresh.header("cache-status")), (200, "", ""), "{fresh}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_that_hangs_does_not_keep_its_readers_waiting() {
    let shop = fragile().await.lock().await;
    let nobody = shop.nobody();
    let before = nobody.get("/v1/products?limit=3").await;

    shop.system.pause("catalog").unwrap();
    let started = Instant::now();
    let answer = nobody.get("/v1/products?limit=3").await;
    let took = started.elapsed();
    shop.system.resume("catalog").await.unwrap();

    assert_stale(&answer, &before, "/v1/products?limit=3");
    assert!(took < Duration::from_secs(5), "it took {took:?}");
}
