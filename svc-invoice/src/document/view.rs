//! The invoice as the template needs it: every figure, date and name already written for the reader.
//!
//! The trap: a view that passed a raw text on would be a hole. Every text goes through `clean`, every figure through
//! [`Conventions`]; escaping alone is the template's business.

use serde::Serialize;

use super::columns;
use super::format::Conventions;
use super::labels::Labels;
use super::model::{Invoice, Kind, Letterhead, Party};
use super::sums;
pub use super::written::ViewError;
use super::written::{clean, text};

/// A name and its value.
#[derive(Debug, Serialize)]
pub struct Fact {
    /// What it is.
    pub label: String,
    /// What it says.
    pub value: String,
}

impl Fact {
    pub(super) fn new(label: &str, value: impl Into<String>) -> Self {
        Self { label: label.to_owned(), value: value.into() }
    }
}

/// A party, line by line.
#[derive(Debug, Serialize)]
pub struct PartyView {
    /// Legal name.
    pub name: String,
    /// Postal lines with the country, as on an envelope.
    pub address: Vec<String>,
    /// E-mail, telephone, web.
    pub contact: Vec<String>,
    /// VAT identifier, tax number, register entry.
    pub legal: Vec<String>,
}

/// A row of the items table.
#[derive(Debug, Serialize)]
pub struct LineView {
    /// 1, 2, 3 …
    pub position: usize,
    /// What was sold.
    pub name: String,
    /// Article number with its label.
    pub sku: Option<String>,
    /// Second line of text.
    pub description: Option<String>,
    /// Quantity without its unit.
    pub quantity: String,
    /// The digits that it has less than the longest: room for them keeps the decimal signs in line.
    pub quantity_rest: Option<String>,
    /// Unit.
    pub unit: String,
    /// Price of one, as a plain number.
    pub unit_price: String,
    /// The digits that it has less than the longest.
    pub price_rest: Option<String>,
    /// For how many units the price is, unless for one: `/ 100 pcs`.
    pub price_for: Option<String>,
    /// VAT rate.
    pub tax: String,
    /// Net amount, as a plain number.
    pub net: String,
    /// What the lines come to so far, for the page break that may follow; none after the last.
    pub carried: Option<String>,
    /// Allowances and charges of the line.
    pub adjustments: Vec<Fact>,
}

/// A row of the VAT summary.
#[derive(Debug, Serialize)]
pub struct TaxView {
    /// Rate, or the category's name.
    pub label: String,
    /// What is taxed.
    pub basis: String,
    /// The tax.
    pub tax: String,
}

/// How to pay.
#[derive(Debug, Serialize)]
pub struct PaymentView {
    /// Terms in words.
    pub terms: Option<String>,
    /// Method, account, reference.
    pub facts: Vec<Fact>,
}

/// Everything that the template prints.
#[derive(Debug, Serialize)]
pub struct InvoiceView {
    /// `<html lang>`.
    pub lang: String,
    /// `<html dir>`.
    pub dir: &'static str,
    /// `invoice` or `credit-note`, for the style sheet.
    pub class: &'static str,
    /// The document's name and number, for the title bar.
    pub title: String,
    /// What kind of document it is, in words.
    pub heading: String,
    /// The document's number.
    pub number: String,
    /// Day of issue in ISO 8601, for the PDF's metadata.
    pub issued: String,
    /// The page's words.
    pub labels: &'static Labels,
    /// The shop's mark stands beside the name, or in its place.
    #[serde(skip)]
    pub has_mark: bool,
    /// The seller's name is too long for the size that a name is set in.
    pub long_name: bool,
    /// Fold marks as in DIN 5008, for countries that use it.
    pub fold_marks: bool,
    /// Who sells.
    pub seller: PartyView,
    /// The seller in one line, above the address in the envelope's window.
    pub return_address: String,
    /// Who pays.
    pub buyer: PartyView,
    /// Where the goods went.
    pub ship_to: Option<PartyView>,
    /// Dates and references.
    pub facts: Vec<Fact>,
    /// Head of the amount column, which names the currency.
    pub amount_label: String,
    /// The items.
    pub lines: Vec<LineView>,
    /// VAT by rate.
    pub taxes: Vec<TaxView>,
    /// Why no VAT is charged.
    pub notices: Vec<String>,
    /// The sums above the amount due.
    pub sums: Vec<Fact>,
    /// The amount due.
    pub due: Fact,
    /// The sentence that says when it was paid.
    pub paid: Option<String>,
    /// How to pay.
    pub payment: Option<PaymentView>,
    /// The seller's words.
    pub note: Option<String>,
}

