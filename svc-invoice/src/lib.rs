//! Invoices: uploaded or made from orders, numbered without gaps, rendered to documents.
//!
//! The list in [`service`] is everything this service serves, answers, calls, consumes, publishes, keeps and runs on a
//! clock.

pub(crate) mod config;
pub mod document;
pub mod invoice;
pub(crate) mod rendering;
pub(crate) mod schema;

use std::{sync::Arc, time::Duration};

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use nats::{
    contracts::{
        invoice::{AuditInvoices, DOCUMENTS, GetInvoiceMail, InvoiceIssued, InvoiceRendered, InvoiceUploaded, UPLOADS},
        order::{GetOrder, OrderConfirmed},
        user::{GetUserDetails, company::GetCompanyMembership},
    },
    database::Database,
    invoke::Caller,
    objects::Objects,
    service::{Runtime, Service, StartError},
};

use crate::{config::Shop, rendering::Press};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();
const AN_HOUR: Duration = Duration::from_secs(3600);

/// The service, as its list says.
pub fn service() -> Service<Invoices> {
    Service::new("invoice", "Invoices, their numbers and their documents.", MIGRATIONS, Invoices::start)
        .http(invoice::api::InvoiceApi)
        .answer::<GetInvoiceMail, _>(invoice::mail::get_invoice_mail)
        .answer::<AuditInvoices, _>(invoice::audit::audit_invoices)
        .calls::<GetOrder>()
        .calls::<GetUserDetails>()
        .calls::<GetCompanyMembership>()
        .publishes::<InvoiceUploaded>()
        .publishes::<InvoiceIssued>()
        .publishes::<InvoiceRendered>()
        .consume::<InvoiceUploaded, _>("issue-uploaded", invoice::issue_uploaded::issue_uploaded)
        .consume::<OrderConfirmed, _>("issue-order", invoice::issue_order::issue_order)
        .bucket(UPLOADS, true)
        .bucket(DOCUMENTS, true)
        .works("render", |invoices| invoices.press.queue.clone(), rendering::work::claim, rendering::work::render)
        .every("forget-expired-links", AN_HOUR, rendering::link::forget_expired)
        .audit(invoice::audit::audit)
}

/// What every function of this service has at hand.
#[derive(Clone)]
pub struct Invoices {
    pub(crate) database: Database,
    pub(crate) calls: Caller,
    pub(crate) objects: Objects,
    pub(crate) shop: Arc<Shop>,
    pub(crate) press: Arc<Press>,
}

impl Invoices {
    async fn start(runtime: Runtime) -> Result<Self, StartError> {
        let shop = Arc::new(Shop::read(&runtime.settings)?);
        let press = Arc::new(Press::read(&runtime.settings)?);
        press.check();
        Ok(Self { database: runtime.database, calls: runtime.calls, objects: runtime.objects, shop, press })
    }
}
