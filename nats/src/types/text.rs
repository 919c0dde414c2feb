//! Free text with a length: names, lines of an address, notes.

use std::{borrow::Cow, fmt, ops::Deref, str::FromStr};

use diesel::{deserialize::FromSqlRow, expression::AsExpression, sql_types};
use poem_openapi::registry::MetaSchema;

use super::{
    Invalid,
    glue::{StringType, string_schema},
};

/// The name of a person, company or thing: 1 to 200 characters.
pub type Name = Text<1, 200>;

/// From this maximum on a text may have more than one line.
const MULTILINE: usize = 1_000;

/// Text of `MIN` to `MAX` characters (Unicode scalar values, not bytes), trimmed at both ends.
///
/// Control characters are refused, except that a text which may be 1,000 characters or longer
/// may have tabs and line ends; `\r\n` becomes `\n`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Text)]
pub struct Text<const MIN: usize, const MAX: usize>(String);

impl<const MIN: usize, const MAX: usize> Text<MIN, MAX> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, owned.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl<const MIN: usize, const MAX: usize> FromStr for Text<MIN, MAX> {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let multiline = MAX >= MULTILINE;
        let text = text.trim();
        let text = if multiline { text.replace("\r\n", "\n") } else { text.to_owned() };
        if text.chars().any(|c| c.is_control() && !(multiline && matches!(c, '\n' | '\t'))) {
            return Err(Invalid::new("this text has a control character"));
        }
        // A text of more than 4 bytes per character is too long without counting.
        let length = if text.len() > MAX.saturating_mul(4) { usize::MAX } else { text.chars().count() };
        match length {
            0 if MIN > 0 => Err(Invalid::new("this text must not be empty")),
            _ if length < MIN => Err(Invalid::new(format!("this text must have at least {MIN} characters"))),
            _ if length > MAX => Err(Invalid::new(format!("this text must have at most {MAX} characters"))),
            _ => Ok(Self(text)),
        }
    }
}

impl<const MIN: usize, const MAX: usize> fmt::Display for Text<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<const MIN: usize, const MAX: usize> Deref for Text<MIN, MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MIN: usize, const MAX: usize> AsRef<str> for Text<MIN, MAX> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<const MIN: usize, const MAX: usize> TryFrom<&str> for Text<MIN, MAX> {
    type Error = Invalid;

    fn try_from(text: &str) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl<const MIN: usize, const MAX: usize> From<Text<MIN, MAX>> for String {
    fn from(text: Text<MIN, MAX>) -> Self {
        text.0
    }
}

impl<const MIN: usize, const MAX: usize> StringType for Text<MIN, MAX> {
    fn type_name() -> Cow<'static, str> {
        format!("Text_{MIN}_{MAX}").into()
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            min_length: (MIN > 0).then_some(MIN),
            max_length: Some(MAX),
            example: None,
            ..string_schema("Text; trimmed at both ends, no control characters", "")
        }
    }
}

string_type!([const MIN: usize, const MAX: usize] Text<MIN, MAX>);
text_column!([const MIN: usize, const MAX: usize] Text<MIN, MAX>);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn trims_and_counts_characters() {
        assert_eq!("  Zoë  ".parse::<Text<3, 3>>().unwrap().as_str(), "Zoë");
        assert!("😀😀😀".parse::<Text<1, 3>>().is_ok());
        assert!("😀😀😀😀".parse::<Text<1, 3>>().is_err());
        assert!("   ".parse::<Name>().is_err());
        assert!("   ".parse::<Text<0, 3>>().unwrap().is_empty());
        assert!("x".repeat(1 << 20).parse::<Name>().is_err());
    }

    #[test]
    fn control_characters() {
        for text in ["a\0b", "a\nb", "a\tb", "a\u{7f}b", "a\u{85}b"] {
            assert!(text.parse::<Name>().is_err(), "{text:?}");
        }
        let note: Text<0, 1000> = "a\r\nb\tc".parse().unwrap();
        assert_eq!(note.as_str(), "a\nb\tc");
        assert!("a\0b".parse::<Text<0, 1000>>().is_err());
        assert!("a\rb".parse::<Text<0, 1000>>().is_err());
    }

    proptest! {
        #[test]
        fn what_is_accepted_stays_as_it_is(text in any::<String>()) {
            if let Ok(parsed) = text.parse::<Text<1, 1000>>() {
                prop_assert_eq!(parsed.as_str().parse::<Text<1, 1000>>(), Ok(parsed.clone()));
                let json = serde_json::to_string(&parsed).unwrap();
                prop_assert_eq!(serde_json::from_str::<Text<1, 1000>>(&json).unwrap(), parsed);
            }
        }
    }
}
