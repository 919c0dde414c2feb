#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use proptest::prelude::*;

use super::*;

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn tax(category: &str, rate: &str) -> TaxRate {
    TaxRate::new(category.parse().unwrap(), decimal(rate)).unwrap()
}

fn line(quantity: &str, unit_price: &str, tax: TaxRate) -> Line {
    Line {
        quantity: decimal(quantity),
        unit_price: decimal(unit_price),
        price_base_quantity: Decimal::ONE,
        allowances: Vec::new(),
        charges: Vec::new(),
        tax,
    }
}

fn minor(totals: &Totals) -> [i64; 6] {
    let Totals { line_total, allowance_total, charge_total, tax_exclusive, tax_total, tax_inclusive, .. } = totals;
    [line_total, allowance_total, charge_total, tax_exclusive, tax_total, tax_inclusive].map(|money| money.amount)
}

/// The invoice that the API document shows.
#[test]
fn the_documented_invoice() {
    let mut assembly = line("1.5", "60.00", tax("S", "19"));
    assembly.allowances.push(decimal("5.00"));
    let lines = [line("2", "49.90", tax("S", "19")), assembly];
    let shipping = Adjustment { amount: decimal("4.90"), tax: tax("S", "19") };
    let totals = Totals::compute(Currency::EUR, &lines, &[], &[shipping]).unwrap();
    assert_eq!(totals.line_net.iter().map(|net| net.amount).collect::<Vec<_>>(), [9980, 8500]);
    assert_eq!(minor(&totals), [18480, 0, 490, 18970, 3604, 22574]);
    assert_eq!(totals.amount_due(Money::new(20000, Currency::EUR)).unwrap().amount, 2574);
}

#[test]
fn tax_is_rounded_once_per_group() {
    // 3 × 0.10 at 5 %: 0.02 as a group, 0.03 if each line were rounded.
    let lines = vec![line("1", "0.10", tax("S", "5")); 3];
    let totals = Totals::compute(Currency::EUR, &lines, &[], &[]).unwrap();
    assert_eq!(totals.tax_total.amount, 2);
}

#[test]
fn groups_are_sorted_and_rates_are_numbers() {
    let lines = [
        line("1", "1", tax("O", "0")),
        line("1", "1", tax("S", "19.00")),
        line("1", "1", tax("E", "0")),
        line("1", "1", tax("S", "7")),
        line("1", "1", tax("S", "19")),
    ];
    let totals = Totals::compute(Currency::EUR, &lines, &[], &[]).unwrap();
    let groups: Vec<_> =
        totals.breakdown.iter().map(|g| format!("{} {} {}", g.category, g.rate, g.taxable.amount)).collect();
    assert_eq!(groups, ["S 7 100", "S 19 200", "E 0 100", "O 0 100"]);
}

#[test]
fn each_currency_has_its_digits() {
    for (currency, net, group_tax) in [(Currency::JPY, 12, 2), (Currency::EUR, 1235, 235), (Currency::JOD, 12345, 2346)]
    {
        let totals = Totals::compute(currency, &[line("1", "12.345", tax("S", "19"))], &[], &[]).unwrap();
        assert_eq!((totals.line_total.amount, totals.tax_total.amount), (net, group_tax), "{currency}");
    }
}

#[test]
fn a_price_may_be_for_many() {
    let priced = |quantity, price, base: &str| Line {
        price_base_quantity: decimal(base),
        ..line(quantity, price, tax("S", "19"))
    };
    for (quantity, price, base, minor) in [
        ("250", "12.90", "100", 3225),
        ("1", "1", "3", 33),
        ("2", "1", "3", 67),
        ("1", "0.01", "2", 1),
        ("-1", "0.01", "2", -1),
        ("0.9999", "0.01", "2", 0),
        ("999999", "0.005", "1000000", 0),
        ("1000000", "0.005", "1000000", 1),
    ] {
        let totals = Totals::compute(Currency::EUR, &[priced(quantity, price, base)], &[], &[]).unwrap();
        assert_eq!(totals.line_total.amount, minor, "{quantity} × {price} ÷ {base}");
    }
    for base in ["0", "-1", "0.5", "1000001"] {
        let refused = Totals::compute(Currency::EUR, &[priced("1", "1", base)], &[], &[]).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "/lines/0/price_base_quantity must be a whole number from 1 to 1000000",
            "{base}"
        );
    }
}

#[test]
fn order_lines() {
    let price = Money::new(1299, Currency::EUR);
    let three = Quantity::new(3).unwrap();
    let lines = [Line::priced(Currency::EUR, three, price, tax("S", "19")).unwrap()];
    let shipping = [Adjustment::priced(Currency::EUR, Money::new(490, Currency::EUR), tax("S", "19")).unwrap()];
    let totals = Totals::compute(Currency::EUR, &lines, &[], &shipping).unwrap();
    assert_eq!(minor(&totals), [3897, 0, 490, 4387, 834, 5221]);
    assert!(matches!(Line::priced(Currency::JPY, three, price, tax("S", "19")), Err(MoneyError::CurrencyMismatch(..))));
}

#[test]
fn nothing_comes_to_zero() {
    let totals = Totals::compute(Currency::EUR, &[], &[], &[]).unwrap();
    assert_eq!(minor(&totals), [0; 6]);
    assert!(totals.breakdown.is_empty());
}

