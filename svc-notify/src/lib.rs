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

use std::{sync::Arc, time::Duration};

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use nats::{
    contracts::{
        invoice::{GetInvoiceMail, InvoiceRendered},
        notify::{AuditMails, NotificationSent},
        order::{GetOrder, OrderCanceled, OrderConfirmed},
        user::{
            GetEmailVerificationMail, GetPasswordResetMail, GetUserDetails, UserEmailVerificationRequested,
            UserPasswordResetRequested, UserRegistered,
        },
    },
    database::Database,
    invoke::Caller,
    service::{Runtime, Service, StartError},
    work::Queue,
};

use mail::Templates;
use smtp::Mailer;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();
const AN_HOUR: Duration = Duration::from_secs(3600);

/// The service, as its list says.
pub fn service() -> Service<Notify> {
    Service::new("notify", "Mail to people, from templates, with a delivery log.", MIGRATIONS, Notify::start)
        .http(notification::api::NotificationApi)
        .consume::<UserRegistered, _>("welcome", notification::welcome::registered)
        .consume::<UserEmailVerificationRequested, _>("email-verification", notification::email_verification::requested)
        .consume::<UserPasswordResetRequested, _>("password-reset", notification::password_reset::requested)
        .consume::<OrderConfirmed, _>("order-confirmed", notification::order_confirmed::confirmed)
        .consume::<OrderCanceled, _>("order-canceled", notification::order_canceled::canceled)
        .consume::<InvoiceRendered, _>("invoice", notification::invoice::rendered)
        .answer::<AuditMails, _>(notification::audit::audit_mails)
        .calls::<GetUserDetails>()
        .calls::<GetEmailVerificationMail>()
        .calls::<GetPasswordResetMail>()
        .calls::<GetOrder>()
        .calls::<GetInvoiceMail>()
        .publishes::<NotificationSent>()
        .works("send-mail", |notify| notify.due.clone(), notification::send::claim, notification::send::deliver)
        .every("forget-mails", AN_HOUR, notification::forget::forget_mails)
        .audit(notification::audit::audit)
}

/// What every function of this service has at hand.
#[derive(Clone)]
pub struct Notify {
    pub(crate) database: Database,
    pub(crate) calls: Caller,
    pub(crate) templates: Arc<Templates>,
    pub(crate) mailer: Mailer,
    /// The mails that are to be sent.
    pub(crate) due: Queue,
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
            due: Queue::new(notification::send::AT_ONCE),
        })
    }
}
