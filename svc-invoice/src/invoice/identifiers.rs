//! The identifiers on an invoice: what a well-formed one looks like.

use std::{borrow::Cow, fmt, str::FromStr};

use diesel::{deserialize::FromSqlRow, expression::AsExpression, sql_types};
pub use nats::types::VatId;
use nats::types::{Invalid, StringType, string_schema};
use poem_openapi::registry::MetaSchema;

macro_rules! identifier {
    ($(#[$meta:meta])* $name:ident, $what:literal, $pattern:literal, $example:literal, $parse:path) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
        #[diesel(sql_type = sql_types::Text)]
        pub struct $name(String);

        impl $name {
            /// The identifier, as it is written on the invoice.
            pub fn as_str(&self) -> &str { &self.0 }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.pad(&self.0) }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                $parse(text).map(Self).ok_or_else(|| Invalid::quoting(text, concat!("is not ", $what)))
            }
        }

        impl StringType for $name {
            fn type_name() -> Cow<'static, str> { stringify!($name).into() }

            fn schema() -> MetaSchema {
                MetaSchema { pattern: Some($pattern.into()), ..string_schema($what, $example) }
            }
        }

        nats::string_type!($name);
        nats::text_column!($name);
    };
}

identifier! {
    /// A series of numbers: invoices of one seller, series and year count from 1.
    Series, "a series: 1 to 16 letters, digits, `-`, `_` or `.`, the first a letter or digit",
    "^[A-Za-z0-9][A-Za-z0-9._-]{0,15}$", "WEB", series
}

identifier! {
    /// A unit of measure (UN/ECE Recommendation 20 and 21).
    UnitCode, "a unit code of UN/ECE Rec 20: 2 or 3 upper-case letters or digits",
    "^[0-9A-Z]{2,3}$", "C62", unit
}

identifier! {
    /// How is paid (UNTDID 4461).
    PaymentMeansCode, "a payment means code of UNTDID 4461", "^([0-9]{1,2}|ZZZ)$", "58", payment_means
}

identifier! {
    /// Why no VAT is due (VATEX).
    ExemptionCode, "a code of the list VATEX", "^VATEX-[A-Z]{2}-[0-9A-Z-]{1,24}$", "VATEX-EU-AE", exemption
}

identifier! {
    /// An account number with its check digits (ISO 13616); blanks are taken out.
    Iban, "an IBAN; check it for a mistyped digit", "^[A-Z]{2}[0-9]{2}[0-9A-Z]{11,30}$", "DE02120300000000202051", iban
}

identifier! {
    /// A bank (ISO 9362).
    Bic, "a BIC: 8 or 11 letters and digits", "^[A-Z]{6}[0-9A-Z]{2}([0-9A-Z]{3})?$", "BYLADEM1001", bic
}

impl UnitCode {
    /// One piece.
    pub fn piece() -> Self {
        Self("C62".to_owned())
    }
}

impl PaymentMeansCode {
    /// Whether money is transferred to an account, which then has to be named (BR-50, BR-61).
    pub fn is_transfer(&self) -> bool {
        matches!(self.as_str(), "30" | "58")
    }
}

fn series(text: &str) -> Option<String> {
    let sign = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'-' | b'_' | b'.');
    let begins = text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
    (begins && text.len() <= 16 && text.bytes().all(sign)).then(|| text.to_owned())
}

/// In upper case and without the blanks that people write for the eye; `None` when it is unreasonably long.
fn compact(text: &str) -> Option<String> {
    let compact = || text.chars().filter(|letter| *letter != ' ').map(|letter| letter.to_ascii_uppercase()).collect();
    (text.len() <= 64).then(compact)
}

fn unit(text: &str) -> Option<String> {
    let sign = |letter: u8| letter.is_ascii_digit() || letter.is_ascii_uppercase();
    ((2..=3).contains(&text.len()) && text.bytes().all(sign)).then(|| text.to_owned())
}

fn payment_means(text: &str) -> Option<String> {
    let number = (1..=2).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit());
    (number || text == "ZZZ").then(|| text.to_owned())
}

