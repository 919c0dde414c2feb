//! The names of roles. What a role lets do is data of svc-user.

use std::{borrow::Cow, fmt, str::FromStr};

use diesel::{deserialize::FromSqlRow, expression::AsExpression, sql_types};
use poem_openapi::registry::MetaSchema;

use crate::types::{Invalid, StringType, string_schema};

/// The name of a role: 1 to 40 of `a-z 0-9 _`, a letter first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Text)]
pub struct Role(Cow<'static, str>);

impl Role {
    /// Buys. Everyone has it who registers.
    pub const CUSTOMER: Self = Self(Cow::Borrowed("customer"));
    /// Runs the shop.
    pub const STAFF: Self = Self(Cow::Borrowed("staff"));
    /// Runs the system.
    pub const ADMIN: Self = Self(Cow::Borrowed("admin"));

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Role {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let begins = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        if begins && text.len() <= 40 && text.bytes().all(allowed) {
            Ok(Self(Cow::Owned(text.to_owned())))
        } else {
            let detail = "is not the name of a role: 1 to 40 small letters, digits or `_`, a letter first";
            Err(Invalid::quoting(text, detail))
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl StringType for Role {
    fn type_name() -> Cow<'static, str> {
        "RoleName".into()
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            pattern: Some("^[a-z][a-z0-9_]{0,39}$".to_owned()),
            ..string_schema("The name of a role", "customer")
        }
    }
}

crate::string_type!(Role);
crate::text_column!(Role);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_word_in_small_letters() {
        for text in ["customer", "returns_desk", "a", "tier2"] {
            assert_eq!(text.parse::<Role>().unwrap().as_str(), text);
        }
        assert_eq!("staff".parse(), Ok(Role::STAFF));
        let long = "a".repeat(41);
        for text in ["", "Staff", "_a", "2nd", "a b", "a,b", "a.b", "é", &long] {
            assert!(text.parse::<Role>().is_err(), "{text}");
        }
    }
}
