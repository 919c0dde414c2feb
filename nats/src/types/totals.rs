//! The money engine: what a cart, an order, an invoice or a credit note comes to.
//!
//! The rules are those of EN 16931, so that what a customer saw in the cart is what the invoice
//! says, and the invoice passes its validators:
//!
//! | figure | rule |
//! |---|---|
//! | line net | quantity × unit price ÷ price base − allowances + charges, rounded to the currency's digits |
//! | `line_total` | Σ line nets (BR-CO-10) |
//! | `allowance_total`, `charge_total` | Σ document allowances, Σ document charges (BR-CO-11, 12) |
//! | `tax_exclusive` | line_total − allowance_total + charge_total (BR-CO-13) |
//! | `taxable` of a group | the same sum over what has that category and rate (BR-S-8) |
//! | `tax` of a group | taxable × rate, rounded once (BR-CO-17) |
//! | `tax_total` | Σ tax of the groups (BR-CO-14) |
//! | `tax_inclusive` | tax_exclusive + tax_total (BR-CO-15) |
//! | amount due | tax_inclusive − what is paid (BR-CO-16): [`Totals::amount_due`] |
//!
//! Rounding is half away from zero. All arithmetic is exact before a rounding, and checked.
//! The trap: tax per line, summed, is another number. Show tax per group or not at all.

use std::collections::BTreeMap;

use diesel::{deserialize::FromSqlRow, expression::AsExpression, sql_types};
use poem_openapi::Object;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Currency, DecimalString, Money, MoneyError, Quantity, TaxCategory, TaxRate};

#[cfg(test)]
mod tests;

/// The largest price base: the price of a million.
pub const MOST_PRICED_TOGETHER: i64 = 1_000_000;
/// What a line with a price base may come to. A quotient below it has digits enough to tell a half from almost a half.
const LARGEST_QUOTIENT: i64 = 100_000_000_000;

/// One line to be totalled. Numbers are in major units and in the range of [`DecimalString`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How many units; invoices may have fractions.
    pub quantity: Decimal,
    /// Net price of `price_base_quantity` units, in major units.
    pub unit_price: Decimal,
    /// How many units the price is for, a whole number of 1 to [`MOST_PRICED_TOGETHER`]; 1, unless it is a price per
    /// hundred or the like (BT-149).
    pub price_base_quantity: Decimal,
    /// Deducted from the line, each in major units.
    pub allowances: Vec<Decimal>,
    /// Added to the line, each in major units.
    pub charges: Vec<Decimal>,
    /// The line's tax.
    pub tax: TaxRate,
}

impl Line {
    /// A line of a cart or order: whole pieces at a price in minor units. An error when the price
    /// is not in `currency`, the one that the totals will be in.
    pub fn priced(currency: Currency, quantity: Quantity, price: Money, tax: TaxRate) -> Result<Self, MoneyError> {
        Ok(Self {
            quantity: quantity.get().into(),
            unit_price: in_currency(currency, price)?,
            price_base_quantity: Decimal::ONE,
            allowances: Vec::new(),
            charges: Vec::new(),
            tax,
        })
    }
}

/// An allowance or a charge on the whole document: a discount, the shipping costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjustment {
    /// Net, in major units, in the range of [`DecimalString`]; rounded to the currency's digits.
    pub amount: Decimal,
    /// The adjustment's tax.
    pub tax: TaxRate,
}

impl Adjustment {
    /// An adjustment in minor units. An error when it is not in `currency`, the one that the
    /// totals will be in.
    pub fn priced(currency: Currency, amount: Money, tax: TaxRate) -> Result<Self, MoneyError> {
        Ok(Self { amount: in_currency(currency, amount)?, tax })
    }
}

