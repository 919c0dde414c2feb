//! An invoice as the API shows it.

use chrono::{DateTime, NaiveDate, Utc};
use nats::types::{Currency, DecimalString, InvoiceId, Locale, Money, OrderId, TaxCategory, TaxGroup, Text};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::{
    Invoice,
    content::{
        InvoiceAdjustment, InvoiceDelivery, InvoiceExemption, InvoiceLine, InvoiceParty, LineAdjustment, PaymentMeans,
        Words,
    },
    identifiers::{Series, UnitCode},
    values::{DocumentFormat, DocumentState, InvoiceState, InvoiceType},
};
use crate::rendering::Document;

/// An invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
#[oai(rename = "Invoice")]
pub struct InvoiceResource {
    /// Which.
    pub id: InvoiceId,
    /// How far it is.
    pub state: InvoiceState,
    /// Its number; null until it is issued, unless it brought one.
    #[oai(nullable)]
    pub number: Option<String>,
    /// UNTDID 1001.
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub kind: InvoiceType,
    /// The series of its number.
    pub series: Series,
    /// ISO 4217.
    pub currency: Currency,
    /// The language and country that it is written for.
    pub locale: Locale,
    /// The day of issue.
    pub issue_date: NaiveDate,
    /// The day by which it is to be paid.
    #[oai(nullable)]
    pub due_date: Option<NaiveDate>,
    /// The day of the supply.
    #[oai(nullable)]
    pub delivery_date: Option<NaiveDate>,
    /// Who sells.
    pub seller: InvoiceParty,
    /// Who pays.
    pub buyer: InvoiceParty,
    /// Where the goods went, when not to the buyer.
    #[oai(nullable)]
    pub ship_to: Option<InvoiceDelivery>,
    /// What was sold, with what each line comes to.
    pub lines: Vec<TotalledLine>,
    /// Taken off the whole.
    pub allowances: Vec<InvoiceAdjustment>,
    /// Added to the whole.
    pub charges: Vec<InvoiceAdjustment>,
    /// Why no tax is due, where it does not go without saying.
    pub exemptions: Vec<InvoiceExemption>,
    /// What it comes to.
    pub totals: InvoiceTotals,
    /// Terms of payment, in words.
    #[oai(nullable)]
    pub payment_terms: Option<Text<1, 1000>>,
    /// How the buyer pays.
    #[oai(nullable)]
    pub payment_means: Option<PaymentMeans>,
    /// The seller's words to the buyer.
    #[oai(nullable)]
    pub note: Option<Text<1, 2000>>,
    /// The order that it is for.
    #[oai(nullable)]
    pub order_id: Option<OrderId>,
    /// The buyer's order, as it stands on the invoice.
    #[oai(nullable)]
    pub order_reference: Option<Words>,
    /// What the buyer wants to be quoted.
    #[oai(nullable)]
    pub buyer_reference: Option<Words>,
    /// The number of the invoice that this one refers to.
    #[oai(nullable)]
    pub preceding_invoice: Option<Text<1, 64>>,
    /// The day on which all of it was paid.
    #[oai(nullable)]
    pub paid_on: Option<NaiveDate>,
    /// When it came to us.
    pub created_at: DateTime<Utc>,
    /// When it was issued.
    #[oai(nullable)]
    pub issued_at: Option<DateTime<Utc>>,
    /// What is rendered of it, and how far that is.
    pub documents: Vec<InvoiceDocument>,
}

/// A line with what it comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct TotalledLine {
    /// What it is called.
    pub name: Text<1, 200>,
    /// A second line of text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Text<1, 500>>,
    /// The seller's article number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sku: Option<Text<1, 64>>,
    /// How many units.
    pub quantity: DecimalString,
    /// UN/ECE Rec 20.
    pub unit: UnitCode,
    /// Net price of one unit, or of `price_base_quantity` units, in major units.
    pub unit_price: DecimalString,
    /// How many units the price is for, when it is not one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_base_quantity: Option<DecimalString>,
    /// UNTDID 5305.
    pub tax_category: TaxCategory,
    /// Percent.
    pub tax_rate: DecimalString,
    /// Deducted from the line.
    pub allowances: Vec<LineAdjustment>,
    /// Added to the line.
    pub charges: Vec<LineAdjustment>,
    /// Net, after its allowances and charges.
    pub net: Money,
}

