//! VAT categories and rates.

use std::{borrow::Cow, fmt, str::FromStr};

use diesel::{deserialize::FromSqlRow, expression::AsExpression, sql_types};
use poem_openapi::registry::MetaSchema;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{
    DecimalString, Invalid,
    glue::{StringType, string_schema},
};

/// Duty, tax or fee category (UNTDID 5305, the part EN 16931 uses), written as its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Text)]
pub enum TaxCategory {
    /// `S`: standard rate, and every other rate above zero.
    Standard,
    /// `Z`: zero rated goods.
    Zero,
    /// `E`: exempt from tax; an invoice must say why.
    Exempt,
    /// `AE`: reverse charge, the buyer accounts for the tax.
    ReverseCharge,
    /// `K`: intra-community supply of goods and services, exempt.
    IntraCommunity,
    /// `G`: export outside the EU, free of tax.
    Export,
    /// `O`: outside the scope of tax.
    OutOfScope,
}

impl TaxCategory {
    /// All categories, in the order in which breakdowns are sorted.
    pub const ALL: [Self; 7] = [
        Self::Standard,
        Self::Zero,
        Self::Exempt,
        Self::ReverseCharge,
        Self::IntraCommunity,
        Self::Export,
        Self::OutOfScope,
    ];

    /// The code: `S`, `Z`, `E`, `AE`, `K`, `G` or `O`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Standard => "S",
            Self::Zero => "Z",
            Self::Exempt => "E",
            Self::ReverseCharge => "AE",
            Self::IntraCommunity => "K",
            Self::Export => "G",
            Self::OutOfScope => "O",
        }
    }
}

impl fmt::Display for TaxCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl FromStr for TaxCategory {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let known = Self::ALL.into_iter().find(|category| category.code() == text);
        known.ok_or_else(|| Invalid::quoting(text, "is not a tax category: S, Z, E, AE, K, G or O"))
    }
}

impl StringType for TaxCategory {
    fn type_name() -> Cow<'static, str> {
        "TaxCategory".into()
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            enum_items: Self::ALL.iter().map(|category| category.code().into()).collect(),
            ..string_schema(
                "UNTDID 5305: S standard, Z zero rated, E exempt, AE reverse charge, \
                 K intra-community, G export, O outside the scope of tax",
                "S",
            )
        }
    }
}

string_type!(TaxCategory);
text_column!(TaxCategory);

/// A tax category with its rate in percent: above 0 and up to 100 for `S`, 0 for all others
/// (EN 16931 BR-S-5, BR-Z-5 and their siblings).
///
/// In JSON `{"category": "S", "rate": "19"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Unchecked", deny_unknown_fields)]
pub struct TaxRate {
    category: TaxCategory,
    rate: DecimalString,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    category: TaxCategory,
    rate: DecimalString,
}

impl TryFrom<Unchecked> for TaxRate {
    type Error = Invalid;

    fn try_from(unchecked: Unchecked) -> Result<Self, Invalid> {
        Self::new(unchecked.category, unchecked.rate.decimal())
    }
}

impl TaxRate {
    /// A category at `rate` percent. An error when the rate does not go with the category, or has
    /// more than 4 decimals.
    pub fn new(category: TaxCategory, rate: Decimal) -> Result<Self, Invalid> {
        let percent = DecimalString::try_from(rate)?.normalize();
        let taxed = category == TaxCategory::Standard;
        if taxed && (rate <= Decimal::ZERO || rate > Decimal::ONE_HUNDRED) {
            return Err(Invalid::quoting(
                &percent.to_string(),
                "is not a rate of tax category S: it must be above 0 and at most 100 percent",
            ));
        }
        if !taxed && !rate.is_zero() {
            let rule = format!("is not a rate of tax category {category}: it must be 0");
            return Err(Invalid::quoting(&percent.to_string(), &rule));
        }
        Ok(Self { category, rate: percent })
    }

    /// The category.
    pub const fn category(self) -> TaxCategory {
        self.category
    }

    /// The rate in percent, without trailing zeros.
    pub const fn rate(self) -> DecimalString {
        self.rate
    }
}

/// `S 19%`.
impl fmt::Display for TaxRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}%", self.category, self.rate)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn rates_go_with_their_category() {
        let rate = |category: &str, rate: &str| TaxRate::new(category.parse().unwrap(), rate.parse().unwrap());
        for (category, percent) in [("S", "19"), ("S", "5.5"), ("S", "100"), ("Z", "0"), ("AE", "0.00"), ("O", "0")] {
            assert!(rate(category, percent).is_ok(), "{category} {percent}");
        }
        for (category, percent) in
            [("S", "0"), ("S", "-1"), ("S", "100.01"), ("S", "1.00001"), ("Z", "19"), ("K", "-1")]
        {
            assert!(rate(category, percent).is_err(), "{category} {percent}");
        }
        assert_eq!(rate("S", "19.00").unwrap().to_string(), "S 19%");
    }

    #[test]
    fn serde_checks_too() {
        let tax: TaxRate = serde_json::from_str(r#"{"category": "S", "rate": "19.0"}"#).unwrap();
        assert_eq!(serde_json::to_string(&tax).unwrap(), r#"{"category":"S","rate":"19"}"#);
        for json in [r#"{"category": "E", "rate": "19"}"#, r#"{"category": "L", "rate": "0"}"#, r#"{"category": "S"}"#]
        {
            assert!(serde_json::from_str::<TaxRate>(json).is_err(), "{json}");
        }
    }
}
