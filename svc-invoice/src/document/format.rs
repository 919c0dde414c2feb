//! Numbers, money, percentages and dates as people of a country write them.
//!
//! A table of our own: what an invoice needs of a locale is seven choices, and a library's data would be many times the
//! size of this program's templates.
//!
//! The trap: the blanks are no-break spaces (U+00A0, in French numbers U+202F) and the minus is U+2212, as typography
//! wants it. Whoever searches the page for `1.234,56 €` with a plain blank finds nothing; in a PDF's text it depends
//! on the font and on the program that reads it, so there compare with blanks made equal.

use chrono::{Datelike as _, NaiveDate};
use rust_decimal::{Decimal, RoundingStrategy};

use super::labels::{Labels, Language};
use super::model::Amount;

/// No-break space.
const NBSP: &str = "\u{a0}";
/// Narrow no-break space.
const NNBSP: &str = "\u{202f}";
const MINUS: &str = "\u{2212}";

/// Where the currency stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Side {
    Before,
    After,
}

/// How the reader writes: a language, and what the country does otherwise.
#[derive(Clone, Debug)]
pub struct Conventions {
    /// The language of the labels.
    pub language: Language,
    tag: String,
    decimal: &'static str,
    group: &'static str,
    /// Grouping begins at this many digits before the decimal sign (Spanish writes 1234 but 12.345).
    group_from: usize,
    currency: Side,
    percent: &'static str,
    date: DateStyle,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum DateStyle {
    /// 20.11.2026
    Dots,
    /// 20/11/2026
    Slashes,
    /// 20 Nov 2026
    DayMonth,
    /// Nov 20, 2026
    MonthDay,
    /// 2026年11月20日
    YearFirst,
}

impl Conventions {
    /// The conventions of a BCP 47 tag; a language without labels reads English.
    pub fn of(tag: &str) -> Self {
        let (language, country) = parts(tag);
        let (decimal, group, group_from, currency, percent, date) = match (language, country.as_str()) {
            (Language::De, "CH" | "LI") => (".", "\u{2019}", 4, Side::Before, "%", DateStyle::Dots),
            (Language::De, _) => (",", ".", 4, Side::After, "\u{a0}%", DateStyle::Dots),
            (Language::Fr, _) => (",", NNBSP, 4, Side::After, "\u{202f}%", DateStyle::Slashes),
            (Language::Es, "MX") => (".", ",", 4, Side::Before, "%", DateStyle::Slashes),
            (Language::Es, _) => (",", ".", 5, Side::After, "\u{a0}%", DateStyle::Slashes),
            // Figures in Latin digits, as invoices between countries have them.
            (Language::Ar, _) => (".", ",", 4, Side::After, "%", DateStyle::DayMonth),
            (Language::Ja | Language::Zh, _) => (".", ",", 4, Side::Before, "%", DateStyle::YearFirst),
            (Language::En, "US") => (".", ",", 4, Side::Before, "%", DateStyle::MonthDay),
            (Language::En, _) => (".", ",", 4, Side::Before, "%", DateStyle::DayMonth),
        };
        let tag =
            if country.is_empty() { language.code().to_owned() } else { format!("{}-{country}", language.code()) };
        Self { language, tag, decimal, group, group_from, currency, percent, date }
    }

    /// The tag for `<html lang>`: a language that the labels really have.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// What stands between the whole and its fraction.
    pub const fn decimal_sign(&self) -> &'static str {
        self.decimal
    }

