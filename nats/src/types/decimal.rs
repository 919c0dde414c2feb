//! Decimal numbers as they stand in invoices: quantities, unit prices, rates.

use std::{borrow::Cow, fmt, str::FromStr};

use diesel::{deserialize::FromSqlRow, expression::AsExpression, sql_types};
use poem_openapi::registry::MetaSchema;
use rust_decimal::Decimal;

use super::{
    Invalid,
    glue::{StringType, string_schema},
};

/// A decimal number written as a string, `"49.90"`: at most 12 digits before the point and 4
/// after it, no exponent, no plus sign.
///
/// Equality is that of numbers (`1.5` equals `1.50`); the digits are kept as they were written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Text)]
pub struct DecimalString(Decimal);

/// Digits after the point.
const FRACTION: u32 = 4;
/// Digits before the point.
const WHOLE: u32 = 12;

impl DecimalString {
    /// The number.
    pub const fn decimal(self) -> Decimal {
        self.0
    }

    /// The same number without trailing zeros: `1.50` becomes `1.5`.
    #[must_use]
    pub fn normalize(self) -> Self {
        Self(self.0.normalize())
    }
}

impl TryFrom<Decimal> for DecimalString {
    type Error = Invalid;

    /// Refuses more than 12 digits before the point or 4 after it; zeros at the end do not count.
    fn try_from(number: Decimal) -> Result<Self, Invalid> {
        let number = if number.scale() > FRACTION { number.normalize() } else { number };
        if number.scale() <= FRACTION && number.abs() < Decimal::new(10i64.pow(WHOLE), 0) {
            // Minus zero is zero.
            Ok(Self(if number.is_zero() { number.abs() } else { number }))
        } else {
            Err(Invalid::quoting(&number.to_string(), RULE))
        }
    }
}

const RULE: &str = "is not a decimal number with at most 12 digits before and 4 after the point";

impl From<DecimalString> for Decimal {
    fn from(number: DecimalString) -> Self {
        number.0
    }
}

impl FromStr for DecimalString {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let refuse = || Invalid::quoting(text, RULE);
        let digits =
            |part: &str, most: usize| (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let well_formed = match unsigned.split_once('.') {
            Some((whole, fraction)) => digits(whole, 12) && digits(fraction, 4),
            None => digits(unsigned, 12),
        };
        if !well_formed {
            return Err(refuse());
        }
        Decimal::from_str_exact(text).map_err(|_| refuse())?.try_into()
    }
}

impl fmt::Display for DecimalString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl StringType for DecimalString {
    fn type_name() -> Cow<'static, str> {
        "DecimalString".into()
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            format: Some("decimal"),
            pattern: Some(r"^-?[0-9]{1,12}(\.[0-9]{1,4})?$".into()),
            max_length: Some(18),
            ..string_schema("A decimal number, as a string", "49.90")
        }
    }
}

string_type!(DecimalString);
text_column!(DecimalString);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_plain_decimals() {
        for text in ["0", "49.90", "-1.5", "999999999999.9999", "0.0001"] {
            assert_eq!(text.parse::<DecimalString>().unwrap().to_string(), text);
        }
        assert_eq!("-0.0".parse::<DecimalString>().unwrap().to_string(), "0.0");
        for text in
            ["", "-", ".", "1.", ".5", "+1", "1e3", "1,5", " 1", "1_000", "1.00000", "1234567890123", "NaN", "١"]
        {
            assert!(text.parse::<DecimalString>().is_err(), "{text}");
        }
        assert!(serde_json::from_str::<DecimalString>("1.5").is_err());
        assert!(DecimalString::try_from(Decimal::MAX).is_err());
        assert!(DecimalString::try_from(Decimal::new(1, 28)).is_err());
    }

    proptest! {
        #[test]
        fn any_in_range_round_trips(mantissa in -9_999_999_999_999_999i64..=9_999_999_999_999_999, scale in 0u32..=4) {
            let number = Decimal::new(mantissa, scale);
            if let Ok(parsed) = DecimalString::try_from(number) {
                prop_assert_eq!(parsed.to_string().parse::<DecimalString>().unwrap().decimal(), number);
            } else {
                prop_assert!(number.abs() >= Decimal::new(1_000_000_000_000, 0));
            }
        }
    }
}
