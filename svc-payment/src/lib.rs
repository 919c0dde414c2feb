//! Payments: each order is charged once, whatever crashes in between, and not at all or refunded once it is canceled.
//!
//! The list in [`service`] is everything this service serves, answers, consumes, publishes and runs on a clock. The settings
//! of its own stand in [`provider`] and [`webhook`]. The [`sandbox`] is another process.

pub mod payment;
pub mod provider;
pub(crate) mod reconciliation;
pub mod sandbox;
pub(crate) mod schema;
pub mod signature;
pub mod webhook;

use std::{sync::Arc, time::Duration};

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use nats::{
    contracts::{
        order::{GetOrder, OrderCanceled, OrderPlaced},
        payment::{AuditPayments, GetPayment, PaymentCaptured, PaymentFailed, PaymentRefunded},
    },
    database::Database,
    invoke::Caller,
    service::{Runtime, Service, StartError},
    work::Queue,
};

use payment::settle::together::Settler;
use provider::Provider;
use signature::SigningSecret;
use webhook::Hearing;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();
const SECONDS_10: Duration = Duration::from_secs(10);
const HOUR: Duration = Duration::from_secs(3600);

/// The service, as its list says.
pub fn service() -> Service<Payments> {
    Service::new("payment", "Payments: charged once, refunded never too much.", MIGRATIONS, Payments::start)
        .http((payment::api::PaymentApi, payment::refund::api::RefundApi, webhook::WebhookApi))
        .consume_all::<OrderPlaced, _>("charge-placed", payment::intent::placed)
        .consume::<OrderCanceled, _>("settle-canceled", payment::cancel::settle_canceled)
        .answer::<GetPayment, _>(payment::details::get)
        .answer::<AuditPayments, _>(payment::details::page)
        .calls::<GetOrder>()
        .publishes::<PaymentCaptured>()
        .publishes::<PaymentFailed>()
        .publishes::<PaymentRefunded>()
        .works("charge", |payments| payments.due.clone(), payment::charge::claim, payment::charge::charge)
        .works("refund", |payments| payments.refunds.clone(), payment::refund::claim, payment::refund::give_back)
        .works("surplus", |payments| payments.surplus.clone(), payment::surplus::claim, payment::surplus::give_back)
        .works("webhook", |payments| payments.webhooks.clone(), webhook::claim, webhook::read_up)
        .every_on_one("reconcile", SECONDS_10, reconciliation::reconcile)
        .every("forget-webhooks", HOUR, webhook::forget_old)
        .audit(payment::audit::audit)
}

/// What every function of this service has at hand.
#[derive(Clone)]
pub struct Payments {
    pub(crate) database: Database,
    pub(crate) calls: Caller,
    pub(crate) provider: Provider,
    /// What the provider may sign its webhooks with.
    pub(crate) secrets: Arc<[SigningSecret]>,
    /// Writes down what was seen of payments.
    pub(crate) settler: Settler,
    /// Writes down what the provider tells.
    pub(crate) heard: Hearing,
    /// The payments that are to be charged.
    pub(crate) due: Queue,
    /// The refunds that are to be made.
    pub(crate) refunds: Queue,
    /// What was captured beyond what is owed, and is to go back.
    pub(crate) surplus: Queue,
    /// The webhooks that are to be read up on.
    pub(crate) webhooks: Queue,
}

impl Payments {
    async fn start(runtime: Runtime) -> Result<Self, StartError> {
        Ok(Self {
            provider: Provider::of(&runtime.settings)?,
            secrets: webhook::secrets(&runtime.settings)?.into(),
            settler: payment::settle::together::start(runtime.database.clone()),
            heard: webhook::start_hearing(runtime.database.clone()),
            database: runtime.database,
            calls: runtime.calls,
            due: Queue::new(payment::charge::AT_ONCE),
            refunds: Queue::new(payment::refund::AT_ONCE),
            surplus: Queue::new(payment::surplus::AT_ONCE),
            webhooks: Queue::new(webhook::AT_ONCE),
        })
    }
}
