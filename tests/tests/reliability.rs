//! What the system promises when its parts fail under load: one file per kind of fault.
//!
//! Tests that break a system and mend it share one ([`fragile`]) and take turns. Each puts load on it ([`load::Load`]), does
//! its worst, lets the load go on, and then asks for everything that has to come of every order that was accepted.

mod away;
mod clock;
mod crash;
mod disk;
pub(crate) mod load;
mod network;
mod parts;
mod repeats;
mod rolling;
mod store;

use stack::{postgres::Data, scratch::Scratch, system::Options};
use tokio::sync::{Mutex, OnceCell};

use crate::shop::Shop;

/// One shop for all of these, used by one test at a time: each of them breaks it and mends it.
async fn fragile() -> &'static Mutex<Shop> {
    static SHOP: OnceCell<Mutex<Shop>> = OnceCell::const_new();
    let open = || async {
        let scratch = Scratch::new("system").unwrap();
        // What PostgreSQL has confirmed is to survive its death.
        let options = Options { proxied: true, ..Options::new(scratch.path(), Data::Kept) };
        Mutex::new(Shop::open_with(options, scratch).await)
    };
    SHOP.get_or_init(open).await
}
