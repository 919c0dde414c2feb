//! Notifications: mail to people, from templates, with a delivery log.
//!
//! The list in [`service`] is everything this service serves, answers, calls, consumes, publishes and runs on a clock.
//!
//! | setting | meaning | when unset |
//! |---|---|---|
//! | `SMTP_URL` | the mail server, as `smtp://host:port` or `smtps://user:password@host` | required |
//! | `MAIL_FROM` | who mail is from | `Argosy <no-reply@argosy.example>` |
//! | `PUBLIC_URL` | where people reach the shop; links in mails begin with it | `http://127.0.0.1:8080` |

pub mod mail;
pub mod notification;
pub(crate) mod schema;
pub(crate) mod smtp;
pub(crate) mod wake;

use std::sync::Arc;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use nats::{
    contracts::{
        invoice::{GetInvoiceMail, InvoiceRendered},
        notify::NotificationSent,
        order::{GetOrder, OrderCanceled, OrderConfirmed},
        user::{GetUserDetails, UserRegistered},
    },
    database::Database,
    invoke::Caller,
    service::{Runtime, Service, StartError},
};

use mail::Templates;
use smtp::Mailer;
use wake::Wake;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// The service, as its list says.
pub fn service() -> Service<Notify> {
    let service =
        Service::new("notify", "Mail to people, from templates, with a delivery log.", MIGRATIONS, Notify::start)
            .http(notification::api::NotificationApi)
            .consume::<UserRegistered, _>("welcome", notification::welcome::registered)
            .consume::<OrderConfirmed, _>("order-confirmed", notification::order_confirmed::confirmed)
            .consume::<OrderCanceled, _>("order-canceled", notification::order_canceled::canceled)
            .consume::<InvoiceRendered, _>("invoice", notification::invoice::rendered)
            .calls::<GetUserDetails>()
            .calls::<GetOrder>()
            .calls::<GetInvoiceMail>()
            .publishes::<NotificationSent>();
    // A lane sends one mail at a time, or is on the lookout: so many are sent at once.
    (0..notification::send::LANES)
        .fold(service, |service, _| service.every("send_mail", wake::BETWEEN_ROUNDS, notification::send::due))
}

/// What every function of this service has at hand.
#[derive(Clone)]
pub struct Notify {
    pub(crate) database: Database,
    pub(crate) calls: Caller,
    pub(crate) templates: Arc<Templates>,
    pub(crate) mailer: Mailer,
    /// Tells the lanes of [`notification::send`] that a mail is about to be committed.
    pub(crate) wake: Arc<Wake>,
}

impl Notify {
    async fn start(runtime: Runtime) -> Result<Self, StartError> {
        let public_url: mail::PublicUrl = runtime.settings.parse("PUBLIC_URL", mail::PublicUrl::default())?;
        let templates = Templates::load(public_url).map_err(|error| StartError::Other(error.to_string()))?;
        Ok(Self {
            mailer: Mailer::new(&runtime.settings)?,
            database: runtime.database,
            calls: runtime.calls,
            templates: Arc::new(templates),
            wake: Arc::default(),
        })
    }
}
