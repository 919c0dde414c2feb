//! Locales: which language and region to write for.

use std::{borrow::Cow, fmt, str::FromStr};

use diesel::{deserialize::FromSqlRow, expression::AsExpression, sql_types};
use poem_openapi::registry::MetaSchema;

use super::{
    Invalid,
    glue::{StringType, string_schema},
};

/// A BCP 47 tag of a language and, optionally, a region: `en`, `de-DE`, `es-419`.
///
/// Tags are read in any case and kept in the recommended one. The default is `en`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Text)]
pub struct Locale(Cow<'static, str>);

impl Locale {
    /// The tag: `de-DE`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The language: `de`.
    pub fn language(&self) -> &str {
        self.0.split('-').next().unwrap_or_default()
    }

    /// The region, if there is one: `DE`.
    pub fn region(&self) -> Option<&str> {
        self.0.split_once('-').map(|(_, region)| region)
    }
}

impl Default for Locale {
    fn default() -> Self {
        Self(Cow::Borrowed("en"))
    }
}

impl FromStr for Locale {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let letters = |part: &str| part.bytes().all(|b| b.is_ascii_alphabetic());
        let (language, region) = match text.split_once('-') {
            Some((language, region)) => (language, Some(region)),
            None => (text, None),
        };
        let language_ok = matches!(language.len(), 2 | 3) && letters(language);
        let region_ok = region.is_none_or(|region| match region.len() {
            2 => letters(region),
            3 => region.bytes().all(|b| b.is_ascii_digit()),
            _ => false,
        });
        if !(language_ok && region_ok) {
            return Err(Invalid::quoting(text, "is not a locale such as `en` or `de-DE`"));
        }
        let mut tag = language.to_ascii_lowercase();
        if let Some(region) = region {
            tag.push('-');
            tag.push_str(&region.to_ascii_uppercase());
        }
        Ok(Self(Cow::Owned(tag)))
    }
}

impl fmt::Display for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for Locale {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl StringType for Locale {
    fn type_name() -> Cow<'static, str> {
        "Locale".into()
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            format: Some("bcp-47"),
            pattern: Some("^[A-Za-z]{2,3}(-([A-Za-z]{2}|[0-9]{3}))?$".into()),
            min_length: Some(2),
            max_length: Some(7),
            ..string_schema("A BCP 47 language tag, with or without a region", "de-DE")
        }
    }
}

string_type!(Locale);
text_column!(Locale);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn language_and_region() {
        for (text, tag) in [("en", "en"), ("DE-de", "de-DE"), ("es-419", "es-419"), ("gsw-ch", "gsw-CH")] {
            assert_eq!(text.parse::<Locale>().unwrap().as_str(), tag);
        }
        let locale: Locale = "fr-CA".parse().unwrap();
        assert_eq!((locale.language(), locale.region()), ("fr", Some("CA")));
        assert_eq!(Locale::default(), "en".parse().unwrap());
        for text in ["", "e", "english", "en-", "-DE", "de_DE", "de-D", "de-DE-1996", "de-12", "é-DE"] {
            assert!(text.parse::<Locale>().is_err(), "{text}");
        }
    }
}
