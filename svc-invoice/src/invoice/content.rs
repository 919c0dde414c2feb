//! What an invoice says, as it is uploaded and as it is kept; names follow EN 16931.
//!
//! [`InvoiceUpload`] is the request; [`Content`] is the part of it that stands in the column `data`. Both are made of
//! types that parse; what must agree between fields is in `invoice::rules`.
//!
//! Trap: rows are parsed with these types too. A rule that becomes stricter here makes older invoices unreadable; put it
//! into `invoice::rules` instead.

use chrono::NaiveDate;
use diesel::{deserialize::FromSqlRow, expression::AsExpression, sql_types};
use nats::types::{CountryCode, Currency, DecimalString, Email, Locale, Name, TaxCategory, Text};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::{
    day::day,
    identifiers::{Bic, ExemptionCode, Iban, PaymentMeansCode, Series, UnitCode, VatId},
    values::{DocumentFormat, InvoiceType},
};

/// One or a few words of the seller's own: a reason, a reference, an article number.
pub type Words = Text<1, 100>;

/// A postal address on an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
pub struct InvoiceAddress {
    /// Street and house number, or what takes their place.
    pub line1: Name,
    /// Floor, building, care of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line2: Option<Name>,
    /// City or town.
    pub city: Words,
    /// Postal code; some countries have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<Text<1, 20>>,
    /// State, province or canton.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Words>,
    /// ISO 3166-1 alpha-2.
    pub country: CountryCode,
}

/// Seller or buyer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
pub struct InvoiceParty {
    /// Legal name.
    pub name: Name,
    /// A person or department there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Name>,
    /// VAT identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vat_id: Option<VatId>,
    /// National tax number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_number: Option<Text<1, 40>>,
    /// Number in the register of companies: what tells the seller apart where there is no VAT identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legal_id: Option<Text<1, 64>>,
    /// Entry in the commercial register, and whatever else the law wants to be named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<Name>,
    /// E-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// Telephone number, in any notation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Text<1, 32>>,
    /// Web address, for display.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub website: Option<Words>,
    /// Where it is.
    pub address: InvoiceAddress,
}

/// Where the goods went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
pub struct InvoiceDelivery {
    /// To whom, when it was not the buyer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Where to.
    pub address: InvoiceAddress,
}

/// Why no tax is due on a category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
pub struct InvoiceExemption {
    /// UNTDID 5305: `E`, `AE`, `K`, `G` or `O`; one that the invoice has.
    pub tax_category: TaxCategory,
    /// In words, in the language of the invoice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<1, 500>>,
    /// As a code of the list VATEX.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<ExemptionCode>,
}

/// An allowance or a charge on one line; it has the line's tax.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
pub struct LineAdjustment {
    /// Net and above zero, in major units, with at most the currency's digits.
    pub amount: DecimalString,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Words>,
}

/// An allowance or a charge on the whole invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
pub struct InvoiceAdjustment {
    /// Net and above zero, in major units, with at most the currency's digits.
    pub amount: DecimalString,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Words>,
    /// UNTDID 5305.
    pub tax_category: TaxCategory,
    /// Percent: above 0 for `S`, 0 for all others.
    pub tax_rate: DecimalString,
}

/// One thing sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
pub struct InvoiceLine {
    /// What it is called.
    pub name: Name,
    /// A second line of text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text<1, 500>>,
    /// The seller's article number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<Text<1, 64>>,
    /// How many units; above zero.
    pub quantity: DecimalString,
    /// UN/ECE Rec 20; `C62` (piece) when absent.
    #[serde(default = "UnitCode::piece")]
    #[oai(default = "UnitCode::piece")]
    pub unit: UnitCode,
    /// Net price of one unit, or of `price_base_quantity` units, in major units; not below zero.
    pub unit_price: DecimalString,
    /// How many units the price is for, a whole number: `100` for a price per hundred. One when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_base_quantity: Option<DecimalString>,
    /// UNTDID 5305.
    pub tax_category: TaxCategory,
    /// Percent: above 0 for `S`, 0 for all others.
    pub tax_rate: DecimalString,
    /// Deducted from the line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[oai(default, validator(max_items = 20))]
    pub allowances: Vec<LineAdjustment>,
    /// Added to the line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[oai(default, validator(max_items = 20))]
    pub charges: Vec<LineAdjustment>,
}

/// How the buyer pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
pub struct PaymentMeans {
    /// UNTDID 4461: `58` SEPA credit transfer, `48` card.
    pub code: PaymentMeansCode,
    /// The account; required for credit transfers (`30`, `58`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iban: Option<Iban>,
    /// Its bank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bic: Option<Bic>,
    /// Its holder, when it is not the seller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_name: Option<Words>,
    /// What to write on the transfer, when it is not the invoice's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Words>,
}

/// What the sender takes an invoice to come to, in major units. What differs from our own sums is refused, with both.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
pub struct ExpectedTotals {
    /// Sum of the lines.
    #[serde(default)]
    pub line_total: Option<DecimalString>,
    /// Sum of the document's allowances.
    #[serde(default)]
    pub allowance_total: Option<DecimalString>,
    /// Sum of the document's charges.
    #[serde(default)]
    pub charge_total: Option<DecimalString>,
    /// Total without tax.
    #[serde(default)]
    pub tax_exclusive: Option<DecimalString>,
    /// Total of the tax.
    #[serde(default)]
    pub tax_total: Option<DecimalString>,
    /// Total with tax.
    #[serde(default)]
    pub tax_inclusive: Option<DecimalString>,
    /// What is left to pay.
    #[serde(default)]
    pub due: Option<DecimalString>,
}

