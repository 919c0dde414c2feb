//! Paging of lists: `limit` and an opaque `cursor` in, `{"data": […], "next_cursor": …}` out.
//!
//! A list reads `limit.rows()` rows, one more than it shows, ordered by a unique key
//! (such as `(created_at, id)`), after the key in the cursor; [`Page::from_rows`] does the rest.
//! The trap: a cursor is not signed. It says where to go on, never what the caller may see.

use std::{borrow::Cow, fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use poem_openapi::{
    Object,
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Invalid,
    glue::{StringType, string_schema},
};
use crate::problem::{Code, Problem};

/// How many entries a page has: 1 to 100, 20 when the parameter is absent.
///
/// `limit: Query<Limit>` is all an endpoint says; the parameter is optional by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Limit(u8);

impl Limit {
    /// Entries on the page.
    pub const fn get(self) -> usize {
        self.0 as usize
    }

    /// Rows to read, for `LIMIT` in SQL: one more than the page has, to see whether it is the last.
    pub fn rows(self) -> i64 {
        i64::from(self.0) + 1
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(20)
    }
}

impl FromStr for Limit {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.parse::<u8>() {
            Ok(limit @ 1..=100) => Ok(Self(limit)),
            _ => Err(Invalid::quoting(text, "is not a limit: it must be 1 to 100")),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Type for Limit {
    const IS_REQUIRED: bool = false;

    leaf_type!();

    fn name() -> Cow<'static, str> {
        "Limit".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            description: Some("How many entries the page has"),
            minimum: Some(1.0),
            maximum: Some(100.0),
            default: Some(Self::default().0.into()),
            ..MetaSchema::new_with_format("integer", "int32")
        }))
    }
}

impl ParseFromParameter for Limit {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        Ok(value.parse()?)
    }

    fn parse_from_parameters<I: IntoIterator<Item = A>, A: AsRef<str>>(values: I) -> ParseResult<Self> {
        match values.into_iter().next() {
            Some(value) => Self::parse_from_parameter(value.as_ref()),
            None => Ok(Self::default()),
        }
    }
}

/// Where the next page begins: the last entry's key, as base64url of its JSON. Opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cursor(String);

/// Longest cursor that is read.
const LONGEST: usize = 512;

impl Cursor {
    /// The cursor after the entry with this key. An error only if the key cannot be JSON.
    pub fn encode<K: Serialize + ?Sized>(key: &K) -> Result<Self, serde_json::Error> {
        Ok(Self(URL_SAFE_NO_PAD.encode(serde_json::to_vec(key)?)))
    }

    /// The key to go on after; an error when the cursor is not one of this list.
    pub fn decode<K: DeserializeOwned>(&self) -> Result<K, Invalid> {
        let bytes = URL_SAFE_NO_PAD.decode(&self.0).ok();
        // Cursors are not signed, and PostgreSQL takes no text with a NUL: a made-up one must not get that far.
        let bytes = bytes.filter(|json| !json.windows(6).any(|part| part.eq_ignore_ascii_case(br"\u0000")));
        bytes
            .and_then(|json| serde_json::from_slice(&json).ok())
            .ok_or_else(|| Invalid::new("this cursor does not belong to this list"))
    }

    /// As [`Cursor::decode`], for endpoints.
    ///
    /// # Errors
    /// `malformed_request`, pointing at the parameter.
    pub fn after<K: DeserializeOwned>(&self) -> Result<K, Problem> {
        self.decode().map_err(|error| {
            Problem::new(Code::MalformedRequest, "The cursor cannot be read.").at("?cursor", error.as_str())
        })
    }

    /// The cursor as it travels.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Cursor {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if (1..=LONGEST).contains(&text.len()) && text.bytes().all(known) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new("this is not a cursor: take it from `next_cursor` of the page before"))
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StringType for Cursor {
    fn type_name() -> Cow<'static, str> {
        "Cursor".into()
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            pattern: Some("^[A-Za-z0-9_-]+$".into()),
            min_length: Some(1),
            max_length: Some(LONGEST),
            example: None,
            ..string_schema("The `next_cursor` of the page before; opaque", "")
        }
    }
}

string_type!(Cursor);

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct Page<T: ParseFromJSON + ToJSON> {
    /// The entries of this page.
    pub data: Vec<T>,
    /// The `cursor` of the next page; null on the last one.
    #[oai(nullable)]
    pub next_cursor: Option<Cursor>,
}

impl<T: ParseFromJSON + ToJSON> Page<T> {
    /// The page made of `rows`, which are up to [`Limit::rows`]: the row too many only tells that
    /// there is a next page. `key` gives what the list is ordered by. An error only if a key
    /// cannot be JSON.
    pub fn from_rows<R, K: Serialize>(
        mut rows: Vec<R>,
        limit: Limit,
        key: impl Fn(&R) -> K,
        map: impl FnMut(R) -> T,
    ) -> Result<Self, serde_json::Error> {
        let more = rows.len() > limit.get();
        rows.truncate(limit.get());
        let last = rows.last().filter(|_| more);
        let next_cursor = last.map(|row| Cursor::encode(&key(row))).transpose()?;
        Ok(Self { data: rows.into_iter().map(map).collect(), next_cursor })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn limits() {
        assert_eq!(Limit::parse_from_parameters(Vec::<String>::new()).unwrap().get(), 20);
        assert_eq!("100".parse::<Limit>().unwrap().rows(), 101);
        for text in ["", "0", "101", "-1", "1.5", "many", "99999999999"] {
            assert!(text.parse::<Limit>().is_err(), "{text}");
        }
    }

    #[test]
    fn cursors() {
        let cursor = Cursor::encode(&("2026-11-20", 7)).unwrap();
        let again: Cursor = cursor.as_str().parse().unwrap();
        assert_eq!(again.decode::<(String, i32)>().unwrap(), ("2026-11-20".to_owned(), 7));
        assert!(again.decode::<u64>().is_err());
        for text in ["", "a b", "a=", "ä", &"x".repeat(513)] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }

    #[test]
    fn last_page_has_null() {
        let page = Page::from_rows(vec![1, 2], Limit(2), |row| *row, |row| row).unwrap();
        assert_eq!(serde_json::to_string(&page).unwrap(), r#"{"data":[1,2],"next_cursor":null}"#);
        assert_eq!(page.to_json_string(), r#"{"data":[1,2],"next_cursor":null}"#);
        assert_eq!(<Page<i32> as Type>::name(), "Page_integer_int32");
    }

    proptest! {
        #[test]
        fn walking_the_pages_visits_every_row_once(count in 0usize..60, limit in 1u8..=100) {
            let (all, limit): (Vec<usize>, _) = ((0..count).collect(), Limit(limit));
            let (mut seen, mut after) = (Vec::new(), None::<usize>);
            loop {
                let rows = all.iter().copied().filter(|row| after.is_none_or(|key| *row > key));
                let rows = rows.take(usize::try_from(limit.rows()).unwrap()).collect();
                let page = Page::from_rows(rows, limit, |row| *row, |row| u64::try_from(row).unwrap()).unwrap();
                seen.extend(page.data);
                match page.next_cursor {
                    Some(cursor) => after = Some(cursor.decode().unwrap()),
                    None => break,
                }
            }
            prop_assert_eq!(seen, (0..u64::try_from(count).unwrap()).collect::<Vec<_>>());
        }

        #[test]
        fn any_cursor_is_an_answer(text in "[A-Za-z0-9_-]{1,80}") {
            let _ = text.parse::<Cursor>().unwrap().decode::<(String, i32)>();
        }
    }
}
