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
    batch::Batcher,
    contracts::{
        catalog::{
            AuditReservations, CommitRefusal, CommitStock, GetArticles, ProductCreated, ProductDeleted, ProductUpdated,
            ReleaseStock, ReserveRefusal, ReserveStock, StockReleased, StockReserved, StockSold,
        },
        order::OrderCanceled,
    },
    database::Database,
    service::{Runtime, Service, StartError},
};

use stock::Asked;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();
const EXPIRE_EVERY: Duration = Duration::from_secs(5);
/// How long anyone may keep an answer of the catalogue: long enough for a crowd, short enough for a price. While this service is
/// away the gateway may go on showing it for ten minutes; ordering asks for the price of the moment.
const CACHE_CONTROL: &str = "public, max-age=5, stale-if-error=600";

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
    .answer::<CommitStock, _>(stock::commit::commit_stock)
    .answer::<ReleaseStock, _>(stock::release::release_stock)
    .answer::<AuditReservations, _>(stock::audit::audit_reservations)
    .answer::<GetArticles, _>(product::article::get_articles)
    .publishes::<ProductCreated>()
    .publishes::<ProductUpdated>()
    .publishes::<ProductDeleted>()
    .publishes::<StockSold>()
    .publishes::<StockReleased>()
    .consume::<OrderCanceled, _>("release-canceled", stock::release::release_canceled)
    .every("expire-reservations", EXPIRE_EVERY, stock::expire::expire_reservations)
    .audit(stock::audit::audit)
}

/// What every function of this service has at hand.
///
/// | setting | meaning | when unset |
/// |---|---|---|
/// | `RESERVATION_TTL` | seconds that a reservation waits for its order | 900 |
#[derive(Clone)]
pub struct Catalog {
    pub(crate) database: Database,
    /// Orders that want stock reserved.
    pub(crate) reserving: Batcher<ReserveStock, Result<StockReserved, ReserveRefusal>>,
    /// Orders whose reservation becomes a sale.
    pub(crate) committing: Batcher<Asked, Result<(), CommitRefusal>>,
    /// Orders that give their reservation back.
    pub(crate) releasing: Batcher<Asked, ()>,
}

impl Catalog {
    async fn start(runtime: Runtime) -> Result<Self, StartError> {
        let reservation_ttl = runtime.settings.parse("RESERVATION_TTL", 900_i32)?;
        if !(1..=86_400).contains(&reservation_ttl) {
            return Err(StartError::Other("setting RESERVATION_TTL: it must be 1 to 86400 seconds".to_owned()));
        }
        Ok(Self {
            reserving: stock::reserve::start(runtime.database.clone(), reservation_ttl),
            committing: stock::commit::start(runtime.database.clone()),
            releasing: stock::release::start(runtime.database.clone()),
            database: runtime.database,
        })
    }
}
