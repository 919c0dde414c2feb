//! What an order comes to: the reserved articles and the shipping, through the money engine.
//!
//! The trap: nothing is added up here. Every figure of an order is one that [`Totals`] computed, so that the invoice, which
//! asks the same engine, says the same.

use nats::{
    contracts::{catalog::ReservedLine, shipping::ShippingQuote},
    problem::Problem,
    types::{Adjustment, CountryCode, Currency, Line, TaxRate, Totals, TotalsError},
};

use super::tax::Destination;

/// The figures of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Price {
    /// The tax of each line, in the order of the lines.
    pub(crate) line_tax: Vec<TaxRate>,
    /// The tax of the shipping costs.
    pub(crate) shipping_tax: TaxRate,
    /// The engine's answer; the shipping costs are its only charge.
    pub(crate) totals: Totals,
}

/// The figures of `lines`, sent to `country` for what `quote` says.
///
/// # Errors
/// `invalid_request` when the order comes to nothing, or to more than can be counted.
pub(crate) fn price(
    currency: Currency,
    country: CountryCode,
    lines: &[ReservedLine],
    quote: &ShippingQuote,
) -> Result<Price, Problem> {
    let too_much = |error: TotalsError| Problem::invalid("/lines", format!("This order cannot be totalled: {error}."));
    let destination = Destination::of(country).map_err(Problem::internal)?;
    let mut line_tax = Vec::with_capacity(lines.len());
    let mut priced = Vec::with_capacity(lines.len());
    for line in lines {
        let tax = destination.of_article(line.tax_category).map_err(Problem::internal)?;
        priced.push(Line::priced(currency, line.quantity, line.unit_price, tax).map_err(Problem::internal)?);
        line_tax.push(tax);
    }
    let shipping_tax = destination.of_shipping();
    let shipping = Adjustment::priced(currency, quote.price, shipping_tax).map_err(Problem::internal)?;
    let totals = Totals::compute(currency, &priced, &[], &[shipping]).map_err(too_much)?;
    if totals.tax_inclusive.amount <= 0 {
        return Err(Problem::invalid("/lines", "This order comes to nothing, and there is no payment of nothing."));
    }
    Ok(Price { line_tax, shipping_tax, totals })
}

/// What the goods weigh, in grams.
pub(crate) fn weight(lines: &[ReservedLine]) -> i64 {
    lines
        .iter()
        .map(|line| i64::from(line.weight_g).saturating_mul(line.quantity.get().into()))
        .fold(0, i64::saturating_add)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use nats::types::{Money, ProductId, Quantity, TaxCategory};
    use proptest::prelude::*;

    use super::*;

    fn reserved(quantity: i64, cents: i64, tax_category: TaxCategory) -> ReservedLine {
        ReservedLine {
            sku: "LMP-1".parse().unwrap(),
            quantity: Quantity::new(quantity).unwrap(),
            product_id: ProductId::new(),
            name: "Desk lamp".to_owned(),
            unit_price: Money::new(cents, Currency::EUR),
            tax_category,
            weight_g: 1200,
        }
    }

    fn quote(cents: i64) -> ShippingQuote {
        let price = Money::new(cents, Currency::EUR);
        ShippingQuote { zone: "domestic".to_owned(), service_level: "Parcel".to_owned(), price }
    }

    fn total(country: &str, lines: &[ReservedLine], shipping: i64) -> Result<Price, Problem> {
        price(Currency::EUR, country.parse().unwrap(), lines, &quote(shipping))
    }

    #[test]
    fn shipping_is_taxed_with_its_own_group() {
        let lines = [reserved(2, 4990, TaxCategory::Standard), reserved(1, 1000, TaxCategory::Zero)];
        let Totals { line_total, charge_total, breakdown, tax_total, tax_inclusive, .. } =
            total("DE", &lines, 490).unwrap().totals;
        assert_eq!((line_total.amount, charge_total.amount), (10_980, 490));
        let groups: Vec<_> = breakdown.iter().map(|g| (g.category.code(), g.taxable.amount, g.tax.amount)).collect();
        assert_eq!(groups, [("S", 10_470, 1989), ("Z", 1000, 0)], "19 % of 104.70 is 19.893");
        assert_eq!((tax_total.amount, tax_inclusive.amount), (1989, 13_459));
    }

    #[test]
    fn exports_are_free_of_tax() {
        let price = total("CH", &[reserved(1, 10_000, TaxCategory::Standard)], 1990).unwrap();
        assert_eq!(price.totals.tax_total.amount, 0);
        assert_eq!(price.totals.tax_inclusive.amount, 11_990);
        assert_eq!(price.shipping_tax.to_string(), "G 0%");
    }

    #[test]
    fn too_much_is_refused_not_wrapped() {
        let huge = reserved(100_000, 99_999_999_999_999, TaxCategory::Standard);
        let refused = total("DE", &[huge], 490).unwrap_err();
        assert_eq!(refused.code(), nats::problem::Code::InvalidRequest, "{refused}");
    }

    #[test]
    fn weight_is_that_of_all_pieces() {
        let lines = [reserved(2, 1, TaxCategory::Standard), reserved(3, 1, TaxCategory::Standard)];
        assert_eq!(weight(&lines), 6000);
    }

    proptest! {
        #[test]
        fn the_figures_of_an_order_fit_together(
            lines in prop::collection::vec((1_i64..=1000, 0_i64..10_000_000, 0_usize..3), 1..20),
            shipping in 0_i64..100_000,
            country in prop::sample::select(vec!["DE", "FI", "HU", "LU", "CH", "US"]),
        ) {
            let categories = [TaxCategory::Standard, TaxCategory::Zero, TaxCategory::Exempt];
            let lines: Vec<_> = lines.into_iter().map(|(q, p, c)| reserved(q, p, categories[c])).collect();
            let Price { totals, line_tax, .. } = total(country, &lines, shipping).unwrap();
            // The invariants of the tables.
            for (line, net) in lines.iter().zip(&totals.line_net) {
                prop_assert_eq!(net.amount, line.unit_price.amount * i64::from(line.quantity.get()));
            }
            let sum = totals.line_total.amount + totals.charge_total.amount + totals.tax_total.amount;
            prop_assert_eq!(totals.tax_inclusive.amount, sum);
            prop_assert_eq!(totals.charge_total.amount, shipping);
            prop_assert_eq!(line_tax.len(), lines.len());
        }
    }
}
