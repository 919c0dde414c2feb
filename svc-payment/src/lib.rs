//! Payments: each order is charged once, whatever crashes in between.
//!
//! The list in [`service`] is everything this service serves, answers, consumes, publishes and runs on a clock.

pub mod payment;
pub(crate) mod provider;
pub(crate) mod schema;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use nats::{
    contracts::{
        order::OrderPlaced,
        payment::{PaymentCaptured, PaymentFailed},
    },
    database::Database,
    service::{Runtime, Service, StartError},
    work::Queue,
};

use provider::{Provider, sandbox::Sandbox};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// The service, as its list says.
pub fn service() -> Service<Payments> {
    Service::new("payment", "Payments and the built-in sandbox provider.", MIGRATIONS, Payments::start)
        .http(payment::api::PaymentApi)
        .consume::<OrderPlaced, _>("charge-placed", payment::intent::placed)
        .publishes::<PaymentCaptured>()
        .publishes::<PaymentFailed>()
        .works("charge", |payments| payments.due.clone(), payment::charge::claim, payment::charge::charge)
}

/// What every function of this service has at hand.
#[derive(Clone)]
pub struct Payments {
    pub(crate) database: Database,
    pub(crate) provider: Provider,
    /// The payments that are to be charged.
    pub(crate) due: Queue,
}

impl Payments {
    async fn start(runtime: Runtime) -> Result<Self, StartError> {
        let provider = Provider::Sandbox(Sandbox::new(runtime.database.clone()));
        Ok(Self { database: runtime.database, provider, due: Queue::new(payment::charge::AT_ONCE) })
    }
}
