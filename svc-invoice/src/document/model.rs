//! The figures and texts of one invoice, as the page needs them; names follow EN 16931.
//!
//! The trap: nothing is computed here. Sums, VAT and the amount due are those of the database, so that page, XML and
//! ledger cannot disagree; a page that recalculated would one day show another cent.

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// What kind of document it is (UNTDID 1001).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Kind {
    /// 380: a commercial invoice.
    #[serde(rename = "380")]
    Invoice,
    /// 381: a credit note; its amounts are positive and flow to the buyer.
    #[serde(rename = "381")]
    CreditNote,
    /// 384: an invoice that replaces a wrong one.
    #[serde(rename = "384")]
    Corrected,
}

impl Kind {
    /// The code of UNTDID 1001.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Invoice => "380",
            Self::CreditNote => "381",
            Self::Corrected => "384",
        }
    }
}

/// Whose mark stands at the head of the page.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Letterhead {
    /// The seller's name, set in type.
    #[default]
    Plain,
    /// The shop's own mark beside its name: only for invoices that the shop itself issues.
    Argosy,
}

/// An amount of money in minor units.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Amount {
    /// Minor units, for instance cents.
    pub minor: i64,
    /// ISO 4217.
    pub currency: String,
    /// Decimal places of the currency: 0 for JPY, 2 for EUR, 3 for JOD.
    pub exponent: u8,
}

impl Amount {
    /// The amount in major units, with exactly the currency's digits; `None` when the exponent is none that a currency
    /// can have.
    pub fn major(&self) -> Option<Decimal> {
        Decimal::try_from_i128_with_scale(i128::from(self.minor), u32::from(self.exponent)).ok()
    }
}

/// Seller, buyer or consignee.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Party {
    /// Legal name.
    pub name: String,
    /// VAT identifier, `DE123456789`.
    pub vat_id: Option<String>,
    /// National tax number, for sellers without a VAT identifier.
    pub tax_number: Option<String>,
    /// Number in the register of companies.
    pub legal_id: Option<String>,
    /// Entry in the commercial register and whatever else law wants at the foot: `Amtsgericht Hamburg, HRB 12345`.
    pub registration: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Telephone number.
    pub phone: Option<String>,
    /// Web address, for display.
    pub website: Option<String>,
    /// A person or department there.
    pub contact: Option<String>,
    /// Postal lines below the name and above the country; [`postal_lines`] makes them from the parts that follow.
    pub address: Vec<String>,
    /// Street and house number, floor, care of.
    pub street: Vec<String>,
    /// Town.
    pub city: Option<String>,
    /// Postal code.
    pub postal_code: Option<String>,
    /// State or province.
    pub region: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country: String,
}

/// An allowance or a charge, on a line or on the document. The amount is positive in both cases.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Adjustment {
    /// Why, in the seller's words.
    pub reason: Option<String>,
    /// How much, without VAT.
    pub amount: Amount,
    /// Its tax; that of a line has the line's.
    #[serde(default)]
    pub tax: Option<Tax>,
}

/// A tax category with its rate.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Tax {
    /// UNTDID 5305: S, Z, E, AE, K, G, O.
    pub category: String,
    /// Percent, decimal number: `19`, `5.5`.
    pub rate: String,
}

/// One thing sold.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Line {
    /// What it is called.
    pub name: String,
    /// The seller's article number.
    pub sku: Option<String>,
    /// A second line of text below the name.
    pub description: Option<String>,
    /// Decimal number.
    pub quantity: String,
    /// UN/ECE Rec 20: `C62`, `HUR`.
    pub unit: String,
    /// Decimal number in major units; may have more places than the currency.
    pub unit_price: String,
    /// How many units the price is for, decimal number; one, when it is not said.
    #[serde(default)]
    pub price_base_quantity: Option<String>,
    /// Taken off this line.
    #[serde(default)]
    pub allowances: Vec<Adjustment>,
    /// Added to this line.
    #[serde(default)]
    pub charges: Vec<Adjustment>,
    /// The line's net amount, after its allowances and charges.
    pub net: Amount,
    /// UNTDID 5305: S, Z, E, AE, K, G, O.
    pub tax_category: String,
    /// Percent, decimal number: `19`, `5.5`.
    pub tax_rate: String,
}

/// VAT of one category and rate.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TaxGroup {
    /// UNTDID 5305.
    pub category: String,
    /// Percent, decimal number.
    pub rate: String,
    /// What is taxed.
    pub basis: Amount,
    /// The tax.
    pub tax: Amount,
    /// Why no tax is due; without it the page gives the usual sentence of the category.
    #[serde(default)]
    pub exemption_reason: Option<String>,
    /// The same as a code (VATEX).
    #[serde(default)]
    pub exemption_code: Option<String>,
}

