//! Money: integer minor units of one currency. No float comes near it.
//!
//! In SQL an amount is a `BIGINT` column and the currency a `TEXT` column beside it, so that
//! the database can sum and check; that is why `Money` itself has no SQL type.
//! The trap: `1299` is 12.99 EUR but 1,299 JPY and 1.299 JOD. Never divide by 100, ask
//! [`Money::to_decimal`].

use std::{fmt, str::FromStr};

use poem_openapi::{Object, types::Example};
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

use super::{Currency, Invalid, Quantity};

mod locale;

pub use locale::format_locale;

/// An amount of money in the minor unit of its currency: `{"amount": 1299, "currency": "EUR"}` is
/// 12.99 EUR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, example)]
pub struct Money {
    /// Integer minor units: cents for EUR, whole yen for JPY, thousandths for JOD.
    pub amount: i64,
    /// ISO 4217 code.
    pub currency: Currency,
}

/// Why a sum of money could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The result does not fit 64 bits of minor units.
    #[error("the amount is too large")]
    Overflow,
    /// The two amounts are in different currencies.
    #[error("{0} and {1} cannot be added: the currencies differ")]
    CurrencyMismatch(Currency, Currency),
}

impl Money {
    /// So many minor units of this currency.
    pub const fn new(amount: i64, currency: Currency) -> Self {
        Self { amount, currency }
    }

    /// Nothing, in this currency.
    pub const fn zero(currency: Currency) -> Self {
        Self::new(0, currency)
    }

    /// Whether the amount is zero.
    pub const fn is_zero(self) -> bool {
        self.amount == 0
    }

    /// Whether the amount is below zero.
    pub const fn is_negative(self) -> bool {
        self.amount < 0
    }

    /// `self + other`; an error when the currencies differ or the sum overflows.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.with(self.amount.checked_add(self.amount_of(other)?))
    }

    /// `self - other`; an error when the currencies differ or the difference overflows.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.with(self.amount.checked_sub(self.amount_of(other)?))
    }

    /// `self × quantity`; an error when the product overflows.
    pub fn checked_mul(self, quantity: Quantity) -> Result<Self, MoneyError> {
        self.with(self.amount.checked_mul(quantity.get().into()))
    }

    /// The amount with the opposite sign; an error for the one amount that has none.
    pub fn checked_neg(self) -> Result<Self, MoneyError> {
        self.with(self.amount.checked_neg())
    }

    /// The sum of `amounts`, all of which must be in `currency`; zero for none.
    pub fn sum(currency: Currency, amounts: impl IntoIterator<Item = Self>) -> Result<Self, MoneyError> {
        amounts.into_iter().try_fold(Self::zero(currency), Self::checked_add)
    }

    /// The amount in major units, with exactly the currency's digits: `12.90`.
    pub fn to_decimal(self) -> Decimal {
        Decimal::new(self.amount, self.currency.exponent())
    }

    /// Major units as money, rounded half away from zero to the currency's digits
    /// (0.005 EUR is 0.01 EUR, −0.005 EUR is −0.01 EUR). An error when it does not fit.
    pub fn from_decimal(major: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        let digits = currency.exponent();
        let rounded = major.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero);
        let missing = digits.checked_sub(rounded.scale()).ok_or(MoneyError::Overflow)?;
        10i128
            .checked_pow(missing)
            .and_then(|factor| rounded.mantissa().checked_mul(factor))
            .and_then(|minor| i64::try_from(minor).ok())
            .map(|amount| Self::new(amount, currency))
            .ok_or(MoneyError::Overflow)
    }

    fn amount_of(self, other: Self) -> Result<i64, MoneyError> {
        if self.currency == other.currency {
            Ok(other.amount)
        } else {
            Err(MoneyError::CurrencyMismatch(self.currency, other.currency))
        }
    }

    fn with(self, amount: Option<i64>) -> Result<Self, MoneyError> {
        amount.map(|amount| Self { amount, ..self }).ok_or(MoneyError::Overflow)
    }
}

/// `12.99 EUR`: for logs and for people of no particular language.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.to_decimal(), self.currency)
    }
}

