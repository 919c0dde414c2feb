//! `place_order`: orders that wait together are written together, and each of them alone succeeds or fails.

use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::future::join_all;
use serde_json::json;

use crate::shop::{Shop, one_lamp, with};

/// Holds back all that would write an order, until it is dropped.
async fn hold_back(shop: &Shop) -> AsyncPgConnection {
    let mut connection = shop.bed.sql("order").await;
    for statement in ["begin", "lock table orders in exclusive mode"] {
        diesel::sql_query(statement).execute(&mut connection).await.unwrap();
    }
    connection
}

/// Waits until so many orders have reserved their stock.
async fn all_reserved(shop: &Shop, orders: usize) {
    let look = async || (shop.catalog.reserved.lock().unwrap().len() == orders).then_some(());
    shop.bed.wait_for("all stock to be reserved", look).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_orders_share_a_transaction() {
    let shop = Shop::open().await;
    let customers: Vec<_> = (0..30).map(|_| shop.bed.customer()).collect();
    let order = one_lamp();
    let held_back = hold_back(&shop).await;
    let placing = join_all(customers.iter().map(|customer| customer.post("/v1/orders", &order).key("k1").send()));
    let (answers, ()) = tokio::join!(placing, async {
        all_reserved(&shop, 30).await;
        drop(held_back);
    });
    assert!(
        answers.iter().all(|answer| answer.status == 201),
        "{:?}",
        answers.iter().map(|a| a.status).collect::<Vec<_>>()
    );
    let transactions = shop.number("select count(distinct xmin::text) from orders").await;
    assert!(transactions < 15, "30 orders in {transactions} transactions");
    assert_eq!(shop.number("select count(distinct number) from orders").await, 30);
    for (table, rows) in
        [("order_terms", 30), ("order_line", 30), ("order_history", 30), ("order_saga", 30), ("event_log", 30)]
    {
        assert_eq!(shop.count(table).await, rows, "{table}");
    }
    // Each event carries the trace of its own request.
    assert_eq!(shop.number("select count(distinct headers ->> 'X-Request-Id') from event_log").await, 30);
    for (customer, answer) in customers.iter().zip(&answers) {
        let reread = customer.get(&format!("/v1/orders/{}", answer.text("/id"))).send().await;
        assert_eq!(reread.json, answer.json, "what is read later is what was answered");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_cannot_be_written_fails_alone() {
    let shop = Shop::open().await;
    let customers: Vec<_> = (0..12).map(|_| shop.bed.customer()).collect();
    let (good, poison) = (one_lamp(), with(json!({"lines": [{"sku": "POISON", "quantity": 1}]})));
    let held_back = hold_back(&shop).await;
    let placing = join_all(customers.iter().enumerate().map(|(n, customer)| {
        let order = if n == 7 { &poison } else { &good };
        customer.post("/v1/orders", order).key("k1").send()
    }));
    let (answers, ()) = tokio::join!(placing, async {
        all_reserved(&shop, 12).await;
        drop(held_back);
    });
    for (n, answer) in answers.iter().enumerate() {
        if n == 7 {
            answer.problem("internal", "");
        } else {
            assert_eq!(answer.status, 201, "{answer}");
        }
    }
    assert_eq!(shop.count("orders").await, 11);
    let look = async || (shop.catalog.released.lock().unwrap().len() == 1).then_some(());
    shop.bed.wait_for("the stock of the one to be given back", look).await;
    let again = customers[7].post("/v1/orders", &good).key("k1").send().await;
    assert_eq!(again.status, 201, "its key is free: {again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_lost_before_the_commit_gives_the_stock_back() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let order = one_lamp();
    let held_back = hold_back(&shop).await;
    let cut_off = async {
        let waiting = "from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        let look = async || (shop.number(&format!("select count(*) {waiting}")).await == 1).then_some(());
        shop.bed.wait_for("the order to be written", look).await;
        shop.sql(&format!("select pg_terminate_backend(pid) {waiting}")).await;
    };
    let (answer, ()) = tokio::join!(alice.post("/v1/orders", &order).key("k1").send(), cut_off);
    assert!(answer.status >= 500, "{answer}");
    let look = async || (shop.catalog.released.lock().unwrap().len() == 1).then_some(());
    shop.bed.wait_for("the stock to be given back", look).await;
    drop(held_back);
    shop.assert_nothing_written().await;
    let again = alice.post("/v1/orders", &order).key("k1").send().await;
    assert_eq!(again.status, 201, "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_outcome_is_unknown_keeps_the_stock() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    // Commits wait for a lock that the test holds.
    for statement in [
        "create function wait() returns trigger language plpgsql as
             $$ begin perform pg_advisory_xact_lock(7); return null; end $$",
        "create constraint trigger wait after insert on orders deferrable initially deferred
             for each row execute function wait()",
    ] {
        shop.sql(statement).await;
    }
    let mut lock = shop.bed.sql("order").await;
    diesel::sql_query("select pg_advisory_lock(7)").execute(&mut lock).await.unwrap();
    let order = one_lamp();
    let cut_off = async {
        let waiting = "from pg_stat_activity where datname = current_database() and wait_event = 'advisory'";
        let look = async || (shop.number(&format!("select count(*) {waiting}")).await == 1).then_some(());
        shop.bed.wait_for("the commit to begin", look).await;
        shop.sql(&format!("select pg_terminate_backend(pid) {waiting}")).await;
    };
    let (answer, ()) = tokio::join!(alice.post("/v1/orders", &order).key("k1").send(), cut_off);
    answer.problem("timeout", "");
    assert!(answer.text("/detail").contains("same Idempotency-Key"), "{answer}");
    shop.sql("drop trigger wait on orders").await;
    let again = alice.post("/v1/orders", &order).key("k1").send().await;
    assert_eq!(again.status, 201, "{again}");
    assert_eq!(shop.count("orders").await, 1);
    assert!(shop.catalog.released.lock().unwrap().is_empty(), "whoever cannot tell gives nothing back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_that_is_edited_while_it_is_ordered_loses_nothing() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let order = with(json!({"lines": null}));
    let (mut added, mut ordered, mut refused) = (0, 0, 0);
    for round in 0..12 {
        let pen = json!({"sku": "PEN", "quantity": 1});
        assert_eq!(alice.post("/v1/cart/items", &pen).send().await.status, 201);
        let key = format!("k{round}");
        let (placed, put) =
            tokio::join!(alice.post("/v1/orders", &order).key(&key).send(), alice.post("/v1/cart/items", &pen).send());
        assert_eq!(put.status, 201, "{put}");
        added += 2;
        match placed.status {
            201 => ordered += placed.at("/lines/0/quantity").as_i64().unwrap(),
            _ => {
                placed.problem("conflict", "");
                refused += 1;
            }
        }
        let left = alice.get("/v1/cart").send().await.at("/items/0/quantity").as_i64().unwrap_or_default();
        assert_eq!(left + ordered, added, "every pen is in the cart or in an order");
    }
    let look = async || (shop.catalog.released.lock().unwrap().len() == refused).then_some(());
    shop.bed.wait_for("the stock of what was refused to be given back", look).await;
}
