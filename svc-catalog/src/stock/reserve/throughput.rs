//! A measurement, not a test: reservations per second on one hot SKU, on a PostgreSQL that syncs each commit.
//!
//! `cargo test -p svc-catalog --lib throughput -- --ignored --nocapture`, with `--release` for figures that count.
#![allow(clippy::unwrap_used, reason = "a measurement")]

use std::time::{Duration, Instant};

use diesel_async::SimpleAsyncConnection;
use nats::{config::Settings, contracts::catalog::StockLine, types::Quantity};
use stack::{
    postgres::{Data, Postgres},
    scratch::Scratch,
};
use tokio::task::JoinSet;

use super::*;
use crate::MIGRATIONS;

const ROUND: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: it proves nothing, and takes half a minute"]
async fn throughput_of_a_hot_sku() {
    let scratch = Scratch::new("throughput").unwrap();
    let postgres = Postgres::start(scratch.path(), None, Data::Kept).await.unwrap();
    let url = postgres.create_database("hot", "hot", "hot").await.unwrap();
    let database = Database::open(&Settings::default().with("DATABASE_URL", url), MIGRATIONS).await.unwrap();
    let seed = "
        insert into product (id, name) values ('00000000-0000-7000-8000-000000000001', 'Lamp');
        insert into variant (id, product_id, sku, tax_category, weight_g, position) values
            ('00000000-0000-7000-8000-000000000002', '00000000-0000-7000-8000-000000000001', 'HOT', 'S', 1, 0);
        insert into price (variant_id, currency, amount) values ('00000000-0000-7000-8000-000000000002', 'EUR', 1);
        insert into stock (sku, on_hand) values ('HOT', 1000000000);";
    database.connection().await.unwrap().batch_execute(seed).await.unwrap();
    let one_by_one = |workers| Limits { weight: 1, workers, ..Limits::default() };
    for buyers in [1, 32, 256] {
        for (how, limits) in [
            ("one by one, 1 worker", one_by_one(1)),
            ("one by one, 16 at once", one_by_one(16)),
            ("batches, 1 worker", Limits { workers: 1, ..Limits::default() }),
            ("batches, 2 workers", Limits::default()),
        ] {
            let granted = round(&start_with(limits, database.clone(), 900), buyers).await;
            eprintln!("{buyers:>4} buyers, {how:<24} {:>7} reservations/s", granted / ROUND.as_secs());
        }
    }
}

/// How many reservations so many buyers get in one round, each asking again as soon as it has its answer.
async fn round(batcher: &Batcher<ReserveStock, Outcome>, buyers: usize) -> u64 {
    let end = Instant::now() + ROUND;
    let mut asking = JoinSet::new();
    for _ in 0..buyers {
        let batcher = batcher.clone();
        asking.spawn(async move {
            let mut granted = 0;
            while Instant::now() < end {
                let lines = vec![StockLine { sku: "HOT".parse().unwrap(), quantity: Quantity::ONE }];
                let question = ReserveStock { order_id: OrderId::new(), currency: Currency::EUR, lines };
                batcher.ask(question).await.unwrap().unwrap();
                granted += 1;
            }
            granted
        });
    }
    asking.join_all().await.into_iter().sum()
}
