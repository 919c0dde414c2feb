//! Payments: each order is charged once, whatever crashes in between, and not at all or refunded once it is canceled.
//!
//! The list in [`service`] is everything this service serves, answers, consumes, publishes and runs on a clock.

pub mod payment;
pub(crate) mod provider;
pub(crate) mod schema;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use nats::{
    contracts::{
        order::{GetOrder, OrderCanceled, OrderPlaced},
        payment::{PaymentCaptured, PaymentFailed, PaymentRefunded},
    },
    database::Database,
    invoke::Caller,
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
        .consume::<OrderCanceled, _>("settle-canceled", payment::cancel::settle_canceled)
        .calls::<GetOrder>()
        .publishes::<PaymentCaptured>()
        .publishes::<PaymentFailed>()
        .publishes::<PaymentRefunded>()
        .works("charge", |payments| payments.due.clone(), payment::charge::claim, payment::charge::charge)
        .works("refund", |payments| payments.refunds.clone(), payment::refund::claim, payment::refund::give_back)
}

/// What every function of this service has at hand.
#[derive(Clone)]
pub struct Payments {
    pub(crate) database: Database,
    pub(crate) calls: Caller,
    pub(crate) provider: Provider,
    /// The payments that are to be charged.
    pub(crate) due: Queue,
    /// The refunds that are to be made.
    pub(crate) refunds: Queue,
}

impl Payments {
    async fn start(runtime: Runtime) -> Result<Self, StartError> {
        let provider = Provider::Sandbox(Sandbox::new(runtime.database.clone()));
        Ok(Self {
            database: runtime.database,
            calls: runtime.calls,
            provider,
            due: Queue::new(payment::charge::AT_ONCE),
            refunds: Queue::new(payment::refund::AT_ONCE),
        })
    }
}
