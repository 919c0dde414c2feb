//! Secrets: values that must not end up in a log, an error or a debugger's output.
//!
//! There is no `Serialize`: whoever sends a secret on, exposes it first, in sight of a reviewer.
//! There is no `PartialEq`: comparing secrets with `==` takes time that tells.

use std::{
    borrow::Cow,
    fmt::{self, Debug, Display},
};

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

/// A value whose `Debug` and `Display` are `***`. As wide as `T`; it does not wipe memory.
#[derive(Clone, Copy, Default)]
#[repr(transparent)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Hides a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The value, owned.
    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<T> Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self).map_err(|error| {
            // An inner error may quote the value, so it is dropped; that there is none quotes nothing.
            let missing = error.to_string().starts_with("missing field");
            if missing { error } else { D::Error::custom("this secret is not of the right form") }
        })
    }
}

/// `{"type": "string", "format": "password"}`. The raw value is the string, so
/// `#[oai(validator(min_length = 12))]` works on a field.
impl Type for Secret<String> {
    const IS_REQUIRED: bool = true;

    type RawValueType = String;
    type RawElementValueType = String;

    fn name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            write_only: true,
            ..MetaSchema::new_with_format("string", "password")
        }))
    }

    fn as_raw_value(&self) -> Option<&String> {
        Some(&self.0)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a String> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl ParseFromJSON for Secret<String> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            Some(Value::String(text)) => Ok(Self(text)),
            _ => Err(ParseError::custom("this must be a string")),
        }
    }
}

/// An answer that contains a secret by mistake shows `***`.
impl ToJSON for Secret<String> {
    fn to_json(&self) -> Option<Value> {
        Some("***".into())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn shows_nothing() {
        let secret: Secret<String> = serde_json::from_str(r#""hunter2""#).unwrap();
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "*** *** Some(***)");
        assert_eq!(secret.to_json(), Some("***".into()));
        assert_eq!(secret.expose(), "hunter2");
        assert_eq!(secret.into_exposed(), "hunter2");
        assert_eq!(size_of::<Secret<String>>(), size_of::<String>());
    }

    #[test]
    fn errors_do_not_quote_it() {
        let error = serde_json::from_str::<Secret<String>>("123456").unwrap_err().to_string();
        assert!(!error.contains("123456"), "{error}");
        let error = Secret::<String>::parse_from_json(Some(123_456.into())).unwrap_err().into_message();
        assert!(!error.contains("123456"), "{error}");
    }
}