/// The inverse of `Display`: `12.99 EUR`, with at most the currency's digits.
impl FromStr for Money {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let refuse = || Invalid::quoting(text, "is not an amount of money such as `12.99 EUR`");
        let (amount, code) = text.split_once(' ').ok_or_else(refuse)?;
        let currency: Currency = code.parse()?;
        let major = Decimal::from_str_exact(amount).map_err(|_| refuse())?;
        if major.scale() > currency.exponent() {
            return Err(Invalid::quoting(text, "has more digits than its currency"));
        }
        Self::from_decimal(major, currency).map_err(|_| Invalid::quoting(text, "is too large"))
    }
}

impl Example for Money {
    fn example() -> Self {
        Self::new(1299, Currency::EUR)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn json_is_strict() {
        let money: Money = serde_json::from_str(r#"{"amount": 1299, "currency": "EUR"}"#).unwrap();
        assert_eq!(money, Money::new(1299, Currency::EUR));
        for json in [
            r#"{"amount": 12.99, "currency": "EUR"}"#,
            r#"{"amount": "1299", "currency": "EUR"}"#,
            r#"{"amount": 1299, "currency": "EUR", "x": 1}"#,
            r#"{"amount": 9223372036854775808, "currency": "EUR"}"#,
            r#"{"amount": 1299}"#,
        ] {
            assert!(serde_json::from_str::<Money>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn rounds_half_away_from_zero() {
        for (major, currency, minor) in [
            ("0.005", Currency::EUR, 1),
            ("-0.005", Currency::EUR, -1),
            ("0.004999", Currency::EUR, 0),
            ("2.5", Currency::JPY, 3),
            ("-2.5", Currency::JPY, -3),
            ("1.0005", Currency::JOD, 1001),
            ("7", Currency::JOD, 7000),
        ] {
            let money = Money::from_decimal(decimal(major), currency).unwrap();
            assert_eq!(money.amount, minor, "{major} {currency}");
        }
        assert_eq!(Money::from_decimal(Decimal::MAX, Currency::EUR), Err(MoneyError::Overflow));
    }

    #[test]
    fn arithmetic_is_checked() {
        let (euro, yen) = (Money::new(i64::MAX, Currency::EUR), Money::new(1, Currency::JPY));
        assert_eq!(euro.checked_add(Money::new(1, Currency::EUR)), Err(MoneyError::Overflow));
        assert_eq!(euro.checked_mul(Quantity::new(2).unwrap()), Err(MoneyError::Overflow));
        assert_eq!(euro.checked_sub(yen), Err(MoneyError::CurrencyMismatch(Currency::EUR, Currency::JPY)));
        assert_eq!(Money::sum(Currency::JPY, [yen, yen]).unwrap().amount, 2);
        assert_eq!(Money::sum(Currency::JPY, []).unwrap(), Money::zero(Currency::JPY));
    }

    #[test]
    fn text_form() {
        for text in ["12.90 EUR", "-0.05 EUR", "1299 JPY", "1.299 JOD"] {
            assert_eq!(text.parse::<Money>().unwrap().to_string(), text);
        }
        for text in ["", "12.90", "12.901 EUR", "1.5 JPY", "1e3 EUR", "99999999999999999999 EUR"] {
            assert!(text.parse::<Money>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn decimal_round_trips(amount: i64, code in prop::sample::select(vec!["JPY", "EUR", "JOD", "CLF"])) {
            let money = Money::new(amount, code.parse().unwrap());
            prop_assert_eq!(Money::from_decimal(money.to_decimal(), money.currency), Ok(money));
            prop_assert_eq!(money.to_string().parse::<Money>(), Ok(money));
        }

        #[test]
        fn adding_and_subtracting_undo_each_other(a: i64, b: i64) {
            let (a, b) = (Money::new(a, Currency::EUR), Money::new(b, Currency::EUR));
            if let Ok(sum) = a.checked_add(b) {
                prop_assert_eq!(sum.checked_sub(b), Ok(a));
            }
        }
    }
}
