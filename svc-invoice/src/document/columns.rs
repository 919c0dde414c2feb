//! The rows of the items table, and what makes their figures stand in columns.
//!
//! The trap: right-aligned is not aligned. `2` beside `1,5` has its decimal sign elsewhere, unless it gets the room of the
//! digits that it lacks; the page prints those invisibly.

use super::format::Conventions;
use super::model::{Amount, Invoice, Line};
use super::view::{LineView, ViewError};
use super::written::{adjustment, clean, number, plain, text};

/// All rows, in their order.
pub(super) fn lines(invoice: &Invoice, write: &Conventions) -> Result<Vec<LineView>, ViewError> {
    let mut rows = Vec::with_capacity(invoice.lines.len());
    let mut sum = 0_i64;
    for (index, row) in invoice.lines.iter().enumerate() {
        sum = sum.saturating_add(row.net.minor);
        let is_last = index.saturating_add(1) == invoice.lines.len();
        let carried = Amount { minor: sum, ..row.net.clone() };
        let carried = (!is_last).then(|| plain(&carried, write, || format!("/lines/{index}/net"))).transpose()?;
        rows.push(LineView { carried, ..line(index, row, write)? });
    }
    let sign = write.decimal_sign();
    let longest = |value: fn(&LineView) -> &str| rows.iter().map(|row| places(value(row), sign)).max().unwrap_or(0);
    let (quantity, price) = (longest(|row| &row.quantity), longest(|row| &row.unit_price));
    for row in &mut rows {
        row.quantity_rest = rest(&row.quantity, quantity, sign);
        row.price_rest = rest(&row.unit_price, price, sign);
    }
    Ok(rows)
}

fn line(index: usize, line: &Line, write: &Conventions) -> Result<LineView, ViewError> {
    let labels = write.labels();
    let pointer = |field: &str| format!("/lines/{index}/{field}");
    let digits = u32::from(line.net.exponent);
    let taken = line.allowances.iter().map(|item| (item, -1, &labels.allowance));
    let added = line.charges.iter().map(|item| (item, 1, &labels.charge));
    Ok(LineView {
        position: index.saturating_add(1),
        name: clean(&line.name),
        sku: text(line.sku.as_deref()).map(|sku| format!("{} {sku}", labels.sku)),
        description: text(line.description.as_deref()),
        quantity: write.number(number(&line.quantity, || pointer("quantity"))?, 0),
        quantity_rest: None,
        unit: clean(labels.unit(&line.unit)),
        unit_price: write.number(number(&line.unit_price, || pointer("unit_price"))?, digits),
        price_rest: None,
        price_for: price_for(line, write, || pointer("price_base_quantity"))?,
        tax: write.percent(number(&line.tax_rate, || pointer("tax_rate"))?),
        net: plain(&line.net, write, || pointer("net"))?,
        carried: None,
        adjustments: taken
            .chain(added)
            .map(|(item, sign, label)| adjustment(item, sign, label, write, || pointer("allowances")))
            .collect::<Result<_, _>>()?,
    })
}

/// A price is for one unit, unless it says for how many.
fn price_for(line: &Line, write: &Conventions, at: impl FnOnce() -> String) -> Result<Option<String>, ViewError> {
    let Some(base) = line.price_base_quantity.as_deref().filter(|base| *base != "1") else { return Ok(None) };
    let unit = clean(write.labels().unit(&line.unit));
    Ok(Some(format!("/\u{a0}{}\u{a0}{unit}", write.number(number(base, at)?, 0))))
}

/// Digits after the decimal sign.
fn places(value: &str, sign: &str) -> usize {
    value.rsplit_once(sign).map_or(0, |(_, fraction)| fraction.len())
}

/// What the value lacks to as many places.
fn rest(value: &str, most: usize, sign: &str) -> Option<String> {
    match places(value, sign) {
        own if own >= most => None,
        0 => Some(format!("{sign}{}", "0".repeat(most))),
        own => Some("0".repeat(most.saturating_sub(own))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    fn sample() -> Invoice {
        serde_json::from_str(include_str!("../../templates/sample/invoice.json")).unwrap()
    }

    #[test]
    fn decimal_signs_stand_in_line() {
        let mut invoice = sample();
        invoice.lines[2].quantity = "1234.125".to_owned();
        let rows = lines(&invoice, &Conventions::of("de-DE")).unwrap();
        let column: Vec<_> = rows.iter().map(|row| (row.quantity.as_str(), row.quantity_rest.as_deref())).collect();
        assert_eq!(column, [("2", Some(",000")), ("1,5", Some("00")), ("1.234,125", None)]);
        assert!(rows.iter().all(|row| row.price_rest.is_none()), "all have two places");
    }

    #[test]
    fn each_row_but_the_last_carries_the_sum_so_far() {
        let rows = lines(&sample(), &Conventions::of("de-DE")).unwrap();
        let carried: Vec<_> = rows.iter().map(|row| row.carried.as_deref()).collect();
        assert_eq!(carried, [Some("99,80"), Some("184,80"), None]);
    }
}
