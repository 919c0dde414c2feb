//! Payments: each order is charged once, whatever crashes in between.
//!
//! The list in [`service`] is everything this service serves, answers, consumes, publishes and runs on a clock.

pub mod payment;
pub(crate) mod provider;
pub(crate) mod schema;
pub(crate) mod wake;

use std::sync::Arc;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use nats::{
    contracts::{
        order::OrderPlaced,
        payment::{PaymentCaptured, PaymentFailed},
    },
    database::Database,
    service::{Runtime, Service, StartError},
};

use provider::{Provider, sandbox::Sandbox};
use wake::Wake;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// The service, as its list says.
pub fn service() -> Service<Payments> {
    let service = Service::new("payment", "Payments and the built-in sandbox provider.", MIGRATIONS, Payments::start)
        .http(payment::api::PaymentApi)
        .consume::<OrderPlaced, _>("charge-placed", payment::intent::placed)
        .publishes::<PaymentCaptured>()
        .publishes::<PaymentFailed>();
    // A lane is at work or on the lookout; several keep one slow answer of the provider from holding up the rest.
    (0..payment::charge::LANES)
        .fold(service, |service, _| service.every("charge_payments", wake::BETWEEN_ROUNDS, payment::charge::due))
}

/// What every function of this service has at hand.
#[derive(Clone)]
pub struct Payments {
    pub(crate) database: Database,
    pub(crate) provider: Provider,
    /// Tells the lanes of [`payment::charge`] that an intent is about to be committed.
    pub(crate) wake: Arc<Wake>,
}

impl Payments {
    async fn start(runtime: Runtime) -> Result<Self, StartError> {
        let provider = Provider::Sandbox(Sandbox::new(runtime.database.clone()));
        Ok(Self { database: runtime.database, provider, wake: Arc::default() })
    }
}
