//! The words of the page in its languages, from `templates/labels/*.json`, embedded in the binary.
//!
//! The trap: a label that one file lacks is found when the file is read, not when a French customer opens the page.
//! The struct has no optional fields, and a test reads every file.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

macro_rules! languages {
    ($($(#[$meta:meta])* $variant:ident = $code:literal,)+) => {
        /// A language that the page speaks.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Language { $($(#[$meta])* $variant,)+ }

        impl Language {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// ISO 639-1.
            pub const fn code(self) -> &'static str { match self { $(Self::$variant => $code,)+ } }

            const fn source(self) -> &'static str {
                match self { $(Self::$variant => include_str!(concat!("../../templates/labels/", $code, ".json")),)+ }
            }

            /// The words of this language.
            pub fn labels(self) -> &'static Labels {
                match self {
                    $(Self::$variant => {
                        static LABELS: LazyLock<Labels> = LazyLock::new(|| read(Language::$variant));
                        &LABELS
                    })+
                }
            }
        }
    };
}

languages! {
    /// Arabic, from right to left.
    Ar = "ar",
    /// German.
    De = "de",
    /// English.
    En = "en",
    /// Spanish.
    Es = "es",
    /// French.
    Fr = "fr",
    /// Japanese.
    Ja = "ja",
    /// Chinese, in simplified characters.
    Zh = "zh",
}

impl Language {
    /// The language of an ISO 639-1 code in either case.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|language| language.code().eq_ignore_ascii_case(code))
    }

    /// As HTML's `dir` says it.
    pub const fn direction(self) -> &'static str {
        match self {
            Self::Ar => "rtl",
            Self::De | Self::En | Self::Es | Self::Fr | Self::Ja | Self::Zh => "ltr",
        }
    }
}

fn read(language: Language) -> Labels {
    serde_json::from_str(language.source()).unwrap_or_else(|problem| {
        // The files are part of the binary and a test reads every one: this is never seen outside an edit.
        tracing::error!(language = language.code(), %problem, "labels cannot be read");
        Labels::default()
    })
}

/// What the page says besides the invoice's own texts. `{date}`, `{number}` and `{currency}` stand for values.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each is named for the English word that it translates")]
pub struct Labels {
    pub invoice: String,
    pub credit_note: String,
    pub corrected_invoice: String,
    pub issue_date: String,
    pub due_date: String,
    pub delivery_date: String,
    pub order_number: String,
    pub your_vat_id: String,
    pub your_reference: String,
    pub original_invoice: String,
    pub delivered_to: String,
    pub position: String,
    pub item: String,
    pub sku: String,
    pub quantity: String,
    pub unit: String,
    pub unit_price: String,
    pub tax: String,
    pub amount_in: String,
    pub carried_in: String,
    pub carried_out: String,
    pub tax_category: String,
    pub tax_basis: String,
    pub subtotal: String,
    pub allowance: String,
    pub charge: String,
    pub net_total: String,
    pub tax_total: String,
    pub gross_total: String,
    pub prepaid: String,
    pub rounding: String,
    pub amount_due: String,
    pub amount_credited: String,
    pub payment: String,
    pub payable_by: String,
    pub method: String,
    pub account_holder: String,
    pub iban: String,
    pub bic: String,
    pub payment_reference: String,
    pub paid_on: String,
    pub logo: String,
    pub vat_id: String,
    pub tax_number: String,
    /// Short names of the months, January first.
    pub months: Vec<String>,
    /// UNTDID 5305 category to its name.
    pub tax_categories: BTreeMap<String, String>,
    /// UNTDID 5305 category to the sentence that says why no VAT is charged.
    pub exemptions: BTreeMap<String, String>,
    /// UNTDID 4461 payment means to its name.
    pub payment_means: BTreeMap<String, String>,
    /// UN/ECE Rec 20 unit to its short name.
    pub units: BTreeMap<String, String>,
    /// ISO 3166-1 country to its name.
    pub countries: BTreeMap<String, String>,
}

impl Labels {
    /// The short name of a month, 1 to 12.
    pub fn month(&self, month: u32) -> &str {
        let index = usize::try_from(month).unwrap_or(0).wrapping_sub(1);
        self.months.get(index).map_or("", String::as_str)
    }

    /// The name of a country, or its code.
    pub fn country<'a>(&'a self, code: &'a str) -> &'a str {
        self.countries.get(code).map_or(code, String::as_str)
    }

    /// The short name of a unit, or its code.
    pub fn unit<'a>(&'a self, code: &'a str) -> &'a str {
        self.units.get(code).map_or(code, String::as_str)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_every_label_and_none_is_empty() {
        let english: serde_json::Value = serde_json::from_str(Language::En.source()).unwrap();
        for language in Language::ALL.iter().copied() {
            serde_json::from_str::<Labels>(language.source()).unwrap_or_else(|e| panic!("{}: {e}", language.code()));
            let labels: serde_json::Value = serde_json::from_str(language.source()).unwrap();
            same_shape(&english, &labels, language.code());
            assert_eq!(language.labels().months.len(), 12);
        }
    }

    fn same_shape(english: &serde_json::Value, other: &serde_json::Value, at: &str) {
        match (english, other) {
            (serde_json::Value::Object(a), serde_json::Value::Object(b)) => {
                let keys = |map: &serde_json::Map<String, serde_json::Value>| map.keys().cloned().collect::<Vec<_>>();
                assert_eq!(keys(a), keys(b), "{at}");
                a.iter().for_each(|(key, value)| same_shape(value, &b[key], &format!("{at}.{key}")));
            }
            (serde_json::Value::String(a), serde_json::Value::String(b)) => {
                assert!(!b.trim().is_empty(), "{at} is empty");
                for placeholder in ["{date}", "{number}", "{currency}"] {
                    assert_eq!(a.contains(placeholder), b.contains(placeholder), "{at}: {placeholder}");
                }
            }
            (serde_json::Value::Array(a), serde_json::Value::Array(b)) => assert_eq!(a.len(), b.len(), "{at}"),
            _ => panic!("{at}: another kind of value"),
        }
    }

    #[test]
    fn unknown_codes_stand_for_themselves() {
        assert_eq!(Language::De.labels().country("DE"), "Deutschland");
        assert_eq!(Language::De.labels().country("XX"), "XX");
        assert_eq!(Language::En.labels().unit("ZZZ"), "ZZZ");
        assert_eq!(Language::En.labels().month(0), "");
    }
}