    /// The labels of the language.
    pub fn labels(&self) -> &'static Labels {
        self.language.labels()
    }

    /// A number with all its digits, and at least `places` of them after the decimal sign.
    pub fn number(&self, value: Decimal, places: u32) -> String {
        let normal = value.normalize();
        let places = places.max(normal.scale());
        let rounded = normal.round_dp_with_strategy(places, RoundingStrategy::MidpointAwayFromZero);
        let width = usize::try_from(places).unwrap_or(usize::MAX);
        let plain = format!("{:.width$}", rounded.abs());
        let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
        let mut text = String::new();
        if rounded.is_sign_negative() && !rounded.is_zero() {
            text.push_str(MINUS);
        }
        text.push_str(&self.grouped(whole));
        if !fraction.is_empty() {
            text.push_str(self.decimal);
            text.push_str(fraction);
        }
        text
    }

    /// An amount as a plain number; `None` when the exponent is none that a currency can have.
    pub fn amount(&self, amount: &Amount) -> Option<String> {
        Some(self.number(amount.major()?, u32::from(amount.exponent)))
    }

    /// An amount with its currency: `1.234,56 €`, `€1,234.56`.
    pub fn money(&self, amount: &Amount) -> Option<String> {
        let value = amount.major()?;
        let digits = self.number(value.abs(), u32::from(amount.exponent));
        let sign = if value.is_sign_negative() && !value.is_zero() { MINUS } else { "" };
        let symbol = self.symbol(&amount.currency);
        Some(match self.currency {
            Side::After => format!("{sign}{digits}{NBSP}{symbol}"),
            // A letter would run into the figure: `CHF 12`, but `€12`.
            Side::Before if symbol.ends_with(char::is_alphabetic) => format!("{sign}{symbol}{NBSP}{digits}"),
            Side::Before => format!("{sign}{symbol}{digits}"),
        })
    }

    /// A rate: `19 %`, `5.5%`.
    pub fn percent(&self, rate: Decimal) -> String {
        format!("{}{}", self.number(rate, 0), self.percent)
    }

    /// A day.
    pub fn date(&self, date: NaiveDate) -> String {
        let (day, month, year) = (date.day(), date.month(), date.year());
        let name = || self.labels().month(month);
        match self.date {
            DateStyle::Dots => format!("{day:02}.{month:02}.{year}"),
            DateStyle::Slashes => format!("{day:02}/{month:02}/{year}"),
            DateStyle::DayMonth => format!("{day}{NBSP}{}{NBSP}{year}", name()),
            DateStyle::YearFirst => format!("{year}年{month}月{day}日"),
            DateStyle::MonthDay => format!("{}{NBSP}{day},{NBSP}{year}", name()),
        }
    }

    fn grouped(&self, digits: &str) -> String {
        if digits.len() < self.group_from {
            return digits.to_owned();
        }
        let mut text = String::with_capacity(digits.len() * 2);
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                text.push_str(self.group);
            }
            text.push(digit);
        }
        text
    }

    /// The symbol that cannot be mistaken in this language, else the ISO code.
    fn symbol<'a>(&self, currency: &'a str) -> &'a str {
        match (currency, self.language, self.tag.as_str()) {
            ("EUR", ..) => "€",
            ("GBP", ..) => "£",
            ("JPY", Language::Zh, _) => "JP¥",
            ("JPY", ..) | ("CNY", Language::Zh, _) => "¥",
            ("USD", Language::De, _) | ("USD", _, "en-US") => "$",
            ("USD", Language::Fr, _) => "$US",
            ("USD", ..) => "US$",
            ("MXN", _, "es-MX") => "$",
            _ => currency,
        }
    }
}

