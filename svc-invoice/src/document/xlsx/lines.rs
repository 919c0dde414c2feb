//! The lines, each with a formula for what it comes to.

use rust_decimal::Decimal;

use super::sheet::{
    ALLOWANCES, AMOUNT, ARTICLE, CATEGORY, CHARGES, DESCRIPTION, NAME, POSITION, PRICE, PRICE_BASE, QUANTITY, RATE,
    Rows, Sheet, UNIT,
};
use crate::document::file_error::FileError;
use crate::document::model::{Adjustment, Invoice, Line};
use crate::document::view::ViewError;
use crate::document::written::number;
use crate::document::xml::major;

/// The table's head and its lines.
pub(super) fn lines(sheet: &mut Sheet<'_>, invoice: &Invoice) -> Result<Rows, FileError> {
    let labels = sheet.labels;
    let amount = labels.amount_in.replace("{currency}", &invoice.totals.due.currency);
    sheet.repeat_head()?;
    sheet.head(&[
        (POSITION, &labels.position),
        (ARTICLE, &labels.sku),
        (NAME, &labels.item),
        (DESCRIPTION, ""),
        (QUANTITY, &labels.quantity),
        (UNIT, ""),
        (PRICE, &labels.unit_price),
        (PRICE_BASE, "÷"),
        (ALLOWANCES, &labels.allowance),
        (CHARGES, &labels.charge),
        (CATEGORY, &labels.tax),
        (RATE, "%"),
        (AMOUNT, &amount),
    ])?;
    sheet.next();
    let first = sheet.row;
    for (index, row) in invoice.lines.iter().enumerate() {
        line(sheet, index, row)?;
        sheet.next();
    }
    Ok(Rows { first, last: sheet.row.saturating_sub(1).max(first) })
}

fn line(sheet: &mut Sheet<'_>, index: usize, line: &Line) -> Result<(), FileError> {
    let at = |field: &str| format!("/lines/{index}/{field}");
    let unit = sheet.labels.unit(&line.unit).to_owned();
    sheet.number(POSITION, Decimal::from(index.saturating_add(1)))?;
    sheet.text(ARTICLE, line.sku.as_deref().unwrap_or_default())?;
    sheet.text(NAME, &line.name)?;
    sheet.text(DESCRIPTION, line.description.as_deref().unwrap_or_default())?;
    sheet.number(QUANTITY, number(&line.quantity, || at("quantity"))?)?;
    sheet.text(UNIT, &unit)?;
    sheet.price(number(&line.unit_price, || at("unit_price"))?)?;
    let mut net = format!("{}*{}", sheet.here(QUANTITY), sheet.here(PRICE));
    if let Some(base) = &line.price_base_quantity {
        sheet.number(PRICE_BASE, number(base, || at("price_base_quantity"))?)?;
        net = format!("{net}/{}", sheet.here(PRICE_BASE));
    }
    for (column, sign, items, field) in
        [(ALLOWANCES, '-', &line.allowances, "allowances"), (CHARGES, '+', &line.charges, "charges")]
    {
        if !items.is_empty() {
            sheet.money(column, sum(items, || at(field))?)?;
            net = format!("{net}{sign}{}", sheet.here(column));
        }
    }
    sheet.text(CATEGORY, &line.tax_category)?;
    sheet.rate(number(&line.tax_rate, || at("tax_rate"))?)?;
    let digits = sheet.digits;
    sheet.sum(AMOUNT, &format!("=ROUND({net},{digits})"), &line.net, || at("net"))
}

/// The sum of a line's allowances or charges.
fn sum(items: &[Adjustment], at: impl Fn() -> String) -> Result<Decimal, FileError> {
    items.iter().try_fold(Decimal::ZERO, |sum, item| {
        let too_large = || ViewError { pointer: at(), value: format!("{:?}", item.amount) };
        Ok(sum.checked_add(major(&item.amount, &at)?).ok_or_else(too_large)?)
    })
}
