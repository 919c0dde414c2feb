//! Currencies: ISO 4217 codes and how many digits their minor unit has.

use std::{
    borrow::Cow,
    fmt::{self, Debug, Display},
    str::FromStr,
};

use diesel::{deserialize::FromSqlRow, expression::AsExpression, sql_types};
use iso_currency::Currency as Iso;
use poem_openapi::registry::MetaSchema;

use super::{
    Invalid,
    glue::{StringType, string_schema},
};

/// An ISO 4217 currency that money can be counted in, written as its code: `EUR`.
///
/// Codes without a minor unit (gold `XAU`, testing `XTS`, none `XXX` …) are refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Text)]
pub struct Currency(Iso);

impl Currency {
    /// The euro, two digits.
    pub const EUR: Self = Self(Iso::EUR);
    /// The US dollar, two digits.
    pub const USD: Self = Self(Iso::USD);
    /// The pound sterling, two digits.
    pub const GBP: Self = Self(Iso::GBP);
    /// The Swiss franc, two digits.
    pub const CHF: Self = Self(Iso::CHF);
    /// The yen, which has no minor unit in use: zero digits.
    pub const JPY: Self = Self(Iso::JPY);
    /// The Jordanian dinar, three digits.
    pub const JOD: Self = Self(Iso::JOD);

    /// The alphabetic code: `EUR`.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// The English name: `Euro`.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Digits of the minor unit, 0 to 4: JPY 0, EUR 2, JOD 3.
    pub fn exponent(self) -> u32 {
        self.0.exponent().map_or(0, u32::from)
    }
}

impl Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Currency {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match Iso::from_code(text) {
            Some(iso) if iso.exponent().is_some() => Ok(Self(iso)),
            Some(_) => Err(Invalid::quoting(text, "is not a currency that money can be counted in")),
            None => Err(Invalid::quoting(text, "is not an ISO 4217 currency code")),
        }
    }
}

impl StringType for Currency {
    fn type_name() -> Cow<'static, str> {
        "Currency".into()
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            format: Some("iso-4217"),
            pattern: Some("^[A-Z]{3}$".into()),
            min_length: Some(3),
            max_length: Some(3),
            ..string_schema("An ISO 4217 currency code", "EUR")
        }
    }
}

string_type!(Currency);
text_column!(Currency);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn exponents() {
        for (code, digits) in [("JPY", 0), ("EUR", 2), ("HUF", 2), ("JOD", 3), ("CLF", 4), ("ISK", 0)] {
            assert_eq!(code.parse::<Currency>().unwrap().exponent(), digits, "{code}");
        }
    }

    #[test]
    fn refuses_other_codes() {
        for text in ["", "eur", "EURO", "XYZ", "XXX", "XAU", " EUR", "978"] {
            assert!(text.parse::<Currency>().is_err(), "{text}");
        }
        let error = "XYZ".parse::<Currency>().unwrap_err();
        assert_eq!(error.as_str(), "`XYZ` is not an ISO 4217 currency code");
    }
}