/// What the lines come to; every amount is in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Jsonb)]
pub struct Totals {
    /// Net amount of each line, in the order of the lines (BT-131).
    pub line_net: Vec<Money>,
    /// Sum of the line nets (BT-106).
    pub line_total: Money,
    /// Sum of the document's allowances (BT-107).
    pub allowance_total: Money,
    /// Sum of the document's charges (BT-108).
    pub charge_total: Money,
    /// Total without tax (BT-109).
    pub tax_exclusive: Money,
    /// Tax by category and rate, sorted by both (BG-23).
    pub breakdown: Vec<TaxGroup>,
    /// Total of the tax (BT-110).
    pub tax_total: Money,
    /// Total with tax (BT-112).
    pub tax_inclusive: Money,
}

jsonb_column!(Totals);

/// The tax of everything that shares a category and a rate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct TaxGroup {
    /// UNTDID 5305 (BT-118).
    pub category: TaxCategory,
    /// Percent (BT-119).
    pub rate: DecimalString,
    /// What the tax is on (BT-116).
    pub taxable: Money,
    /// The tax, rounded once (BT-117).
    pub tax: Money,
}

/// Why there are no totals.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TotalsError {
    /// A number of the input is outside the range of [`DecimalString`].
    #[error("{pointer} must have at most 12 digits before and 4 after the decimal point")]
    OutOfRange {
        /// Where, as a JSON pointer: `/lines/0/quantity`.
        pointer: String,
    },
    /// A price is for so many units as no price is for.
    #[error("{pointer} must be a whole number from 1 to {MOST_PRICED_TOGETHER}")]
    PriceBase {
        /// Where, as a JSON pointer: `/lines/0/price_base_quantity`.
        pointer: String,
    },
    /// A result does not fit 64 bits of minor units.
    #[error("the total is too large")]
    Overflow,
}

impl From<MoneyError> for TotalsError {
    fn from(_: MoneyError) -> Self {
        // All amounts here are made in one currency, so they cannot mismatch.
        Self::Overflow
    }
}

impl Totals {
    /// Totals of `lines` and of the document's `allowances` and `charges`, in `currency`.
    /// No lines come to zero. Signs are the caller's: a negative quantity makes a negative line.
    pub fn compute(
        currency: Currency,
        lines: &[Line],
        allowances: &[Adjustment],
        charges: &[Adjustment],
    ) -> Result<Self, TotalsError> {
        let mut groups = Groups { currency, taxable: BTreeMap::new() };
        let mut line_net = Vec::with_capacity(lines.len());
        for (index, line) in lines.iter().enumerate() {
            let net = net(currency, line, &format!("/lines/{index}"))?;
            groups.add(line.tax, net)?;
            line_net.push(net);
        }
        let line_total = Money::sum(currency, line_net.iter().copied())?;

        let mut allowance_total = Money::zero(currency);
        for (index, allowance) in allowances.iter().enumerate() {
            let amount =
                Money::from_decimal(in_range(allowance.amount, || format!("/allowances/{index}/amount"))?, currency)?;
            groups.add(allowance.tax, amount.checked_neg()?)?;
            allowance_total = allowance_total.checked_add(amount)?;
        }
        let mut charge_total = Money::zero(currency);
        for (index, charge) in charges.iter().enumerate() {
            let amount =
                Money::from_decimal(in_range(charge.amount, || format!("/charges/{index}/amount"))?, currency)?;
            groups.add(charge.tax, amount)?;
            charge_total = charge_total.checked_add(amount)?;
        }

        let tax_exclusive = line_total.checked_sub(allowance_total)?.checked_add(charge_total)?;
        let breakdown = groups.breakdown()?;
        let tax_total = Money::sum(currency, breakdown.iter().map(|group| group.tax))?;
        let tax_inclusive = tax_exclusive.checked_add(tax_total)?;
        Ok(Self {
            line_net,
            line_total,
            allowance_total,
            charge_total,
            tax_exclusive,
            breakdown,
            tax_total,
            tax_inclusive,
        })
    }

    /// The currency of every amount.
    pub const fn currency(&self) -> Currency {
        self.tax_inclusive.currency
    }