/// What an invoice comes to (EN 16931 BG-22 and BG-23).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct InvoiceTotals {
    /// Sum of the lines.
    pub line_total: Money,
    /// Sum of the document's allowances.
    pub allowance_total: Money,
    /// Sum of the document's charges.
    pub charge_total: Money,
    /// Total without tax.
    pub tax_exclusive: Money,
    /// Tax by category and rate.
    pub breakdown: Vec<TaxGroup>,
    /// Total of the tax.
    pub tax_total: Money,
    /// Total with tax.
    pub tax_inclusive: Money,
    /// What has been paid.
    pub paid: Money,
    /// What is left to pay.
    pub due: Money,
}

/// One rendered form of an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct InvoiceDocument {
    /// Its format: the last part of its path.
    pub format: DocumentFormat,
    /// How far it is.
    pub state: DocumentState,
    /// Its length in bytes, once it is rendered.
    #[oai(nullable)]
    pub size: Option<i64>,
    /// Its SHA-256 in hexadecimal, once it is rendered.
    #[oai(nullable)]
    pub sha256: Option<String>,
    /// Why it could not be rendered.
    #[oai(nullable)]
    pub error: Option<String>,
}

impl InvoiceResource {
    /// The invoice with its documents; those of a draft are still to be queued.
    pub(crate) fn of(invoice: Invoice, documents: Vec<Document>) -> Self {
        let (paid, due, currency) = (invoice.paid(), invoice.due(), invoice.currency());
        let waiting = |format: &DocumentFormat| InvoiceDocument {
            format: *format,
            state: DocumentState::Queued,
            size: None,
            sha256: None,
            error: None,
        };
        let documents = if documents.is_empty() {
            invoice.data.formats.iter().map(waiting).collect()
        } else {
            documents.into_iter().map(InvoiceDocument::of).collect()
        };
        let (data, totals) = (invoice.data, invoice.totals);
        Self {
            id: invoice.id,
            state: invoice.state,
            number: invoice.number,
            kind: invoice.kind,
            series: invoice.series,
            currency,
            locale: data.locale,
            issue_date: invoice.issue_date,
            due_date: data.due_date,
            delivery_date: data.delivery_date,
            seller: data.seller,
            buyer: data.buyer,
            ship_to: data.ship_to,
            lines: data.lines.into_iter().zip(totals.line_net).map(|(line, net)| TotalledLine::of(line, net)).collect(),
            allowances: data.allowances,
            charges: data.charges,
            exemptions: data.exemptions,
            totals: InvoiceTotals {
                line_total: totals.line_total,
                allowance_total: totals.allowance_total,
                charge_total: totals.charge_total,
                tax_exclusive: totals.tax_exclusive,
                breakdown: totals.breakdown,
                tax_total: totals.tax_total,
                tax_inclusive: totals.tax_inclusive,
                paid,
                due,
            },
            payment_terms: data.payment_terms,
            payment_means: data.payment_means,
            note: data.note,
            order_id: invoice.order_id,
            order_reference: data.order_reference,
            buyer_reference: data.buyer_reference,
            preceding_invoice: data.preceding_invoice,
            paid_on: invoice.paid_on,
            created_at: invoice.created_at,
            issued_at: invoice.issued_at,
            documents,
        }
    }
}

impl TotalledLine {
    fn of(line: InvoiceLine, net: Money) -> Self {
        Self {
            name: line.name,
            description: line.description,
            sku: line.sku,
            quantity: line.quantity,
            unit: line.unit,
            unit_price: line.unit_price,
            price_base_quantity: line.price_base_quantity,
            tax_category: line.tax_category,
            tax_rate: line.tax_rate,
            allowances: line.allowances,
            charges: line.charges,
            net,
        }
    }
}

impl InvoiceDocument {
    fn of(document: Document) -> Self {
        Self {
            format: document.format,
            state: document.state,
            size: document.size,
            sha256: document.sha256,
            // The last attempt's reason is history once another one is under way.
            error: document.error.filter(|_| document.state == DocumentState::Failed),
        }
    }
}