impl InvoiceView {
    /// Writes the invoice for its reader.
    ///
    /// # Errors
    /// A quantity, price or rate that is no decimal number.
    pub fn of(invoice: &Invoice) -> Result<Self, ViewError> {
        let write = Conventions::of(&invoice.locale);
        let labels = write.labels();
        let (class, heading) = match invoice.kind {
            Kind::Invoice => ("invoice", &labels.invoice),
            Kind::CreditNote => ("credit-note", &labels.credit_note),
            Kind::Corrected => ("invoice", &labels.corrected_invoice),
        };
        let number = clean(&invoice.number);
        let home = invoice.seller.country.as_str();
        let seller = party(&invoice.seller, labels, home, true);
        Ok(Self {
            lang: write.tag().to_owned(),
            dir: write.language.direction(),
            class,
            title: format!("{heading} {number}"),
            heading: heading.clone(),
            number,
            issued: invoice.issue_date.to_string(),
            labels,
            has_mark: invoice.letterhead == Letterhead::Argosy,
            long_name: seller.name.chars().count() > 44,
            fold_marks: matches!(home, "DE" | "AT"),
            return_address: std::iter::once(&seller.name)
                .chain(&seller.address)
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(" · "),
            buyer: party(&invoice.buyer, labels, home, false),
            ship_to: invoice.ship_to.as_ref().map(|ship_to| party(ship_to, labels, home, false)),
            facts: facts(invoice, &write),
            amount_label: labels.amount_in.replace("{currency}", &clean(&invoice.totals.due.currency)),
            lines: columns::lines(invoice, &write)?,
            taxes: sums::taxes(invoice, &write)?,
            notices: sums::notices(invoice, labels),
            sums: sums::rows(invoice, &write)?,
            due: sums::due(invoice, &write)?,
            paid: invoice.paid_on.map(|day| labels.paid_on.replace("{date}", &write.date(day))),
            payment: sums::payment(invoice, &write),
            note: text(invoice.note.as_deref()),
            seller,
        })
    }
}

fn party(party: &Party, labels: &Labels, home: &str, legal: bool) -> PartyView {
    let mut address: Vec<String> = party.address.iter().map(|line| clean(line)).collect();
    // The post wants the country of destination in capitals, and none at all at home.
    if party.country != home && !party.country.is_empty() {
        address.push(clean(labels.country(&party.country)).to_uppercase());
    }
    let labelled = |label: &str, value: &Option<String>| {
        text(value.as_deref()).map(|value| format!("{label}\u{a0}{}", value.replace(' ', "\u{a0}")))
    };
    let identifiers = [
        labelled(&labels.vat_id, &party.vat_id),
        labelled(&labels.tax_number, &party.tax_number),
        text(party.registration.as_deref()),
    ];
    let contact = [&party.email, &party.phone, &party.website];
    PartyView {
        name: clean(&party.name),
        address,
        contact: contact.into_iter().filter_map(|value| text(value.as_deref())).collect(),
        legal: if legal { identifiers.into_iter().flatten().collect() } else { Vec::new() },
    }
}

fn facts(invoice: &Invoice, write: &Conventions) -> Vec<Fact> {
    let labels = write.labels();
    let day = |date: Option<chrono::NaiveDate>| date.map(|date| write.date(date));
    [
        (&labels.issue_date, day(Some(invoice.issue_date))),
        (&labels.due_date, day(invoice.due_date.filter(|_| invoice.kind != Kind::CreditNote))),
        (&labels.delivery_date, day(invoice.delivery_date)),
        (&labels.original_invoice, text(invoice.preceding_invoice.as_deref())),
        (&labels.order_number, text(invoice.order_reference.as_deref())),
        (&labels.your_vat_id, text(invoice.buyer.vat_id.as_deref())),
        (&labels.your_reference, text(invoice.buyer_reference.as_deref())),
    ]
    .into_iter()
    .filter_map(|(label, value)| value.map(|value| Fact::new(label, value)))
    .collect()
}
