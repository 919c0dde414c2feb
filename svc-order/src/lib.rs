//! Orders: carts, orders, and the saga that carries an order from placed to paid.
//!
//! The list in [`service`] is everything this service serves, answers, calls, consumes, publishes and runs on a clock.
//!
//! | setting | meaning | when unset |
//! |---|---|---|
//! | `PAYMENT_TIMEOUT` | seconds after which an unpaid order is canceled | 600 |
//!
//! The trap: let the timeout be shorter than svc-catalog's `RESERVATION_TTL`. A payment that comes after the reservation
//! has expired finds the goods again, or goes back; nothing is lost, but the customer has waited for nothing.

pub mod cart;
pub mod order;
pub(crate) mod schema;

use std::time::Duration;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use nats::{
    batch::Batcher,
    config::Settings,
    contracts::{
        catalog::{CommitStock, GetArticles, ReleaseStock, ReserveStock},
        order::{AuditOrders, GetOrder, OrderCanceled, OrderCompleted, OrderConfirmed, OrderPlaced},
        payment::{GetPayment, PaymentCaptured, PaymentFailed, PaymentRefunded},
        shipping::QuoteShipping,
        user::{GetAddress, GetUserDetails, company::GetCompanyMembership},
    },
    database::Database,
    idempotency::{InFlight, Keyed, Lookups},
    invoke::Caller,
    service::{Runtime, Service, StartError},
    work::Queue,
};

use order::{
    saga::{
        Saga, overdue, payment,
        stock::{self, Settler},
    },
    write::Writer,
};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();
const EXPIRE_CARTS_EVERY: Duration = Duration::from_secs(3600);

/// The service, as its list says.
pub fn service() -> Service<Orders> {
    Service::new("order", "Carts, orders and the order saga.", MIGRATIONS, Orders::start)
        .http((order::api::OrderApi, cart::api::CartApi, cart::guest::GuestCartApi))
        .answer::<GetOrder, _>(order::details::get)
        .answer::<AuditOrders, _>(order::audit::page)
        .calls::<ReserveStock>()
        .calls::<ReleaseStock>()
        .calls::<CommitStock>()
        .calls::<GetArticles>()
        .calls::<QuoteShipping>()
        .calls::<GetAddress>()
        .calls::<GetUserDetails>()
        .calls::<GetCompanyMembership>()
        .calls::<GetPayment>()
        .publishes::<OrderPlaced>()
        .publishes::<OrderConfirmed>()
        .publishes::<OrderCanceled>()
        .publishes::<OrderCompleted>()
        .consume_all::<PaymentCaptured, _>("note-capture", payment::note_captures)
        .consume::<PaymentFailed, _>("cancel-unpaid", payment::cancel_unpaid)
        .consume::<PaymentRefunded, _>("note-refund", order::refund::note_refund)
        .works("secure-stock", |orders| orders.saga.stock.clone(), stock::claim, stock::secure)
        .works("settle-overdue", |orders| orders.overdue.clone(), overdue::claim, overdue::settle)
        .every("expire-carts", EXPIRE_CARTS_EVERY, cart::guest::expire)
        .audit(order::audit::audit)
}

/// What every function of this service has at hand.
#[derive(Clone)]
pub struct Orders {
    pub(crate) database: Database,
    pub(crate) calls: Caller,
    /// What the saga needs.
    pub(crate) saga: Saga,
    /// Writes placed orders, those that wait together in one transaction.
    pub(crate) writer: Writer,
    /// Knows the answers that requests got before.
    pub(crate) lookups: Lookups,
    /// Makes refusals final.
    pub(crate) refusals: Batcher<Keyed, bool>,
    /// The requests that this instance is placing orders for.
    pub(crate) running: InFlight,
    /// Settles what svc-catalog said of paid orders' goods.
    pub(crate) settler: Settler,
    /// The orders that have waited for too long.
    pub(crate) overdue: Queue,
}

impl Orders {
    async fn start(runtime: Runtime) -> Result<Self, StartError> {
        let payment_timeout = payment_timeout(&runtime.settings)?;
        let saga = Saga { payment_timeout, stock: Queue::new(stock::AT_ONCE) };
        Ok(Self {
            settler: stock::start_settling(runtime.database.clone(), saga.clone()),
            saga,
            writer: order::write::start(runtime.database.clone(), payment_timeout),
            lookups: Lookups::start(runtime.database.clone()),
            refusals: order::place::start_refusing(runtime.database.clone()),
            running: InFlight::default(),
            overdue: Queue::new(overdue::AT_ONCE),
            database: runtime.database,
            calls: runtime.calls,
        })
    }
}

fn payment_timeout(settings: &Settings) -> Result<Duration, StartError> {
    match settings.parse("PAYMENT_TIMEOUT", 600_u32)? {
        0 => Err(StartError::Other("setting PAYMENT_TIMEOUT: it must be at least 1 second".to_owned())),
        seconds => Ok(Duration::from_secs(seconds.into())),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_order_has_some_time_to_be_paid() {
        let timeout = |value: Option<&str>| {
            let settings = value.map(|value| ("PAYMENT_TIMEOUT".to_owned(), value.to_owned())).into_iter().collect();
            payment_timeout(&settings).map(|timeout| timeout.as_secs()).map_err(|error| error.to_string())
        };
        assert_eq!((timeout(None), timeout(Some("3"))), (Ok(600), Ok(3)));
        for refused in ["0", "-1", "ten"] {
            assert!(timeout(Some(refused)).unwrap_err().contains("PAYMENT_TIMEOUT"), "{refused}");
        }
    }
}
