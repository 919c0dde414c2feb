//! Scopes: what an API key is for.

use std::{borrow::Cow, fmt, str::FromStr};

use nats::types::{Invalid, StringType, string_schema};
use poem_openapi::registry::MetaSchema;

/// What a key is for: a resource and an action, such as `catalog:write`. One that no operation asks for allows nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(String);

impl FromStr for Scope {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let word =
            |word: &str| (1..=30).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        match text.split_once(':') {
            Some((resource, action)) if word(resource) && word(action) => Ok(Self(text.to_owned())),
            _ => Err(Invalid::quoting(text, "is not a scope such as `catalog:write`")),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl StringType for Scope {
    fn type_name() -> Cow<'static, str> {
        "Scope".into()
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            pattern: Some("^[a-z_]{1,30}:[a-z_]{1,30}$".to_owned()),
            ..string_schema("What an API key is for: a resource and an action", "catalog:write")
        }
    }
}

nats::string_type!(Scope);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_a_resource_and_an_action() {
        for text in ["catalog:write", "orders:refund", "price_lists:read"] {
            assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }
        let long = format!("{}:read", "a".repeat(31));
        for text in ["", "catalog", ":write", "catalog:", "Catalog:write", "catalog:write:all", "a b:c", &long] {
            assert!(text.parse::<Scope>().is_err(), "{text}");
        }
    }
}