/// An invoice to be numbered and rendered.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
pub struct InvoiceUpload {
    /// The series that the number is taken from.
    pub series: Series,
    /// A number of your own, new for this seller; without it the invoice gets the next one of its series.
    #[serde(default)]
    pub number: Option<Text<1, 64>>,
    /// UNTDID 1001; `380` (invoice) when absent.
    #[serde(default = "commercial_invoice", rename = "type")]
    #[oai(default = "commercial_invoice", rename = "type")]
    pub kind: InvoiceType,
    /// ISO 4217.
    pub currency: Currency,
    /// The day of issue; today (UTC) when absent.
    #[serde(default, deserialize_with = "day")]
    pub issue_date: Option<NaiveDate>,
    /// The day by which it is to be paid.
    #[serde(default, deserialize_with = "day")]
    pub due_date: Option<NaiveDate>,
    /// The day of the supply.
    #[serde(default, deserialize_with = "day")]
    pub delivery_date: Option<NaiveDate>,
    /// The language and country that it is written for; `en` when absent.
    #[serde(default)]
    #[oai(default)]
    pub locale: Locale,
    /// Who sells.
    pub seller: InvoiceParty,
    /// Who pays.
    pub buyer: InvoiceParty,
    /// Where the goods went, when not to the buyer.
    #[serde(default)]
    pub ship_to: Option<InvoiceDelivery>,
    /// What was sold.
    #[oai(validator(min_items = 1, max_items = 1000))]
    pub lines: Vec<InvoiceLine>,
    /// Taken off the whole.
    #[serde(default)]
    #[oai(default, validator(max_items = 50))]
    pub allowances: Vec<InvoiceAdjustment>,
    /// Added to the whole.
    #[serde(default)]
    #[oai(default, validator(max_items = 50))]
    pub charges: Vec<InvoiceAdjustment>,
    /// Why no tax is due, where the usual sentence of the category does not say it.
    #[serde(default)]
    #[oai(default, validator(max_items = 5))]
    pub exemptions: Vec<InvoiceExemption>,
    /// What it comes to, for us to check.
    #[serde(default)]
    pub totals: Option<ExpectedTotals>,
    /// Terms of payment, in words.
    #[serde(default)]
    pub payment_terms: Option<Text<1, 1000>>,
    /// How the buyer pays.
    #[serde(default)]
    pub payment_means: Option<PaymentMeans>,
    /// The buyer's order.
    #[serde(default)]
    pub order_reference: Option<Words>,
    /// What the buyer wants to be quoted: a cost centre, a Leitweg-ID.
    #[serde(default)]
    pub buyer_reference: Option<Words>,
    /// The number of the invoice that a credit note or a correction refers to.
    #[serde(default)]
    pub preceding_invoice: Option<Text<1, 64>>,
    /// The seller's words to the buyer.
    #[serde(default)]
    pub note: Option<Text<1, 2000>>,
    /// What to render; `pdf` when absent.
    #[serde(default = "only_pdf")]
    #[oai(default = "only_pdf", validator(min_items = 1, max_items = 6))]
    pub formats: Vec<DocumentFormat>,
}

/// What an invoice says beyond the columns of its row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Jsonb)]
pub struct Content {
    /// The language and country that it is written for.
    pub locale: Locale,
    /// The day by which it is to be paid.
    pub due_date: Option<NaiveDate>,
    /// Who sells.
    pub seller: InvoiceParty,
    /// Who pays.
    pub buyer: InvoiceParty,
    /// Where the goods went, when not to the buyer.
    #[serde(default)]
    pub ship_to: Option<InvoiceDelivery>,
    /// What was sold.
    pub lines: Vec<InvoiceLine>,
    /// Taken off the whole.
    pub allowances: Vec<InvoiceAdjustment>,
    /// Added to the whole.
    pub charges: Vec<InvoiceAdjustment>,
    /// Why no tax is due.
    #[serde(default)]
    pub exemptions: Vec<InvoiceExemption>,
    /// The day of the supply.
    pub delivery_date: Option<NaiveDate>,
    /// Terms of payment, in words.
    pub payment_terms: Option<Text<1, 1000>>,
    /// How the buyer pays.
    pub payment_means: Option<PaymentMeans>,
    /// The buyer's order.
    pub order_reference: Option<Words>,
    /// What the buyer wants to be quoted.
    pub buyer_reference: Option<Words>,
    /// The invoice that this one refers to.
    pub preceding_invoice: Option<Text<1, 64>>,
    /// The seller's words to the buyer.
    pub note: Option<Text<1, 2000>>,
    /// What is rendered.
    pub formats: Vec<DocumentFormat>,
}

nats::jsonb_column!(Content);

impl From<InvoiceUpload> for Content {
    fn from(upload: InvoiceUpload) -> Self {
        Self {
            locale: upload.locale,
            due_date: upload.due_date,
            seller: upload.seller,
            buyer: upload.buyer,
            ship_to: upload.ship_to,
            lines: upload.lines,
            allowances: upload.allowances,
            charges: upload.charges,
            exemptions: upload.exemptions,
            delivery_date: upload.delivery_date,
            payment_terms: upload.payment_terms,
            payment_means: upload.payment_means,
            order_reference: upload.order_reference,
            buyer_reference: upload.buyer_reference,
            preceding_invoice: upload.preceding_invoice,
            note: upload.note,
            formats: upload.formats,
        }
    }
}

const fn commercial_invoice() -> InvoiceType {
    InvoiceType::Invoice
}

fn only_pdf() -> Vec<DocumentFormat> {
    vec![DocumentFormat::Pdf]
}