/// Language and upper-case country of a tag such as `de-DE`, `de_AT.UTF-8` or `zh-Hans-CN`.
fn parts(tag: &str) -> (Language, String) {
    let tag = tag.split('.').next().unwrap_or_default();
    let mut subtags = tag.split(['-', '_']);
    let known = subtags.next().and_then(Language::from_code);
    let country = subtags
        .find(|part| part.len() == 2 && part.chars().all(|letter| letter.is_ascii_alphabetic()))
        .map(str::to_ascii_uppercase)
        .unwrap_or_default();
    match known {
        Some(language) => (language, country),
        None => (Language::En, String::new()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    fn amount(minor: i64, currency: &str, exponent: u8) -> Amount {
        Amount { minor, currency: currency.to_owned(), exponent }
    }

    fn money(tag: &str, minor: i64, currency: &str, exponent: u8) -> String {
        Conventions::of(tag).money(&amount(minor, currency, exponent)).unwrap()
    }

    #[test]
    fn money_is_written_as_the_country_writes_it() {
        assert_eq!(money("de-DE", 123_456, "EUR", 2), "1.234,56\u{a0}€");
        assert_eq!(money("en-GB", 123_456, "EUR", 2), "€1,234.56");
        assert_eq!(money("fr-FR", 123_456_789, "EUR", 2), "1\u{202f}234\u{202f}567,89\u{a0}€");
        assert_eq!(money("es-ES", 123_456, "EUR", 2), "1234,56\u{a0}€");
        assert_eq!(money("es-ES", 1_234_567, "EUR", 2), "12.345,67\u{a0}€");
        assert_eq!(money("de-CH", 123_456, "CHF", 2), "CHF\u{a0}1’234.56");
        assert_eq!(money("en-US", 123_456, "USD", 2), "$1,234.56");
        assert_eq!(money("en-GB", 123_456, "USD", 2), "US$1,234.56");
        assert_eq!(money("fr-FR", 100, "USD", 2), "1,00\u{a0}$US");
        assert_eq!(money("ar-AE", 123_456, "AED", 2), "1,234.56\u{a0}AED");
        assert_eq!(money("ja-JP", 123_456, "JPY", 0), "¥123,456");
        assert_eq!(money("zh-CN", 123_456, "CNY", 2), "¥1,234.56");
        assert_eq!(money("zh-CN", 123_456, "JPY", 0), "JP¥123,456");
    }

    #[test]
    fn the_exponent_of_the_currency_is_kept() {
        assert_eq!(money("en-GB", 123_456, "JPY", 0), "¥123,456");
        assert_eq!(money("de-DE", 1_234_567, "JOD", 3), "1.234,567\u{a0}JOD");
        assert_eq!(money("en-GB", 5, "EUR", 2), "€0.05");
        assert_eq!(Conventions::of("en").money(&amount(1, "EUR", 200)), None);
    }

    #[test]
    fn a_negative_amount_has_a_minus_and_zero_has_none() {
        assert_eq!(money("en-GB", -500, "EUR", 2), "\u{2212}€5.00");
        assert_eq!(money("de-DE", -500, "EUR", 2), "\u{2212}5,00\u{a0}€");
        assert_eq!(money("de-DE", 0, "EUR", 2), "0,00\u{a0}€");
        assert_eq!(money("en-GB", i64::MIN, "EUR", 2), "\u{2212}€92,233,720,368,547,758.08");
    }

    #[test]
    fn numbers_lose_no_digit() {
        let german = Conventions::of("de-DE");
        assert_eq!(german.number("1.500".parse().unwrap(), 0), "1,5");
        assert_eq!(german.number("0.00015".parse().unwrap(), 2), "0,00015");
        assert_eq!(german.number("49.9".parse().unwrap(), 2), "49,90");
        assert_eq!(german.number("-1234567".parse().unwrap(), 0), "\u{2212}1.234.567");
    }

    #[test]
    fn dates_and_percentages() {
        let day = NaiveDate::from_ymd_opt(2026, 11, 9).unwrap();
        let written = |tag: &str| Conventions::of(tag).date(day);
        assert_eq!(written("de-DE"), "09.11.2026");
        assert_eq!(written("fr"), "09/11/2026");
        assert_eq!(written("es-ES"), "09/11/2026");
        assert_eq!(written("en-GB"), "9\u{a0}Nov\u{a0}2026");
        assert_eq!(written("en-US"), "Nov\u{a0}9,\u{a0}2026");
        assert_eq!(written("ar"), "9\u{a0}نوفمبر\u{a0}2026");
        assert_eq!(written("ja-JP"), "2026年11月9日");
        assert_eq!(written("zh"), "2026年11月9日");
        let rate: Decimal = "5.50".parse().unwrap();
        assert_eq!(Conventions::of("fr-FR").percent(rate), "5,5\u{202f}%");
        assert_eq!(Conventions::of("en").percent(rate), "5.5%");
        assert_eq!(Conventions::of("de").percent("19".parse().unwrap()), "19\u{a0}%");
    }

    #[test]
    fn an_unknown_language_reads_english_and_odd_tags_do_no_harm() {
        for (tag, expected) in [
            ("de_AT.UTF-8", "de-AT"),
            ("DE-de", "de-DE"),
            ("pl-PL", "en"),
            ("", "en"),
            ("\"><script>", "en"),
            ("fr-<b", "fr"),
            ("es-Latn-MX", "es-MX"),
        ] {
            assert_eq!(Conventions::of(tag).tag(), expected, "{tag}");
        }
    }
}