/// The sums of the document (EN 16931 BG-22).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Totals {
    /// Sum of the lines' net amounts (BT-106).
    pub lines: Amount,
    /// Sum of what is taken off the whole (BT-107).
    #[serde(default)]
    pub allowances: Option<Amount>,
    /// Sum of what is added to the whole (BT-108).
    #[serde(default)]
    pub charges: Option<Amount>,
    /// Net total: lines − allowances + charges (BT-109).
    pub net: Amount,
    /// VAT (BT-110).
    pub tax: Amount,
    /// Total with VAT (BT-112).
    pub gross: Amount,
    /// Already paid (BT-113).
    #[serde(default)]
    pub prepaid: Option<Amount>,
    /// Rounding of the amount due (BT-114).
    #[serde(default)]
    pub rounding: Option<Amount>,
    /// Amount due (BT-115).
    pub due: Amount,
}

/// How the buyer pays.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct PaymentMeans {
    /// UNTDID 4461: `58` SEPA credit transfer, `48` card.
    pub code: String,
    /// Holder of the account, when it is not the seller.
    pub account_name: Option<String>,
    /// IBAN, with or without blanks.
    pub iban: Option<String>,
    /// BIC of the bank.
    pub bic: Option<String>,
    /// What the buyer writes on the transfer, when it is not the document's number.
    pub reference: Option<String>,
}

/// One invoice or credit note.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Invoice {
    /// What kind of document.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// BCP 47 tag of the reader: `de-DE`. A language without labels reads English.
    pub locale: String,
    /// Whose mark.
    #[serde(default)]
    pub letterhead: Letterhead,
    /// The document's number.
    pub number: String,
    /// Day of issue.
    pub issue_date: NaiveDate,
    /// Day by which it is to be paid.
    pub due_date: Option<NaiveDate>,
    /// Day of the supply.
    #[serde(default)]
    pub delivery_date: Option<NaiveDate>,
    /// The buyer's order.
    #[serde(default)]
    pub order_reference: Option<String>,
    /// What the buyer wants quoted: cost centre, Leitweg-ID.
    #[serde(default)]
    pub buyer_reference: Option<String>,
    /// Number of the invoice that a credit note or a correction refers to.
    #[serde(default)]
    pub preceding_invoice: Option<String>,
    /// Who sells.
    pub seller: Party,
    /// Who pays.
    pub buyer: Party,
    /// Where the goods went, when not to the buyer.
    #[serde(default)]
    pub ship_to: Option<Party>,
    /// What was sold.
    pub lines: Vec<Line>,
    /// Taken off the whole.
    #[serde(default)]
    pub allowances: Vec<Adjustment>,
    /// Added to the whole: shipping.
    #[serde(default)]
    pub charges: Vec<Adjustment>,
    /// VAT by category and rate.
    pub taxes: Vec<TaxGroup>,
    /// The sums.
    pub totals: Totals,
    /// Terms of payment in words.
    #[serde(default)]
    pub payment_terms: Option<String>,
    /// How to pay.
    #[serde(default)]
    pub payment_means: Option<PaymentMeans>,
    /// Set once all of it is paid.
    #[serde(default)]
    pub paid_on: Option<NaiveDate>,
    /// The seller's words to the buyer.
    #[serde(default)]
    pub note: Option<String>,
}

/// The parts of an address that stand between street and country.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place<'a> {
    /// Town.
    pub city: &'a str,
    /// Postal code.
    pub postal_code: Option<&'a str>,
    /// State or province.
    pub region: Option<&'a str>,
    /// ISO 3166-1 alpha-2: decides the order of the parts.
    pub country: &'a str,
}

/// Street lines and place as a postal address, in the order that the country's post wants.
pub fn postal_lines(street: &[&str], place: &Place<'_>) -> Vec<String> {
    let postal_code = place.postal_code.unwrap_or_default();
    let region = place.region.unwrap_or_default();
    let rest: Vec<String> = match place.country {
        "US" | "CA" | "AU" => {
            let tail = join(&[region, postal_code], " ");
            let separator = if place.country == "AU" { " " } else { ", " };
            vec![join(&[place.city, &tail], separator)]
        }
        "GB" | "IE" | "NZ" | "IN" => {
            vec![place.city.to_owned(), region.to_owned(), postal_code.to_owned()]
        }
        "ES" | "IT" if !region.is_empty() => {
            vec![format!("{} ({region})", join(&[postal_code, place.city], " "))]
        }
        _ => vec![join(&[postal_code, place.city], " "), region.to_owned()],
    };
    street.iter().map(|line| (*line).to_owned()).chain(rest).filter(|line| !line.trim().is_empty()).collect()
}

fn join(parts: &[&str], separator: &str) -> String {
    parts.iter().copied().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(separator)
}
