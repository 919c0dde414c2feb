//! Stock keeping units: the merchant's own name for a variant.

use std::{borrow::Cow, fmt, str::FromStr};

use diesel::{deserialize::FromSqlRow, expression::AsExpression, sql_types};
use poem_openapi::registry::MetaSchema;

use super::{
    Invalid,
    glue::{StringType, string_schema},
};

/// A SKU: 1 to 64 of `A-Z a-z 0-9 . _ -`. Case matters.
///
/// A SKU may contain dots, so it is not a single token of a NATS subject.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Text)]
pub struct Sku(String);

impl Sku {
    /// The SKU.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Sku {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::quoting(text, "is not a SKU: 1 to 64 letters, digits, `.`, `_` or `-`"))
        }
    }
}

impl fmt::Display for Sku {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for Sku {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl StringType for Sku {
    fn type_name() -> Cow<'static, str> {
        "Sku".into()
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            pattern: Some("^[A-Za-z0-9._-]{1,64}$".into()),
            min_length: Some(1),
            max_length: Some(64),
            ..string_schema("The stock keeping unit of a variant", "LMP-1")
        }
    }
}

string_type!(Sku);
text_column!(Sku);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn letters_digits_and_three_signs() {
        let longest = "x".repeat(64);
        for text in ["LMP-1", "a.b_c-D", "0", &longest] {
            assert_eq!(text.parse::<Sku>().unwrap().as_str(), text);
        }
        let too_long = "x".repeat(65);
        for text in ["", " LMP", "a b", "a/b", "ä", "a\0", "a>b", "*", &too_long] {
            assert!(text.parse::<Sku>().is_err(), "{text}");
        }
    }
}
