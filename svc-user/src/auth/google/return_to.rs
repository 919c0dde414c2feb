//! Where in the shop somebody wants to go once they are signed in.

use nats::types::{Invalid, StringType, string_schema};
use poem_openapi::registry::MetaSchema;

/// The longest that is taken.
const LONGEST: usize = 512;

/// A path of the shop, with or without a query, such as `/orders?state=open`; the default is `/`.
///
/// Nothing that a browser could take for another host: an open redirect would lead people who have just signed in to
/// wherever somebody wants them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReturnTo(String);

impl ReturnTo {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ReturnTo {
    fn default() -> Self {
        Self("/".to_owned())
    }
}

impl std::str::FromStr for ReturnTo {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        // Browsers read `//` and `/\` as the beginning of a host, and leave out tabs and line ends before they look.
        let of_a_path = |byte: u8| byte.is_ascii_graphic() && !b"\\#".contains(&byte);
        let here = text.starts_with('/') && !text.starts_with("//");
        if here && text.len() <= LONGEST && text.bytes().all(of_a_path) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new("this is not a path of the shop, such as `/orders`"))
        }
    }
}

impl std::fmt::Display for ReturnTo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

impl StringType for ReturnTo {
    fn type_name() -> std::borrow::Cow<'static, str> {
        "ReturnTo".into()
    }

    fn schema() -> MetaSchema {
        let schema = string_schema("A path of the shop, with or without a query", "/orders");
        MetaSchema { max_length: Some(LONGEST), pattern: Some(r"^/([^/\\#\s][^\\#\s]*)?$".into()), ..schema }
    }
}

nats::string_type!(ReturnTo);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_the_shop_are_taken() {
        for good in ["/", "/orders", "/orders/ord_1?tab=lines&x=%2F", "/a//b", "/@b"] {
            assert_eq!(good.parse::<ReturnTo>().unwrap().as_str(), good);
        }
        let long = format!("/{}", "x".repeat(LONGEST));
        for wrong in [
            "",
            "orders",
            "//evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "\\\\evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/a b",
            "/a#b",
            "/ä",
            " /a",
            &long,
        ] {
            assert!(wrong.parse::<ReturnTo>().is_err(), "{wrong:?}");
        }
    }
}
