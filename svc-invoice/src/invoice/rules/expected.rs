//! What the sender takes the invoice to come to, against what it comes to.

use nats::types::Totals;

use super::Mistakes;
use crate::invoice::content::ExpectedTotals;

/// Checks each figure that the sender gave.
pub(super) fn check(theirs: &ExpectedTotals, ours: &Totals, mistakes: &mut Mistakes) {
    let figures = [
        ("line_total", theirs.line_total, ours.line_total),
        ("allowance_total", theirs.allowance_total, ours.allowance_total),
        ("charge_total", theirs.charge_total, ours.charge_total),
        ("tax_exclusive", theirs.tax_exclusive, ours.tax_exclusive),
        ("tax_total", theirs.tax_total, ours.tax_total),
        ("tax_inclusive", theirs.tax_inclusive, ours.tax_inclusive),
        // Nothing of an upload is paid.
        ("due", theirs.due, ours.tax_inclusive),
    ];
    for (field, theirs, ours) in figures {
        if let Some(theirs) = theirs.filter(|theirs| theirs.decimal() != ours.to_decimal()) {
            let detail = format!("it says {theirs} {}, but the invoice comes to {ours}", ours.currency);
            mistakes.add(format!("/totals/{field}"), detail);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use nats::types::{Currency, Line, TaxCategory, TaxRate};
    use rust_decimal::Decimal;

    use super::*;

    fn ours() -> Totals {
        let tax = TaxRate::new(TaxCategory::Standard, Decimal::from(19)).unwrap();
        let line = Line {
            quantity: Decimal::ONE,
            unit_price: Decimal::ONE_HUNDRED,
            price_base_quantity: Decimal::ONE,
            allowances: Vec::new(),
            charges: Vec::new(),
            tax,
        };
        Totals::compute(Currency::EUR, &[line], &[], &[]).unwrap()
    }

    fn told(theirs: &ExpectedTotals) -> Vec<(String, String)> {
        let mut mistakes = Mistakes::default();
        check(theirs, &ours(), &mut mistakes);
        mistakes.0
    }

    #[test]
    fn the_same_figures_are_no_mistake_however_they_are_written() {
        let figure = |text: &str| Some(text.parse().unwrap());
        let theirs = ExpectedTotals {
            line_total: figure("100"),
            allowance_total: figure("0"),
            charge_total: figure("0.00"),
            tax_exclusive: figure("100.0"),
            tax_total: figure("19.0000"),
            tax_inclusive: figure("119.00"),
            due: figure("119"),
        };
        assert_eq!(told(&theirs), []);
        assert_eq!(told(&ExpectedTotals::default()), []);
    }

    #[test]
    fn another_figure_is_told_with_ours() {
        let theirs = ExpectedTotals { tax_total: Some("19.001".parse().unwrap()), ..ExpectedTotals::default() };
        let detail = "it says 19.001 EUR, but the invoice comes to 19.00 EUR".to_owned();
        assert_eq!(told(&theirs), [("/totals/tax_total".to_owned(), detail)]);
    }
}
