//! Clocks that disagree.

use stack::{clock, postgres::Data, scratch::Scratch, system::Options};

use super::load::Load;
use crate::shop::Shop;

const BUYERS: u32 = 3;
const FIVE_MINUTES: i32 = 300;

/// Leases, deadlines and reservations go by PostgreSQL's clock, tokens allow for some of it, and an instance that takes every
/// request for an old one says so, which has the next one asked.
#[tokio::test(flavor = "multi_thread")]
async fn orders_arrive_though_the_clocks_of_half_of_the_instances_are_wrong() {
    if clock::library().is_none() {
        println!("libfaketime is not installed; nothing is tested");
        return;
    }
    for ahead in [FIVE_MINUTES, -FIVE_MINUTES] {
        let scratch = Scratch::new("system").unwrap();
        let options = Options { instances: 2, clock_ahead: ahead, ..Options::new(scratch.path(), Data::Scratch) };
        let shop = Shop::open_with(options, scratch).await;
        let load = Load::start(&shop, BUYERS).await;
        load.goes_on(30).await;
        let orders = load.finish().await;
        println!("{ahead} s ahead: {} attempts were repeated, the longest gap was {:?}", orders.repeats, orders.gap);
        orders.all_arrive(&shop).await;
        let Shop { system, .. } = shop;
        system.stop().await;
    }
}
