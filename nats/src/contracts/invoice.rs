//! svc-invoice: invoices and their documents.

use std::time::Duration;

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::{Bucket, call, event, user::Unknown};
use crate::types::{Email, InvoiceId, Locale, Money, OrderId, UserId};

/// Rendered documents. Kept; each can be made again from the database.
pub const DOCUMENTS: Bucket = Bucket { name: "documents", max_age: None, max_bytes: 16 << 30 };
/// Invoice data as it was uploaded, byte for byte.
pub const UPLOADS: Bucket =
    Bucket { name: "uploads", max_age: Some(Duration::from_secs(10 * 366 * 24 * 3600)), max_bytes: 4 << 30 };

event! {
    /// Invoice data was accepted and waits for its number and documents.
    InvoiceUploaded = "invoice" / invoice.uploaded.1, by invoice_id {
        /// Which.
        invoice_id: InvoiceId,
    }
}

event! {
    /// An invoice has its number and will not change any more.
    InvoiceIssued = "invoice" / invoice.issued.1, by invoice_id {
        /// Which.
        invoice_id: InvoiceId,
        /// Its number in its series.
        number: String,
        /// For which order, when it is an order's.
        order_id: Option<OrderId>,
        /// Whose.
        user_id: UserId,
        /// What it comes to.
        total: Money,
    }
}

event! {
    /// The invoice's documents can be downloaded.
    InvoiceRendered = "invoice" / invoice.rendered.1, by invoice_id {
        /// Which.
        invoice_id: InvoiceId,
        /// For which order, when it is an order's.
        order_id: Option<OrderId>,
        /// Whose.
        user_id: UserId,
    }
}

/// Asks for what a mail about an invoice says, with a link that works without signing in.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct GetInvoiceMail {
    /// Which.
    pub invoice_id: InvoiceId,
}

/// What a mail about an invoice says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct InvoiceMail {
    /// Who gets it.
    pub email: Email,
    /// The buyer's name.
    pub name: String,
    /// The buyer's language.
    pub locale: Locale,
    /// The invoice's number.
    pub number: String,
    /// The order's number, when it is an order's.
    pub order_number: Option<String>,
    /// What it comes to.
    pub total: Money,
    /// Path and query of the document at the gateway, valid for thirty days.
    pub link: String,
}

call!(GetInvoiceMail = "invoice".get_invoice_mail -> InvoiceMail, or Unknown, idempotent: true);

/// Asks for a page of the orders that have invoices, by order id, for an audit.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct AuditInvoices {
    /// The last order of the page before.
    pub after: Option<OrderId>,
    /// How many orders, at most 1000.
    pub limit: i64,
}

/// A page of invoiced orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct AuditedInvoices {
    /// By order id, ascending; empty after the last page.
    pub orders: Vec<AuditedInvoice>,
}

/// An invoiced order, as far as an audit needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct AuditedInvoice {
    /// The order.
    pub order_id: OrderId,
    /// How many invoices it has.
    pub invoices: i64,
    /// What they come to.
    pub total: Money,
    /// Whether every one is rendered.
    pub rendered: bool,
}

call!(AuditInvoices = "invoice".audit_invoices -> AuditedInvoices, or super::Never, idempotent: true, deadline_s: 10);
