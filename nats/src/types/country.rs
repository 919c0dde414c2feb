//! Countries: ISO 3166-1 alpha-2.

use std::{
    borrow::Cow,
    fmt::{self, Debug},
    str::FromStr,
};

use diesel::{deserialize::FromSqlRow, expression::AsExpression, sql_types};
use poem_openapi::registry::MetaSchema;

use super::{
    Invalid,
    glue::{StringType, string_schema},
};

/// An ISO 3166-1 alpha-2 country code in upper case: `DE`. Includes the user-assigned `XK`
/// (Kosovo), which posts and customs use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Text)]
pub struct CountryCode {
    code: &'static str,
    name: &'static str,
}

impl CountryCode {
    /// The code: `DE`.
    pub const fn as_str(self) -> &'static str {
        self.code
    }

    /// The English short name: `Germany`.
    pub const fn name(self) -> &'static str {
        self.name
    }
}

impl FromStr for CountryCode {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        // The library ignores case; the standard and our columns do not.
        let country = celes::Country::from_alpha2(text).ok().filter(|country| country.alpha2 == text);
        country
            .map(|country| Self { code: country.alpha2, name: country.long_name })
            .ok_or_else(|| Invalid::quoting(text, "is not an ISO 3166-1 alpha-2 country code"))
    }
}

impl fmt::Display for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code)
    }
}

impl Debug for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

impl StringType for CountryCode {
    fn type_name() -> Cow<'static, str> {
        "CountryCode".into()
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            format: Some("iso-3166-1-alpha-2"),
            pattern: Some("^[A-Z]{2}$".into()),
            min_length: Some(2),
            max_length: Some(2),
            ..string_schema("An ISO 3166-1 alpha-2 country code", "DE")
        }
    }
}

string_type!(CountryCode);
text_column!(CountryCode);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names() {
        for (code, name) in [("DE", "Germany"), ("FR", "France"), ("XK", "Kosovo")] {
            let country: CountryCode = code.parse().unwrap();
            assert_eq!((country.as_str(), country.name()), (code, name));
        }
        for text in ["", "de", "De", "DEU", "ZZ", "EU", "UK", "D", "276", "Germany"] {
            assert!(text.parse::<CountryCode>().is_err(), "{text}");
        }
    }
}
