//! Clocks that jump and disagree.

use stack::{clock, postgres::Data, scratch::Scratch, system::Options};

use super::load::Load;
use crate::shop::Shop;

const BUYERS: u32 = 3;
const FIVE_MINUTES: i32 = 300;

/// Leases, deadlines and reservations go by PostgreSQL's clock; and an instance that takes every request for an old one says
/// so, or is told so, and the request is made again.
#[tokio::test(flavor = "multi_thread")]
async fn orders_arrive_though_the_clocks_of_half_of_the_instances_jump() {
    if clock::library().is_none() {
        println!("libfaketime is not installed; nothing is tested");
        return;
    }
    let scratch = Scratch::new("system").unwrap();
    let options = Options { instances: 2, clocks: true, ..Options::new(scratch.path(), Data::Scratch) };
    let shop = Shop::open_with(options, scratch).await;
    let load = Load::start(&shop, BUYERS).await;
    for ahead in [FIVE_MINUTES, -FIVE_MINUTES, 0] {
        shop.system.set_clocks(ahead).unwrap();
        load.goes_on(20).await;
    }
    let orders = load.finish().await;
    println!("{} attempts were repeated, the longest gap was {:?}", orders.repeats, orders.gap);
    orders.all_arrive(&shop).await;
}