#[test]
fn too_large_or_too_fine_is_an_error() {
    let compute = |line: Line| Totals::compute(Currency::EUR, &[line], &[], &[]);
    let most = "999999999999.9999";
    assert_eq!(compute(line(most, most, tax("Z", "0"))), Err(TotalsError::Overflow));
    assert_eq!(
        compute(line("92233720368547758.08", "1", tax("Z", "0"))).unwrap_err().to_string(),
        "/lines/0/quantity must have at most 12 digits before and 4 after the decimal point"
    );
    let out_of_range = TotalsError::OutOfRange { pointer: "/lines/0/unit_price".into() };
    assert_eq!(compute(line("1", "0.00001", tax("Z", "0"))), Err(out_of_range));
    let big = line("1000000", "92233720368.5477", tax("Z", "0"));
    assert!(compute(big.clone()).is_ok());
    assert_eq!(Totals::compute(Currency::EUR, &[big.clone(), big], &[], &[]), Err(TotalsError::Overflow));
}

fn any_tax() -> impl Strategy<Value = TaxRate> {
    prop_oneof![
        (1i64..=1_000_000).prop_map(|rate| TaxRate::new(TaxCategory::Standard, Decimal::new(rate, 4)).unwrap()),
        prop::sample::select(vec!["5.5", "7", "19", "19.00"]).prop_map(|rate| tax("S", rate)),
        prop::sample::select(&TaxCategory::ALL[1..])
            .prop_map(|category| TaxRate::new(category, Decimal::ZERO).unwrap()),
    ]
}

fn any_decimal(most: i64) -> impl Strategy<Value = Decimal> {
    (-most..=most, 0u32..=4).prop_map(|(mantissa, scale)| Decimal::new(mantissa, scale))
}

fn any_line(most: i64) -> impl Strategy<Value = Line> {
    let amounts = || prop::collection::vec(any_decimal(most), 0..3);
    (any_decimal(most), any_decimal(most), amounts(), amounts(), any_tax()).prop_map(
        |(quantity, unit_price, allowances, charges, tax)| Line {
            quantity,
            unit_price,
            price_base_quantity: Decimal::ONE,
            allowances,
            charges,
            tax,
        },
    )
}

fn any_adjustments(most: i64) -> impl Strategy<Value = Vec<Adjustment>> {
    prop::collection::vec((any_decimal(most), any_tax()).prop_map(|(amount, tax)| Adjustment { amount, tax }), 0..4)
}

type Document = (Currency, Vec<Line>, Vec<Adjustment>, Vec<Adjustment>);

fn any_document(most: i64) -> impl Strategy<Value = Document> {
    let currency = prop::sample::select(vec![Currency::JPY, Currency::EUR, Currency::JOD]);
    let lines = prop::collection::vec(any_line(most), 0..8);
    (currency, lines, any_adjustments(most), any_adjustments(most))
}

fn total(document: &Document) -> Result<Totals, TotalsError> {
    Totals::compute(document.0, &document.1, &document.2, &document.3)
}

proptest! {
    #[test]
    fn sums_add_up(document in any_document(1_000_000)) {
        let totals = total(&document).unwrap();
        let sum = |amounts: Vec<Money>| amounts.iter().map(|money| money.amount).sum::<i64>();
        let [line_total, allowances, charges, exclusive, tax, inclusive] = minor(&totals);
        prop_assert_eq!(line_total, sum(totals.line_net.clone()));
        prop_assert_eq!(exclusive, line_total - allowances + charges);
        prop_assert_eq!(exclusive, sum(totals.breakdown.iter().map(|group| group.taxable).collect()));
        prop_assert_eq!(tax, sum(totals.breakdown.iter().map(|group| group.tax).collect()));
        prop_assert_eq!(inclusive, exclusive + tax);
        prop_assert!(totals.breakdown.is_sorted_by_key(|group| (group.category, group.rate)));
        // Half a minor unit is the most that one rounding may be off.
        for group in &totals.breakdown {
            let exact = group.taxable.to_decimal() * group.rate.decimal() / Decimal::ONE_HUNDRED;
            let off = (group.tax.to_decimal() - exact).abs();
            prop_assert!(off <= Decimal::new(5, document.0.exponent() + 1));
        }
    }

    #[test]
    fn breakdown_does_not_depend_on_order(document in any_document(1_000_000), seed: usize) {
        let mut shuffled = document.clone();
        shuffled.1.reverse();
        if !shuffled.1.is_empty() {
            let middle = seed % shuffled.1.len();
            shuffled.1.rotate_left(middle);
        }
        shuffled.2.reverse();
        shuffled.3.reverse();
        let (one, other) = (total(&document).unwrap(), total(&shuffled).unwrap());
        prop_assert_eq!(minor(&one), minor(&other));
        prop_assert_eq!(serde_json::to_string(&one.breakdown).unwrap(), serde_json::to_string(&other.breakdown).unwrap());
    }

    /// A credit note for everything is the invoice with the opposite sign.
    #[test]
    fn a_reversal_is_the_exact_opposite(document in any_document(1_000_000)) {
        let mut reversed = document.clone();
        for line in &mut reversed.1 {
            line.quantity = -line.quantity;
            line.allowances.iter_mut().chain(&mut line.charges).for_each(|amount| *amount = -*amount);
        }
        reversed.2.iter_mut().chain(&mut reversed.3).for_each(|adjustment| adjustment.amount = -adjustment.amount);
        prop_assert_eq!(minor(&total(&reversed).unwrap()), minor(&total(&document).unwrap()).map(|amount| -amount));
    }

    #[test]
    fn any_input_is_an_answer(document in any_document(i64::MAX)) {
        let _ = total(&document);
    }

    #[test]
    fn json_round_trips(document in any_document(1_000_000)) {
        let totals = total(&document).unwrap();
        let json = serde_json::to_string(&totals).unwrap();
        prop_assert_eq!(serde_json::from_str::<Totals>(&json).unwrap(), totals);
    }
}
