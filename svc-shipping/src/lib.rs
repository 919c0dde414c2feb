//! Shipping: where we ship to, and what it costs.
//!
//! The list in [`service`] is everything this service serves, answers, consumes and publishes.

pub mod rate;
pub(crate) mod schema;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use nats::{
    contracts::shipping::QuoteShipping,
    database::Database,
    service::{Runtime, Service, StartError},
};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// The service, as its list says.
pub fn service() -> Service<Shipping> {
    Service::new("shipping", "Zones and shipping rates.", MIGRATIONS, Shipping::start)
        .http(rate::api::RateApi)
        .answer::<QuoteShipping, _>(rate::quote::quote)
        .audit(rate::audit::audit)
}

/// What every function of this service has at hand.
#[derive(Clone)]
pub struct Shipping {
    pub(crate) database: Database,
}

impl Shipping {
    async fn start(runtime: Runtime) -> Result<Self, StartError> {
        Ok(Self { database: runtime.database })
    }
}
