//! What must agree between the fields of an invoice, and what it then comes to.
//!
//! All mistakes are told at once, each with its JSON pointer.

mod e_invoice;
mod expected;
mod parties;
mod tax;

use chrono::{Datelike as _, NaiveDate};
use nats::{
    problem::{Code, Problem},
    types::{Adjustment, Currency, DecimalString, Line, MOST_PRICED_TOGETHER, Totals, TotalsError},
};
use rust_decimal::Decimal;

use super::{
    codes,
    content::{InvoiceAdjustment, InvoiceLine, InvoiceUpload, LineAdjustment},
    values::DocumentFormat,
};

const MOST_LINES: usize = 1000;
const MOST_LINE_ADJUSTMENTS: usize = 20;
const MOST_ADJUSTMENTS: usize = 50;
/// Of all lines together: each is a line on the page, and setting a page takes its time.
const MOST_ADJUSTMENTS_OF_LINES: usize = 1000;
const MOST_EXEMPTIONS: usize = 5;
/// Fifteen digits: what a spreadsheet's numbers keep.
const LARGEST_IN_A_SPREADSHEET: i64 = 999_999_999_999_999;
/// More than anyone mends in one go.
const MOST_TOLD: usize = 20;

/// Checks an upload that is issued on `issue_date`, and computes its totals.
///
/// # Errors
/// `invalid_request` with a pointer to each mistake.
pub(crate) fn check(upload: &InvoiceUpload, issue_date: NaiveDate) -> Result<Totals, Problem> {
    let mut mistakes = Mistakes::default();
    check_dates(upload, issue_date, &mut mistakes);
    check_formats(&upload.formats, &mut mistakes);
    check_counts(upload, &mut mistakes);
    check_payment(upload, &mut mistakes);
    tax::check(upload, &mut mistakes);
    parties::check(upload, &mut mistakes);
    e_invoice::check(upload, &mut mistakes);
    let currency = upload.currency;
    let lines =
        collect(&upload.lines, |index, line| line_of(line, currency, &format!("/lines/{index}"), &mut mistakes));
    let allowances = collect(&upload.allowances, |index, item| {
        adjustment_of(item, currency, &format!("/allowances/{index}"), &mut mistakes)
    });
    let charges = collect(&upload.charges, |index, item| {
        adjustment_of(item, currency, &format!("/charges/{index}"), &mut mistakes)
    });
    mistakes.none()?;
    let totals = Totals::compute(currency, &lines, &allowances, &charges).map_err(|error| match error {
        TotalsError::OutOfRange { pointer } => Problem::invalid(pointer, "this number is too large"),
        TotalsError::PriceBase { pointer } => Problem::invalid(pointer, not_a_price_base()),
        TotalsError::Overflow => Problem::invalid("/lines", "the total is too large"),
    })?;
    check_signs(&totals, &mut mistakes);
    check_digits(&totals, &upload.formats, &mut mistakes);
    e_invoice::check_due(upload, &totals, &mut mistakes);
    if let Some(theirs) = &upload.totals {
        expected::check(theirs, &totals, &mut mistakes);
    }
    mistakes.none()?;
    Ok(totals)
}

#[derive(Default)]
struct Mistakes(Vec<(String, String)>);

impl Mistakes {
    fn add(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.0.push((pointer.into(), detail.into()));
    }

    fn none(&mut self) -> Result<(), Problem> {
        let mistakes = std::mem::take(&mut self.0);
        if mistakes.is_empty() {
            return Ok(());
        }
        let problem = Problem::new(Code::InvalidRequest, "The invoice cannot be accepted as it is.");
        let told = mistakes.into_iter().take(MOST_TOLD);
        Err(told.fold(problem, |problem, (pointer, detail)| problem.at(pointer, detail)))
    }
}

fn collect<T, U>(items: &[T], mut read: impl FnMut(usize, &T) -> Option<U>) -> Vec<U> {
    items.iter().enumerate().filter_map(|(index, item)| read(index, item)).collect()
}

fn check_dates(upload: &InvoiceUpload, issue_date: NaiveDate, mistakes: &mut Mistakes) {
    let days = [
        ("/issue_date", "issue", Some(issue_date)),
        ("/delivery_date", "supply", upload.delivery_date),
        ("/due_date", "payment", upload.due_date),
    ];
    for (pointer, what, day) in days {
        if day.is_some_and(|day| !(2000..=2100).contains(&day.year())) {
            mistakes.add(pointer, format!("the date of {what} must be between 2000 and 2100"));
        }
    }
    if upload.due_date.is_some_and(|due| due < issue_date) {
        mistakes.add("/due_date", format!("an invoice cannot be due before it is issued, on {issue_date}"));
    }
}

fn check_formats(formats: &[DocumentFormat], mistakes: &mut Mistakes) {
    if formats.is_empty() {
        let all: Vec<&str> = DocumentFormat::ALL.iter().map(|format| format.code()).collect();
        mistakes.add("/formats", format!("name at least one format: {}", all.join(", ")));
    }
    for (index, format) in formats.iter().enumerate() {
        if formats.iter().take(index).any(|before| before == format) {
            mistakes.add(format!("/formats/{index}"), format!("`{format}` is named twice"));
        }
    }
}

