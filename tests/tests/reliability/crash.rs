//! Any process can be killed with -9 in the middle of an order, and the order still gets there.

use serde_json::Value;
use stack::postgres::Data;
use tokio::sync::{Mutex, OnceCell};

use crate::{
    journey::new_article,
    shop::{Person, Shop},
};

/// One shop for all of these, used by one test at a time: each of them breaks it and mends it.
async fn fragile() -> &'static Mutex<Shop> {
    static SHOP: OnceCell<Mutex<Shop>> = OnceCell::const_new();
    SHOP.get_or_init(|| async { Mutex::new(Shop::open(Data::Kept).await) }).await
}

/// Everything that has to come of an order, once it is accepted.
async fn gets_there(shop: &Shop, ines: &Person, id: &str) {
    let order = ines.until(&format!("/v1/orders/{id}"), "/status", "confirmed").await;
    let number = order["number"].as_str().unwrap();
    shop.mail(&ines.email, number).await;
    let invoice = ines.until(&format!("/v1/orders/{id}/invoice"), "/documents/0/state", "rendered").await;
    shop.mail(&ines.email, invoice["number"].as_str().unwrap()).await;
    let payments = ines.get(&format!("/v1/orders/{id}/payments")).await;
    assert_eq!(payments.at("/data").as_array().map(Vec::len), Some(1), "charged once: {payments}");
    let captures = payments.at("/data/0/transactions").as_array().cloned().unwrap_or_default();
    let captured = |transaction: &&Value| transaction["kind"] == "capture";
    assert_eq!(captures.iter().filter(captured).count(), 1, "charged once: {payments}");
    let mails = shop.system.mail.mails().await.unwrap();
    let about = mails.iter().filter(|mail| mail.is_to(&ines.email) && mail.subject.contains(number)).count();
    assert_eq!(about, 1, "one confirmation");
}

/// Kills `service` while orders are under way, starts it again, and waits for all that has to come.
async fn survives_the_death_of(service: &str) {
    let mut shop = fragile().await.lock().await;
    let (staff, ines) = (shop.demo("STAFF").await, shop.shopper().await);
    let sku = new_article(&staff, 10).await;
    let before = ines.order("before", &sku, 1, "sandbox_slow").await;
    assert_eq!(before.status, 201, "{before}");

    shop.system.kill(service).unwrap();
    shop.system.restart(service).await.unwrap();

    gets_there(&shop, &ines, &before.text("/id")).await;
    let after = ines.order("after", &sku, 1, "sandbox_ok").await;
    assert_eq!(after.status, 201, "{after}");
    let stock = ines.until(&format!("/v1/stock/{sku}"), "/on_hand", 9).await;
    assert!(stock["available"].as_i64().unwrap() >= 8, "{stock}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_survives_the_death_of_svc_user() {
    survives_the_death_of("user").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_survives_the_death_of_svc_catalog() {
    survives_the_death_of("catalog").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_survives_the_death_of_svc_order() {
    survives_the_death_of("order").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_survives_the_death_of_svc_payment() {
    survives_the_death_of("payment").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_survives_the_death_of_svc_shipping() {
    survives_the_death_of("shipping").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_survives_the_death_of_svc_notify() {
    survives_the_death_of("notify").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_survives_the_death_of_svc_invoice() {
    survives_the_death_of("invoice").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_survives_the_death_of_the_gateway() {
    survives_the_death_of("gateway").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_survives_the_death_of_nats() {
    let mut shop = fragile().await.lock().await;
    let (staff, ines) = (shop.demo("STAFF").await, shop.shopper().await);
    let sku = new_article(&staff, 10).await;
    let placed = ines.order("before", &sku, 1, "sandbox_slow").await;
    assert_eq!(placed.status, 201, "{placed}");

    shop.system.nats.kill();
    shop.system.nats.restart().await.unwrap();

    gets_there(&shop, &ines, &placed.text("/id")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_survives_the_death_of_postgres() {
    let mut shop = fragile().await.lock().await;
    let (staff, ines) = (shop.demo("STAFF").await, shop.shopper().await);
    let sku = new_article(&staff, 10).await;
    let placed = ines.order("before", &sku, 1, "sandbox_slow").await;
    assert_eq!(placed.status, 201, "{placed}");

    shop.system.crash_postgres().unwrap();
    shop.system.postgres.restart().await.unwrap();

    gets_there(&shop, &ines, &placed.text("/id")).await;
}
