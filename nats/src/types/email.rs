//! E-mail addresses. Only a mail that arrives proves one; here is what can be said without.

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

/// An e-mail address of up to 254 ASCII characters, its domain in lower case.
///
/// `Debug` does not show it, so that it stays out of logs; `Display` does. The part before the
/// `@` keeps its case, so a unique index belongs on `lower(email)`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Text)]
pub struct Email(String);

impl Email {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part after the `@`, in lower case.
    pub fn domain(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }
}

/// Letters, digits and the signs of RFC 5322 `atext`, in parts between single dots.
fn is_local(local: &str) -> bool {
    let sign = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b);
    local.len() <= 64 && local.split('.').all(|part| !part.is_empty() && part.bytes().all(sign))
}

/// Two or more host name labels (RFC 1123).
fn is_domain(domain: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    domain.contains('.') && domain.split('.').all(label)
}

impl FromStr for Email {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.split_once('@') {
            Some((local, domain)) if text.len() <= 254 && is_local(local) && is_domain(domain) => {
                Ok(Self(format!("{local}@{}", domain.to_ascii_lowercase())))
            }
            _ => Err(Invalid::new("this is not an e-mail address")),
        }
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

impl AsRef<str> for Email {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl StringType for Email {
    fn type_name() -> Cow<'static, str> {
        "Email".into()
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            format: Some("email"),
            min_length: Some(5),
            max_length: Some(254),
            ..string_schema("An e-mail address", "ada@example.com")
        }
    }
}

string_type!(Email);
text_column!(Email);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn accepts_addresses() {
        for text in
            ["ada@example.com", "Ada.Lovelace+shop@mail.example.co.uk", "o'neil@x.io", "a@xn--bcher-kva.example"]
        {
            assert_eq!(text.parse::<Email>().unwrap().as_str(), text);
        }
        assert_eq!("Ada@Example.COM".parse::<Email>().unwrap().as_str(), "Ada@example.com");
    }

    #[test]
    fn refuses_others() {
        let long = format!("{}@example.com", "a".repeat(65));
        for text in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "ada@example",
            "a@b@example.com",
            "a b@example.com",
            "ada@example.com ",
            "ada@example..com",
            "ada@-example.com",
            ".ada@example.com",
            "ada@example.com\r\nBcc: x@example.com",
            "<ada@example.com>",
            "a,b@example.com",
            &long,
        ] {
            assert!(text.parse::<Email>().is_err(), "{text}");
        }
    }

    #[test]
    fn stays_out_of_logs_and_errors() {
        let email: Email = "ada@example.com".parse().unwrap();
        assert_eq!(format!("{email:?}"), "Email(…)");
        assert!(!"ada@".parse::<Email>().unwrap_err().to_string().contains("ada"));
    }
}