    /// What is left to pay when `paid` has been paid (BT-115, BR-CO-16); negative when overpaid.
    pub fn amount_due(&self, paid: Money) -> Result<Money, MoneyError> {
        self.tax_inclusive.checked_sub(paid)
    }
}

/// Taxable amounts by category and rate.
struct Groups {
    currency: Currency,
    taxable: BTreeMap<TaxRate, Money>,
}

impl Groups {
    fn add(&mut self, tax: TaxRate, amount: Money) -> Result<(), MoneyError> {
        let taxable = self.taxable.entry(tax).or_insert(Money::zero(self.currency));
        *taxable = taxable.checked_add(amount)?;
        Ok(())
    }

    fn breakdown(self) -> Result<Vec<TaxGroup>, MoneyError> {
        let group = |(tax, taxable): (TaxRate, Money)| {
            let rate = tax.rate();
            // 19 digits × 7 digits, then two more decimals: exact in the 28 digits of a Decimal.
            let exact = taxable.to_decimal().checked_mul(rate.decimal());
            let exact = exact.and_then(|percent| percent.checked_mul(Decimal::new(1, 2)));
            let tax_amount = Money::from_decimal(exact.ok_or(MoneyError::Overflow)?, self.currency)?;
            Ok(TaxGroup { category: tax.category(), rate, taxable, tax: tax_amount })
        };
        self.taxable.into_iter().map(group).collect()
    }
}

/// The net amount of a line; `at` is where it stands.
fn net(currency: Currency, line: &Line, at: &str) -> Result<Money, TotalsError> {
    let quantity = in_range(line.quantity, || format!("{at}/quantity"))?;
    let unit_price = in_range(line.unit_price, || format!("{at}/unit_price"))?;
    let mut net = exact(quantity.checked_mul(unit_price))?;
    if line.price_base_quantity != Decimal::ONE {
        net = divided(net, line.price_base_quantity, || format!("{at}/price_base_quantity"))?;
    }
    for (index, allowance) in line.allowances.iter().enumerate() {
        let amount = in_range(*allowance, || format!("{at}/allowances/{index}/amount"))?;
        net = exact(net.checked_sub(amount))?;
    }
    for (index, charge) in line.charges.iter().enumerate() {
        let amount = in_range(*charge, || format!("{at}/charges/{index}/amount"))?;
        net = exact(net.checked_add(amount))?;
    }
    Ok(Money::from_decimal(net, currency)?)
}

fn in_range(number: Decimal, pointer: impl FnOnce() -> String) -> Result<Decimal, TotalsError> {
    DecimalString::try_from(number).map(Decimal::from).map_err(|_| TotalsError::OutOfRange { pointer: pointer() })
}

/// Refuses results of 10^19 and more, which are no i64 anyway: below, a Decimal has room for the 8
/// decimals that factors of 4 decimals make, and has not silently rounded.
fn exact(result: Option<Decimal>) -> Result<Decimal, TotalsError> {
    let limit = Decimal::from_i128_with_scale(10i128.pow(19), 0);
    result.filter(|number| number.abs() < limit).ok_or(TotalsError::Overflow)
}

/// `net` by a price base.
fn divided(net: Decimal, base: Decimal, pointer: impl FnOnce() -> String) -> Result<Decimal, TotalsError> {
    if !base.fract().is_zero() || base < Decimal::ONE || base > Decimal::from(MOST_PRICED_TOGETHER) {
        return Err(TotalsError::PriceBase { pointer: pointer() });
    }
    let limit = Decimal::from(LARGEST_QUOTIENT);
    net.checked_div(base).filter(|quotient| quotient.abs() < limit).ok_or(TotalsError::Overflow)
}

fn in_currency(currency: Currency, money: Money) -> Result<Decimal, MoneyError> {
    Money::zero(currency).checked_add(money).map(Money::to_decimal)
}