fn exemption(text: &str) -> Option<String> {
    let (country, reason) = text.strip_prefix("VATEX-")?.split_once('-')?;
    let sign = |sign: u8| sign.is_ascii_digit() || sign.is_ascii_uppercase() || sign == b'-';
    let country = country.len() == 2 && country.bytes().all(|letter| letter.is_ascii_uppercase());
    (country && (1..=24).contains(&reason.len()) && reason.bytes().all(sign)).then(|| text.to_owned())
}

fn iban(text: &str) -> Option<String> {
    let iban = compact(text)?;
    let well_formed = (15..=34).contains(&iban.len()) && iban.bytes().all(|sign| sign.is_ascii_alphanumeric());
    let (head, tail) = iban.split_at_checked(4)?;
    // ISO 7064 MOD 97-10: the head moved to the end, letters as 10 to 35, the remainder is 1.
    let remainder = tail.chars().chain(head.chars()).try_fold(0_u32, |rest, sign| {
        let value = sign.to_digit(36)?;
        Some((rest * if value < 10 { 10 } else { 100 } + value) % 97)
    });
    let headed = head.chars().take(2).all(|letter| letter.is_ascii_uppercase());
    (well_formed && headed && remainder == Some(1)).then_some(iban)
}

fn bic(text: &str) -> Option<String> {
    let bic = compact(text)?;
    let bank = bic.bytes().take(6).all(|letter| letter.is_ascii_uppercase());
    (matches!(bic.len(), 8 | 11) && bank && bic.bytes().all(|sign| sign.is_ascii_alphanumeric())).then_some(bic)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn identifiers_are_checked_and_tidied() {
        assert_eq!("de 123 456 789".parse::<VatId>().unwrap().as_str(), "DE123456789");
        assert_eq!("EL123456789".parse::<VatId>().unwrap().as_str(), "EL123456789");
        assert_eq!("DE02 1203 0000 0000 2020 51".parse::<Iban>().unwrap().as_str(), "DE02120300000000202051");
        assert_eq!("byladem1001".parse::<Bic>().unwrap().as_str(), "BYLADEM1001");
        for text in ["", "DE", "QQ123456789", "DE1", "DE12345678901234", "D€123"] {
            assert!(text.parse::<VatId>().is_err(), "{text}");
        }
        for text in ["", "DE02120300000000202052", "DE0212030000000020205", "1202120300000000202051", "DEÄÄ"] {
            assert!(text.parse::<Iban>().is_err(), "{text}");
        }
        for text in ["", "-A", "A B", "A/B", "ABCDEFGHIJKLMNOPQ", "Ä"] {
            assert!(text.parse::<Series>().is_err(), "{text}");
        }
        for text in ["c62", "C", "C622", ""] {
            assert!(text.parse::<UnitCode>().is_err(), "{text}");
        }
        for text in ["", "158", "zzz", "5a"] {
            assert!(text.parse::<PaymentMeansCode>().is_err(), "{text}");
        }
        for text in ["", "BYLADEM100", "BYLADEM10012", "1YLADEM1"] {
            assert!(text.parse::<Bic>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parser_panic_and_what_is_accepted_stays(text in any::<String>()) {
            if let Ok(id) = text.parse::<VatId>() { prop_assert_eq!(id.as_str().parse(), Ok(id.clone())); }
            if let Ok(iban) = text.parse::<Iban>() { prop_assert_eq!(iban.as_str().parse(), Ok(iban.clone())); }
            if let Ok(bic) = text.parse::<Bic>() { prop_assert_eq!(bic.as_str().parse(), Ok(bic.clone())); }
        }

        #[test]
        fn one_wrong_digit_of_an_iban_is_noticed(place in 2_usize..22, digit in 0_u8..10) {
            let right = "DE02120300000000202051";
            let mut wrong = right.as_bytes().to_vec();
            wrong[place] = b'0' + digit;
            let wrong = String::from_utf8(wrong).unwrap();
            prop_assert_eq!(wrong.parse::<Iban>().is_ok(), wrong == right);
        }
    }
}
