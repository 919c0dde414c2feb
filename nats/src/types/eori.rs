//! EORI numbers: who an economic operator is to the customs of the European Union and of the United Kingdom.

use std::{borrow::Cow, fmt, str::FromStr};

use diesel::{deserialize::FromSqlRow, expression::AsExpression, sql_types};
use poem_openapi::registry::MetaSchema;

use super::{
    CountryCode, Invalid,
    glue::{StringType, string_schema},
};

/// An EORI number (Regulation (EU) 2015/2446, annex 12-01): the country and 1 to 15 letters or digits. Blanks are taken out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Text)]
pub struct Eori(String);

impl Eori {
    /// The number.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Eori {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let known = |text: &str| {
            let text = Some(text).filter(|text| text.len() <= 64)?;
            let eori = text.chars().filter(|sign| *sign != ' ').collect::<String>().to_ascii_uppercase();
            let (country, rest) = eori.split_at_checked(2)?;
            // Northern Ireland has a prefix of its own.
            let country = country == "XI" || country.parse::<CountryCode>().is_ok();
            let plain = |sign: u8| sign.is_ascii_digit() || sign.is_ascii_uppercase();
            (country && (1..=15).contains(&rest.len()) && rest.bytes().all(plain)).then_some(Self(eori))
        };
        let rule = "is not an EORI number: the country's two letters and 1 to 15 letters or digits";
        known(text).ok_or_else(|| Invalid::quoting(text, rule))
    }
}

impl fmt::Display for Eori {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl StringType for Eori {
    fn type_name() -> Cow<'static, str> {
        "Eori".into()
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            pattern: Some("^[A-Z]{2}[0-9A-Z]{1,15}$".into()),
            ..string_schema("An EORI number, for customs", "DE1234567")
        }
    }
}

string_type!(Eori);
text_column!(Eori);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_country_and_letters_or_digits() {
        for (text, eori) in [("de 123 4567", "DE1234567"), ("FR12345678901234", "FR12345678901234"), ("XI1", "XI1")] {
            assert_eq!(text.parse::<Eori>().unwrap().as_str(), eori);
        }
        for text in ["", "DE", "QQ1234567", "DE1234567890123456", "DE12-34", "Ä1234"] {
            assert!(text.parse::<Eori>().is_err(), "{text}");
        }
    }
}