fn check_counts(upload: &InvoiceUpload, mistakes: &mut Mistakes) {
    if upload.lines.is_empty() {
        mistakes.add("/lines", "an invoice has at least one line");
    }
    let mut at_most = |pointer: String, count: usize, most: usize| {
        if count > most {
            mistakes.add(pointer, format!("there are {count}; at most {most} are accepted"));
        }
    };
    at_most("/lines".to_owned(), upload.lines.len(), MOST_LINES);
    at_most("/allowances".to_owned(), upload.allowances.len(), MOST_ADJUSTMENTS);
    at_most("/charges".to_owned(), upload.charges.len(), MOST_ADJUSTMENTS);
    at_most("/exemptions".to_owned(), upload.exemptions.len(), MOST_EXEMPTIONS);
    for (index, line) in upload.lines.iter().enumerate() {
        at_most(format!("/lines/{index}/allowances"), line.allowances.len(), MOST_LINE_ADJUSTMENTS);
        at_most(format!("/lines/{index}/charges"), line.charges.len(), MOST_LINE_ADJUSTMENTS);
    }
    let of_lines: usize = upload.lines.iter().map(|line| line.allowances.len() + line.charges.len()).sum();
    if of_lines > MOST_ADJUSTMENTS_OF_LINES {
        let most = MOST_ADJUSTMENTS_OF_LINES;
        mistakes.add("/lines", format!("they have {of_lines} allowances and charges; at most {most} are accepted"));
    }
}

fn check_payment(upload: &InvoiceUpload, mistakes: &mut Mistakes) {
    let Some(means) = &upload.payment_means else { return };
    if !codes::is_payment_means(means.code.as_str()) {
        mistakes.add("/payment_means/code", format!("`{}` is not in UNTDID 4461", means.code));
    }
    if means.code.is_transfer() && means.iban.is_none() {
        mistakes.add("/payment_means/iban", "a credit transfer needs the account to transfer to");
    }
}

fn line_of(line: &InvoiceLine, currency: Currency, at: &str, mistakes: &mut Mistakes) -> Option<Line> {
    if line.quantity.decimal() <= Decimal::ZERO {
        mistakes.add(format!("{at}/quantity"), "a quantity must be above zero; goods taken back go on a credit note");
    }
    if line.unit_price.decimal().is_sign_negative() && !line.unit_price.decimal().is_zero() {
        mistakes.add(format!("{at}/unit_price"), "a price cannot be below zero; use an allowance or a credit note");
    }
    if !codes::is_unit(line.unit.as_str()) {
        let detail = format!("`{}` is not in UN/ECE Recommendation 20 or 21; a piece is `C62`", line.unit);
        mistakes.add(format!("{at}/unit"), detail);
    }
    let price_base_quantity = line.price_base_quantity.map_or(Decimal::ONE, DecimalString::decimal);
    if !is_price_base(price_base_quantity) {
        mistakes.add(format!("{at}/price_base_quantity"), not_a_price_base());
    }
    let mut amounts = |items: &[LineAdjustment], what: &str| {
        collect(items, |index, item| amount_of(item.amount, currency, &format!("{at}/{what}/{index}/amount"), mistakes))
    };
    let (allowances, charges) = (amounts(&line.allowances, "allowances"), amounts(&line.charges, "charges"));
    let tax = tax::rate(line.tax_category, line.tax_rate, at, mistakes)?;
    Some(Line {
        quantity: line.quantity.decimal(),
        unit_price: line.unit_price.decimal(),
        price_base_quantity,
        allowances,
        charges,
        tax,
    })
}

fn is_price_base(quantity: Decimal) -> bool {
    quantity.fract().is_zero() && quantity >= Decimal::ONE && quantity <= Decimal::from(MOST_PRICED_TOGETHER)
}

fn not_a_price_base() -> String {
    format!("a price is for a whole number of units, from 1 to {MOST_PRICED_TOGETHER}")
}

fn adjustment_of(
    item: &InvoiceAdjustment,
    currency: Currency,
    at: &str,
    mistakes: &mut Mistakes,
) -> Option<Adjustment> {
    let amount = amount_of(item.amount, currency, &format!("{at}/amount"), mistakes);
    let tax = tax::rate(item.tax_category, item.tax_rate, at, mistakes);
    Some(Adjustment { amount: amount?, tax: tax? })
}

fn amount_of(amount: DecimalString, currency: Currency, at: &str, mistakes: &mut Mistakes) -> Option<Decimal> {
    let amount = amount.decimal().normalize();
    if amount <= Decimal::ZERO {
        mistakes.add(at, "the amount of an allowance or a charge must be above zero");
        return None;
    }
    if amount.scale() > currency.exponent() {
        let digits = currency.exponent();
        mistakes.add(at, format!("an amount in {currency} has at most {digits} digits after the point"));
        return None;
    }
    Some(amount)
}

/// Nothing that is invoiced comes to less than nothing.
fn check_signs(totals: &Totals, mistakes: &mut Mistakes) {
    for (index, net) in totals.line_net.iter().enumerate() {
        if net.is_negative() {
            let detail = format!("the line's allowances exceed it: it comes to {net}");
            mistakes.add(format!("/lines/{index}/allowances"), detail);
        }
    }
    if let Some(group) = totals.breakdown.iter().find(|group| group.taxable.is_negative()) {
        let detail = format!("what is taxed {} {}% comes to {}", group.category, group.rate, group.taxable);
        mistakes.add("/allowances", format!("the allowances exceed what they are taken off: {detail}"));
    }
}

/// A spreadsheet would round what has more digits, and say another total than the other documents.
fn check_digits(totals: &Totals, formats: &[DocumentFormat], mistakes: &mut Mistakes) {
    let largest = totals.line_total.amount.max(totals.tax_inclusive.amount);
    if let Some(index) = formats.iter().position(|format| *format == DocumentFormat::Xlsx)
        && largest > LARGEST_IN_A_SPREADSHEET
    {
        let detail = "a spreadsheet keeps 15 digits, and the total has more; leave this format out";
        mistakes.add(format!("/formats/{index}"), detail);
    }
}
