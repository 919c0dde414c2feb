//! JetStream's store is wiped, set back, damaged: PostgreSQL is the truth, so everything comes back, and nothing happens twice.

use stack::{nats_server::Damage, wait::wait_for};

use super::{fragile, load::Load};
use crate::{journey::new_article, shop::BOUND};

const BUYERS: u32 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_store_is_filled_again_without_a_hand() {
    let mut shop = fragile().await.lock().await;
    let load = Load::start(&shop, BUYERS).await;
    load.goes_on(6).await;

    let took = shop.system.wipe_nats().await.unwrap();

    load.goes_on(6).await;
    let orders = load.finish().await;
    orders.all_arrive(&shop).await;
    println!(
        "wiped under {} orders: streams and consumers back after {took:?}, buyers waited {:?}",
        orders.count(),
        orders.gap
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_was_lost_with_the_store_can_be_had_again() {
    let mut shop = fragile().await.lock().await;
    let (sku, ines) = (new_article(&shop.demo("STAFF").await, 10).await, shop.shopper().await);
    let placed = ines.order("one", &sku, 1, "sandbox_ok").await;
    let path = format!("/v1/orders/{}/invoice", placed.text("/id"));
    let invoice = ines.until(&path, "/documents/0/state", "rendered").await;
    let path = format!("/v1/invoices/{}/documents/pdf", invoice["id"].as_str().unwrap());
    let before = ines.get(&path).await;
    assert_eq!(before.status, 200, "{before}");

    shop.system.wipe_nats().await.unwrap();

    let again = wait_for("the document", BOUND, async || {
        let answer = ines.try_get(&path).await?;
        if answer.status == 200 { Ok(Some(answer)) } else { Err(answer.to_string()) }
    });
    let again = again.await.unwrap_or_else(|error| panic!("{error}"));
    assert!(again.bytes == before.bytes, "the same document, byte for byte");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_set_back_gets_again_what_it_lost() {
    let mut shop = fragile().await.lock().await;
    let load = Load::start(&shop, BUYERS).await;
    let snapshot = shop.system.snapshot_nats().unwrap();
    load.goes_on(9).await;

    let took = shop.system.set_back_nats(&snapshot).await.unwrap();

    load.goes_on(6).await;
    let orders = load.finish().await;
    orders.all_arrive(&shop).await;
    println!("set back under {} orders: NATS back after {took:?}, buyers waited {:?}", orders.count(), orders.gap);
}

/// Kills NATS under load, damages what it stored of each stream last, and asks for everything.
async fn survives(damage: Damage) {
    let mut shop = fragile().await.lock().await;
    let load = Load::start(&shop, BUYERS).await;
    for stream in ["ORDER", "PAYMENT"] {
        load.goes_on(6).await;
        let took = shop.system.damage_nats(stream, damage).await.unwrap();
        println!("{damage:?} of {stream}: NATS back after {took:?}");
    }
    load.goes_on(6).await;
    load.finish().await.all_arrive(&shop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_lost_the_end_of_a_block_gets_it_again() {
    survives(Damage::Truncated(4096)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_with_a_flipped_bit_gets_again_what_it_lost() {
    survives(Damage::Flipped).await;
}
