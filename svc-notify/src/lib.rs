//! Notifications: mail to people, from templates, with a delivery log; messages to people in real time.
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
pub(crate) mod realtime;
pub(crate) mod schema;
pub(crate) mod smtp;

use std::{sync::Arc, time::Duration};

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use nats::{
    contracts::{
        invoice::{GetInvoiceMail, InvoiceRendered},
        notify::{AuditMails, GetMessages, MessagePosted, NotificationSent},
        order::{GetOrder, OrderCanceled, OrderCompleted, OrderConfirmed, OrderPlaced},
        payment::{PaymentCaptured, PaymentFailed, PaymentRefunded},
        user::{
            GetEmailVerificationMail, GetPasswordResetMail, GetUserDetails, UserEmailVerificationRequested,
            UserPasswordResetRequested, UserRegistered,
            company::{CompanyInvitationRequested, GetCompanyInvitationMail},
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
const DESCRIPTION: &str = "Mail to people, from templates, with a delivery log; messages to people in real time.";
const AN_HOUR: Duration = Duration::from_secs(3600);

/// The service, as its list says.
pub fn service() -> Service<Notify> {
    Service::new("notify", DESCRIPTION, MIGRATIONS, Notify::start)
        .http(notification::api::NotificationApi)
        .consume::<UserRegistered, _>("welcome", notification::welcome::registered)
        .consume::<UserEmailVerificationRequested, _>("email-verification", notification::email_verification::requested)
        .consume::<UserPasswordResetRequested, _>("password-reset", notification::password_reset::requested)
        .consume::<CompanyInvitationRequested, _>("company-invitation", notification::company_invitation::requested)
        .consume::<OrderConfirmed, _>("order-confirmed", notification::order_confirmed::confirmed)
        .consume::<OrderCanceled, _>("order-canceled", notification::order_canceled::canceled)
        .consume::<InvoiceRendered, _>("invoice", notification::invoice::rendered)
        .consume::<OrderPlaced, _>("order-placed", realtime::order::placed)
        .consume::<OrderCompleted, _>("order-completed", realtime::order::completed)
        .consume::<PaymentCaptured, _>("payment-captured", realtime::payment::captured)
        .consume::<PaymentFailed, _>("payment-failed", realtime::payment::failed)
        .consume::<PaymentRefunded, _>("payment-refunded", realtime::payment::refunded)
        .answer::<AuditMails, _>(notification::audit::audit_mails)
        .answer::<GetMessages, _>(realtime::get::get_messages)
        .calls::<GetUserDetails>()
        .calls::<GetEmailVerificationMail>()
        .calls::<GetPasswordResetMail>()
        .calls::<GetCompanyInvitationMail>()
        .calls::<GetOrder>()
        .calls::<GetInvoiceMail>()
        .publishes::<NotificationSent>()
        .publishes::<MessagePosted>()
        .works("send-mail", |notify| notify.due.clone(), notification::send::claim, notification::send::deliver)
        .every("forget-mails", AN_HOUR, notification::forget::forget_mails)
        .every("forget-messages", AN_HOUR, realtime::forget::forget_messages)
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
