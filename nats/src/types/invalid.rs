//! The one error of the value types: a sentence that may be shown to whoever sent the value.

use std::borrow::Cow;

/// Why a value was refused, as a sentence: "`XYZ` is not an ISO 4217 currency code".
///
/// Safe to show to the caller: it quotes at most the beginning of what they sent, with control
/// characters escaped, and nothing at all of e-mail addresses, free text and secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(Cow<'static, str>);

impl Invalid {
    /// A refusal in its own words.
    pub fn new(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self(sentence.into())
    }

    /// A refusal that begins with the quoted value: `` `input` predicate ``. Long input is cut.
    pub fn quoting(input: &str, predicate: &str) -> Self {
        const SHOWN: usize = 40;
        let start: String = input.chars().take(SHOWN).flat_map(char::escape_debug).collect();
        let more = if input.chars().nth(SHOWN).is_some() { "…" } else { "" };
        Self(Cow::Owned(format!("`{start}{more}` {predicate}")))
    }

    /// The sentence.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Invalid;

    #[test]
    fn quotes_little_and_escaped() {
        assert_eq!(Invalid::quoting("a\n\0", "is odd").to_string(), r"`a\n\0` is odd");
        assert!(Invalid::quoting(&"x".repeat(9_999), "is long").as_str().len() < 70);
    }
}
