//! Slugs: names that stand in addresses.

use std::{borrow::Cow, fmt, str::FromStr};

use diesel::{deserialize::FromSqlRow, expression::AsExpression, sql_types};
use nats::types::{Invalid, StringType, string_schema};
use poem_openapi::registry::MetaSchema;

/// A slug: 1 to 64 lower-case letters and digits, in words joined by single hyphens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Text)]
pub(crate) struct Slug(String);

impl FromStr for Slug {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let word = |word: &str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        if text.len() <= 64 && text.split('-').all(word) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::quoting(text, "is not a slug: 1 to 64 lower-case letters and digits, words joined by `-`"))
        }
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl StringType for Slug {
    fn type_name() -> Cow<'static, str> {
        "Slug".into()
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            pattern: Some("^[a-z0-9]+(-[a-z0-9]+)*$".into()),
            min_length: Some(1),
            max_length: Some(64),
            ..string_schema("A name that stands in addresses", "desk-lamps")
        }
    }
}

nats::string_type!(Slug);
nats::text_column!(Slug);

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn words_joined_by_hyphens() {
        for text in ["lighting", "desk-lamps", "1", "a-1-b"] {
            assert_eq!(text.parse::<Slug>().unwrap().to_string(), text);
        }
        for text in ["", "-", "a-", "-a", "a--b", "Desk", "a b", "ä", "a/b", &"x".repeat(65)] {
            assert!(text.parse::<Slug>().is_err(), "{text}");
        }
    }
}
