//! Payment methods, as an order names them.

use std::{borrow::Cow, fmt, str::FromStr};

use diesel::{deserialize::FromSqlRow, expression::AsExpression, sql_types};
use nats::types::{Invalid, StringType, string_schema};
use poem_openapi::registry::MetaSchema;

/// A payment method's token: 1 to 64 of `a-z 0-9 _`. Which there are, the payment provider knows.
#[derive(Debug, Clone, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Text)]
pub struct PaymentMethod(String);

impl FromStr for PaymentMethod {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            // Not quoted: some people put card numbers here.
            Err(Invalid::new("a payment method has 1 to 64 lower-case letters, digits or `_`"))
        }
    }
}

impl fmt::Display for PaymentMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl StringType for PaymentMethod {
    fn type_name() -> Cow<'static, str> {
        "PaymentMethod".into()
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            pattern: Some("^[a-z0-9_]{1,64}$".into()),
            min_length: Some(1),
            max_length: Some(64),
            ..string_schema("A payment method's token", "sandbox_ok")
        }
    }
}

nats::string_type!(PaymentMethod);
nats::text_column!(PaymentMethod);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn tokens_only() {
        assert!("sandbox_timeout_then_ok".parse::<PaymentMethod>().is_ok());
        for text in ["", "Sandbox", "a b", "a-b", "ä", &"x".repeat(65), "sandbox_ok\n"] {
            assert!(text.parse::<PaymentMethod>().is_err(), "{text}");
        }
    }
}
