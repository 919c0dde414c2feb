//! The sums, from the subtotal to the amount due, with the tax by category and rate.

use rust_decimal::Decimal;

use super::sheet::{AMOUNT, CATEGORY, NAME, RATE, Rows, Sheet, TAXABLE, cell, column};
use crate::document::file_error::FileError;
use crate::document::model::{Adjustment, Invoice, Kind};
use crate::document::written::{number, text};
use crate::document::xml::major;

pub(super) fn sums(sheet: &mut Sheet<'_>, invoice: &Invoice, lines: Rows) -> Result<(), FileError> {
    let labels = sheet.labels;
    let totals = &invoice.totals;
    sheet.next();
    sheet.label_of_amount(&labels.subtotal)?;
    let formula = format!("=SUM({})", column(lines, AMOUNT));
    sheet.sum(AMOUNT, &formula, &totals.lines, || "/totals/lines".to_owned())?;
    let mut net = sheet.here(AMOUNT);
    sheet.next();
    let adjusted = adjustments(sheet, invoice)?;
    if let Some(rows) = adjusted {
        net = format!("{net}+SUM({})", column(rows, AMOUNT));
    }
    sheet.label_of_amount(&labels.net_total)?;
    sheet.sum(AMOUNT, &format!("={net}"), &totals.net, || "/totals/net".to_owned())?;
    let net = sheet.here(AMOUNT);
    sheet.next();
    sheet.next();
    let taxes = taxes(sheet, invoice, lines, adjusted)?;
    sheet.label_of_amount(&labels.tax_total)?;
    let formula = format!("=SUM({})", column(taxes, AMOUNT));
    sheet.sum(AMOUNT, &formula, &totals.tax, || "/totals/tax".to_owned())?;
    let tax = sheet.here(AMOUNT);
    sheet.next();
    sheet.label_of_amount(&labels.gross_total)?;
    sheet.sum(AMOUNT, &format!("={net}+{tax}"), &totals.gross, || "/totals/gross".to_owned())?;
    let mut due = sheet.here(AMOUNT);
    sheet.next();
    for (label, sign, amount, field) in
        [(&labels.prepaid, '-', &totals.prepaid, "prepaid"), (&labels.rounding, '+', &totals.rounding, "rounding")]
    {
        if let Some(amount) = amount {
            sheet.label_of_amount(label)?;
            sheet.money(AMOUNT, major(amount, || format!("/totals/{field}"))?)?;
            due = format!("{due}{sign}{}", sheet.here(AMOUNT));
            sheet.next();
        }
    }
    let label = if invoice.kind == Kind::CreditNote { &labels.amount_credited } else { &labels.amount_due };
    sheet.total(&format!("={due}"), &totals.due, label)?;
    sheet.next();
    Ok(())
}

/// What is taken off the whole and added to it, the first with a minus; where they stand.
fn adjustments(sheet: &mut Sheet<'_>, invoice: &Invoice) -> Result<Option<Rows>, FileError> {
    let labels = sheet.labels;
    let first = sheet.row;
    let taken = invoice.allowances.iter().enumerate().map(|item| (item, true));
    let added = invoice.charges.iter().enumerate().map(|item| (item, false));
    for ((index, item), taken) in taken.chain(added) {
        let field = if taken { "allowances" } else { "charges" };
        let usual = if taken { &labels.allowance } else { &labels.charge };
        adjustment(sheet, item, taken, usual, &format!("/{field}/{index}"))?;
        sheet.next();
    }
    Ok((sheet.row > first).then(|| Rows { first, last: sheet.row.saturating_sub(1) }))
}

fn adjustment(sheet: &mut Sheet<'_>, item: &Adjustment, taken: bool, usual: &str, at: &str) -> Result<(), FileError> {
    let reason = text(item.reason.as_deref());
    sheet.text(NAME, reason.as_deref().unwrap_or(usual))?;
    if let Some(tax) = &item.tax {
        sheet.text(CATEGORY, &tax.category)?;
        sheet.rate(number(&tax.rate, || format!("{at}/tax_rate"))?)?;
    }
    let mut amount = major(&item.amount, || format!("{at}/amount"))?;
    amount.set_sign_negative(taken && !amount.is_zero());
    sheet.money(AMOUNT, amount)
}

/// What is taxed, by category and rate, and the tax on it; where the groups stand.
fn taxes(sheet: &mut Sheet<'_>, invoice: &Invoice, lines: Rows, adjusted: Option<Rows>) -> Result<Rows, FileError> {
    let labels = sheet.labels;
    sheet.head(&[(TAXABLE, &labels.tax_basis), (CATEGORY, &labels.tax), (RATE, "%"), (AMOUNT, &labels.tax_total)])?;
    sheet.next();
    let first = sheet.row;
    for (index, group) in invoice.taxes.iter().enumerate() {
        let at = |field: &str| format!("/taxes/{index}/{field}");
        sheet.text(CATEGORY, &group.category)?;
        let rate: Decimal = number(&group.rate, || at("rate"))?;
        sheet.rate(rate)?;
        let (category, percent) = (sheet.here(CATEGORY), sheet.here(RATE));
        let of = |rows: Rows| {
            let [amounts, categories, rates] = [AMOUNT, CATEGORY, RATE].map(|of| column(rows, of));
            format!("SUMIFS({amounts},{categories},{category},{rates},{percent})")
        };
        let parts: Vec<String> = std::iter::once(lines).chain(adjusted).map(of).collect();
        sheet.sum(TAXABLE, &format!("={}", parts.join("+")), &group.basis, || at("basis"))?;
        let formula = format!("=ROUND({}*{percent},{})", cell(sheet.row, TAXABLE), sheet.digits);
        sheet.sum(AMOUNT, &formula, &group.tax, || at("tax"))?;
        sheet.next();
    }
    Ok(Rows { first, last: sheet.row.saturating_sub(1).max(first) })
}
