//! Days in requests: `2026-11-20`, and nothing else that chrono would take for a date.

use chrono::NaiveDate;
use nats::types::Invalid;
use serde::{Deserialize, Deserializer, de::Error as _};

/// A day, refused in words that help; none when it is absent or null.
///
/// # Errors
/// Anything but ten characters, `YYYY-MM-DD`, that are a day of the calendar.
pub(crate) fn day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<NaiveDate>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    parse(&text).map(Some).map_err(D::Error::custom)
}

fn parse(text: &str) -> Result<NaiveDate, Invalid> {
    let refuse = || Invalid::quoting(text, "is not a date such as 2026-11-20");
    // chrono also takes signs, years of more than four digits, and months and days of one.
    let sign = |(place, sign): (usize, u8)| if matches!(place, 4 | 7) { sign == b'-' } else { sign.is_ascii_digit() };
    if text.len() != 10 || !text.bytes().enumerate().all(sign) {
        return Err(refuse());
    }
    text.parse().map_err(|_| refuse())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_day_has_ten_characters() {
        assert_eq!(parse("2024-02-29").unwrap().to_string(), "2024-02-29");
        for text in [
            "",
            "+12345-06-07",
            "+12345-6-7",
            "-2026-1-20",
            "2026-1-2",
            "2026-1-020",
            " 2026-1-20",
            "2026-11-2 ",
            "2026-02-30",
            "20.11.2026",
            "2026/11/20",
            "20261120",
            "2026-11-20T00:00:00Z",
            "2026–1-1",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_written_the_same(text in "[-+0-9 ]{0,12}|[0-9]{4}-[01][0-9]-[0-3][0-9]|.*") {
            if let Ok(day) = parse(&text) { prop_assert_eq!(day.to_string(), text); }
        }
    }
}
