//! The catalogue: what can be bought, and how much of it is left.
//!
//! The list in [`service`] is everything this service serves, answers, consumes, publishes and runs on a clock.

mod category;
mod product;
mod schema;
mod stock;

use std::time::Duration;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use nats::{
    contracts::{
        catalog::{
            GetArticles, ProductCreated, ProductDeleted, ProductUpdated, ReleaseStock, ReserveStock, StockReleased,
            StockSold,
        },
        order::{OrderCanceled, OrderConfirmed},
    },
    database::Database,
    service::{Runtime, Service, StartError},
};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();
const EXPIRE_EVERY: Duration = Duration::from_secs(5);
const SETTLE_EVERY: Duration = Duration::from_secs(60);

/// The service, as its list says.
pub fn service() -> Service<Catalog> {
    Service::new(
        "catalog",
        "Products and stock: what can be bought, and how much of it is left.",
        MIGRATIONS,
        Catalog::start,
    )
    .http((category::api::CategoryApi, product::api::ProductApi, stock::api::StockApi))
    .answer::<ReserveStock, _>(stock::reserve::reserve_stock)
    .answer::<ReleaseStock, _>(stock::release::release_stock)
    .answer::<GetArticles, _>(product::article::get_articles)
    .publishes::<ProductCreated>()
    .publishes::<ProductUpdated>()
    .publishes::<ProductDeleted>()
    .publishes::<StockSold>()
    .publishes::<StockReleased>()
    .consume::<OrderConfirmed, _>("sell-reserved", stock::sell::sell_reserved)
    .consume::<OrderCanceled, _>("release-canceled", stock::release::release_canceled)
    .every("expire-reservations", EXPIRE_EVERY, stock::expire::expire_reservations)
    .every("settle-owed", SETTLE_EVERY, stock::settle_owed::settle_owed)
}

/// What every function of this service has at hand.
///
/// | setting | meaning | when unset |
/// |---|---|---|
/// | `RESERVATION_TTL` | seconds that a reservation waits for its order | 900 |
#[derive(Clone)]
pub struct Catalog {
    pub(crate) database: Database,
    /// How long a reservation waits for its order, in seconds.
    pub(crate) reservation_ttl: i32,
}

impl Catalog {
    async fn start(runtime: Runtime) -> Result<Self, StartError> {
        let reservation_ttl = runtime.settings.parse("RESERVATION_TTL", 900_i32)?;
        if !(1..=86_400).contains(&reservation_ttl) {
            return Err(StartError::Other("setting RESERVATION_TTL: it must be 1 to 86400 seconds".to_owned()));
        }
        Ok(Self { database: runtime.database, reservation_ttl })
    }
}
