//! HS codes: what customs call a thing.

use std::{borrow::Cow, fmt, str::FromStr};

use diesel::{deserialize::FromSqlRow, expression::AsExpression, sql_types};
use nats::types::{Invalid, StringType, string_schema};
use poem_openapi::registry::MetaSchema;

/// A code of the Harmonized System (WCO): six digits and up to six more of a national tail.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Text)]
pub(crate) struct HsCode(String);

impl FromStr for HsCode {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if (6..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::quoting(text, "is not an HS code: 6 to 12 digits"))
        }
    }
}

impl fmt::Display for HsCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl StringType for HsCode {
    fn type_name() -> Cow<'static, str> {
        "HsCode".into()
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            pattern: Some("^[0-9]{6,12}$".into()),
            min_length: Some(6),
            max_length: Some(12),
            ..string_schema("A code of the Harmonized System: six digits and a national tail", "940521")
        }
    }
}

nats::string_type!(HsCode);
nats::text_column!(HsCode);

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn six_to_twelve_digits() {
        for text in ["940521", "9405211000", "940521100099"] {
            assert_eq!(text.parse::<HsCode>().unwrap().to_string(), text);
        }
        for text in ["", "94052", "9405.21", "94052a", "9405211000999"] {
            assert!(text.parse::<HsCode>().is_err(), "{text}");
        }
    }
}
