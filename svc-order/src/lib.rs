//! Orders: carts, orders, and the saga that carries an order from placed to paid.
//!
//! The list in [`service`] is everything this service serves, answers, calls, consumes, publishes and runs on a clock.
//!
//! | setting | meaning | when unset |
//! |---|---|---|
//! | `PAYMENT_TIMEOUT` | seconds after which an unpaid order is canceled | 600 |
//! | `RESERVATION_TTL` | seconds that svc-catalog holds stock; the timeout must be shorter | 900 |

pub mod cart;
pub mod order;
pub(crate) mod schema;

use std::{sync::Arc, time::Duration};

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use nats::{
    config::Settings,
    contracts::{
        catalog::{GetArticles, ReleaseStock, ReserveStock},
        order::{GetOrder, OrderCanceled, OrderCompleted, OrderConfirmed, OrderPlaced},
        payment::{PaymentCaptured, PaymentFailed, PaymentRefunded},
        shipping::QuoteShipping,
        user::{GetAddress, GetUserDetails},
    },
    database::Database,
    invoke::Caller,
    service::{Runtime, Service, StartError},
};
use tokio::sync::Semaphore;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// The service, as its list says.
pub fn service() -> Service<Orders> {
    Service::new("order", "Carts, orders and the order saga.", MIGRATIONS, Orders::start)
        .http((order::api::OrderApi, cart::api::CartApi))
        .answer::<GetOrder, _>(order::details::get)
        .calls::<ReserveStock>()
        .calls::<ReleaseStock>()
        .calls::<GetArticles>()
        .calls::<QuoteShipping>()
        .calls::<GetAddress>()
        .calls::<GetUserDetails>()
        .publishes::<OrderPlaced>()
        .publishes::<OrderConfirmed>()
        .publishes::<OrderCanceled>()
        .publishes::<OrderCompleted>()
        .consume::<PaymentCaptured, _>("confirm-paid", order::saga::confirm_paid)
        .consume::<PaymentFailed, _>("cancel-unpaid", order::saga::cancel_unpaid)
        .consume::<PaymentRefunded, _>("note-refund", order::refund::note_refund)
        .every("cancel-overdue", SWEEP_EVERY, order::saga::cancel_overdue)
}

/// What every function of this service has at hand.
#[derive(Clone)]
pub struct Orders {
    pub(crate) database: Database,
    pub(crate) calls: Caller,
    /// How long an order may stay unpaid.
    pub(crate) payment_timeout: chrono::Duration,
    /// Placing an order keeps a connection while it asks other services; when those are slow, half of the pool is still
    /// there for everything else.
    pub(crate) placing: Arc<Semaphore>,
}

impl Orders {
    async fn start(runtime: Runtime) -> Result<Self, StartError> {
        let payment_timeout = payment_timeout(&runtime.settings)?;
        let pool: usize = runtime.settings.parse("DATABASE_POOL", 16)?;
        let placing = Arc::new(Semaphore::new((pool / 2).max(1)));
        Ok(Self { database: runtime.database, calls: runtime.calls, payment_timeout, placing })
    }
}

fn payment_timeout(settings: &Settings) -> Result<chrono::Duration, StartError> {
    let timeout: u32 = settings.parse("PAYMENT_TIMEOUT", 600)?;
    let reservation: u32 = settings.parse("RESERVATION_TTL", 900)?;
    if timeout == 0 || timeout >= reservation {
        return Err(StartError::Other(format!(
            "PAYMENT_TIMEOUT is {timeout} seconds; set it to at least 1 and less than RESERVATION_TTL ({reservation}), \
             or an order could be paid whose stock is gone"
        )));
    }
    Ok(chrono::Duration::seconds(timeout.into()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_order_times_out_before_its_reservation() {
        let timeout = |settings: &[(&str, &str)]| {
            let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            payment_timeout(&settings).map(|timeout| timeout.num_seconds()).map_err(|error| error.to_string())
        };
        assert_eq!(timeout(&[]), Ok(600));
        assert_eq!(timeout(&[("PAYMENT_TIMEOUT", "3"), ("RESERVATION_TTL", "4")]), Ok(3));
        for refused in [&[("PAYMENT_TIMEOUT", "0")], &[("PAYMENT_TIMEOUT", "900")], &[("PAYMENT_TIMEOUT", "ten")]] {
            assert!(timeout(refused).unwrap_err().contains("PAYMENT_TIMEOUT"), "{refused:?}");
        }
    }
}
