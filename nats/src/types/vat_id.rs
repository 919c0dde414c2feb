//! VAT identifiers: who is registered for value added tax, and where.
//!
//! The form of each member state's is checked as the European Commission's VIES publishes it; of other countries' only
//! that they are short and plain. Whether one was issued, and to whom, only the authority can tell.

use std::{borrow::Cow, fmt, str::FromStr};

use diesel::{deserialize::FromSqlRow, expression::AsExpression, sql_types};
use poem_openapi::registry::MetaSchema;

use super::{
    CountryCode, Invalid,
    glue::{StringType, string_schema},
};

/// A VAT identifier with its country's prefix (EN 16931 BT-31 and BT-48, BR-CO-9): `DE123456789`. Blanks, dots and hyphens
/// that people write for the eye are taken out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Text)]
pub struct VatId(String);

/// What follows the prefix: `9` is a digit, `A` a letter, `X` a letter or digit, `*` these and `+` and `*`; any other sign is
/// itself.
const FORMS: &[(&str, &[&str])] = &[
    ("AT", &["U99999999"]),
    ("BE", &["9999999999"]),
    ("BG", &["999999999", "9999999999"]),
    ("CY", &["99999999A"]),
    ("CZ", &["99999999", "999999999", "9999999999"]),
    ("DE", &["999999999"]),
    ("DK", &["99999999"]),
    ("EE", &["999999999"]),
    ("EL", &["999999999"]),
    ("ES", &["X9999999X"]),
    ("FI", &["99999999"]),
    ("FR", &["XX999999999"]),
    // Greece's begin with EL.
    ("GR", &[]),
    ("HR", &["99999999999"]),
    ("HU", &["99999999"]),
    ("IE", &["9999999A", "9999999AA", "9*99999A"]),
    ("IT", &["99999999999"]),
    ("LT", &["999999999", "999999999999"]),
    ("LU", &["99999999"]),
    ("LV", &["99999999999"]),
    ("MT", &["99999999"]),
    ("NL", &["*********B99"]),
    ("PL", &["9999999999"]),
    ("PT", &["999999999"]),
    ("RO", &["99", "999", "9999", "99999", "999999", "9999999", "99999999", "999999999", "9999999999"]),
    ("SE", &["999999999999"]),
    ("SI", &["99999999"]),
    ("SK", &["9999999999"]),
    // Northern Ireland.
    ("XI", &["999999999", "999999999999", "GD999", "HA999"]),
];

impl VatId {
    /// The identifier, as it is written on an invoice.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its first two letters: the country, but `EL` for Greece and `XI` for Northern Ireland.
    pub fn prefix(&self) -> &str {
        self.0.get(..2).unwrap_or_default()
    }
}

fn fits(form: &str, text: &str) -> bool {
    let sign = |(form, sign): (u8, u8)| match form {
        b'9' => sign.is_ascii_digit(),
        b'A' => sign.is_ascii_uppercase(),
        b'X' => sign.is_ascii_digit() || sign.is_ascii_uppercase(),
        b'*' => sign.is_ascii_digit() || sign.is_ascii_uppercase() || matches!(sign, b'+' | b'*'),
        literal => literal == sign,
    };
    form.len() == text.len() && form.bytes().zip(text.bytes()).all(sign)
}

/// Short and plain: what is known of identifiers of other countries.
fn is_plain(text: &str) -> bool {
    (2..=15).contains(&text.len()) && text.bytes().all(|sign| sign.is_ascii_digit() || sign.is_ascii_uppercase())
}

impl FromStr for VatId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let known = |text: &str| {
            // Nobody writes one this long.
            let text = Some(text).filter(|text| text.len() <= 64)?;
            let id: String = text.chars().filter(|sign| !matches!(sign, ' ' | '.' | '-')).collect();
            let id = id.to_ascii_uppercase();
            let (prefix, rest) = id.split_at_checked(2)?;
            let known = match FORMS.iter().find(|(country, _)| *country == prefix) {
                Some((_, forms)) => forms.iter().any(|form| fits(form, rest)),
                None => prefix.parse::<CountryCode>().is_ok() && is_plain(rest),
            };
            known.then_some(Self(id))
        };
        let rule = "is not a VAT identifier: the country's two letters, and what its identifiers are made of";
        known(text).ok_or_else(|| Invalid::quoting(text, rule))
    }
}

impl fmt::Display for VatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl StringType for VatId {
    fn type_name() -> Cow<'static, str> {
        "VatId".into()
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            pattern: Some("^[A-Z]{2}[0-9A-Z+*]{2,15}$".into()),
            ..string_schema("A VAT identifier with its country's prefix, in the form of that country", "DE123456789")
        }
    }
}

string_type!(VatId);
text_column!(VatId);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_country_has_its_form() {
        for id in [
            "ATU12345678",
            "BE0123456789",
            "BG123456789",
            "CY12345678X",
            "CZ12345678",
            "DE123456789",
            "DK12345678",
            "EE123456789",
            "EL123456789",
            "ESX1234567X",
            "ES12345678X",
            "FI12345678",
            "FR12345678901",
            "FRXX345678901",
            "HR12345678901",
            "HU12345678",
            "IE1234567FA",
            "IE1234567F",
            "IE1+34567F",
            "IT12345678901",
            "LT123456789",
            "LU12345678",
            "LV12345678901",
            "MT12345678",
            "NL123456789B01",
            "PL1234567890",
            "PT123456789",
            "RO12",
            "RO1234567890",
            "SE123456789012",
            "SI12345678",
            "SK1234567890",
            "XI123456789",
            "XIGD001",
            "GB123456789",
            "CHE123456789MWST",
            "NO123456789MVA",
        ] {
            assert_eq!(id.parse::<VatId>().unwrap().as_str(), id);
        }
        for id in [
            "",
            "DE",
            "DE12345678",
            "DE1234567890",
            "DE12345678X",
            "AT12345678",
            "NL123456789012",
            "GR123456789",
            "FR123456789",
            "RO1",
            "QQ123456789",
            "GB1",
            "D€123",
            "US12345+7",
        ] {
            assert!(id.parse::<VatId>().is_err(), "{id}");
        }
    }

    #[test]
    fn what_is_written_for_the_eye_is_taken_out() {
        let id: VatId = "de 123.456-789".parse().unwrap();
        assert_eq!((id.as_str(), id.prefix()), ("DE123456789", "DE"));
    }

    proptest! {
        #[test]
        fn what_is_accepted_stays_as_it_is(text in "[A-Z]{2}[0-9A-Z+* .-]{0,16}|.*") {
            if let Ok(id) = text.parse::<VatId>() {
                prop_assert_eq!(id.as_str().parse(), Ok(id.clone()));
            }
        }
    }
}
