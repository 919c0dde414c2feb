//! Money as a reader writes it, for documents and mails. Patterns are those of the Unicode CLDR.

use super::Money;
use crate::types::Currency;

/// How a language writes money.
struct Style {
    decimal: char,
    group: char,
    /// Fewest digits before the first separator: Spanish writes `1234` but `12.345`.
    before_group: usize,
    symbol_first: bool,
}

const NO_BREAK_SPACE: char = '\u{a0}';
const NARROW_NO_BREAK_SPACE: char = '\u{202f}';

fn style(locale: &str) -> Option<Style> {
    let language = locale.split(['-', '_']).next().unwrap_or_default();
    let (decimal, group, before_group, symbol_first) = match language {
        "en" => ('.', ',', 1, true),
        "de" | "it" => (',', '.', 1, false),
        "es" => (',', '.', 2, false),
        "fr" => (',', NARROW_NO_BREAK_SPACE, 1, false),
        _ => return None,
    };
    Some(Style { decimal, group, before_group, symbol_first })
}

/// The symbol where it is unmistakable, else nothing: several currencies call themselves `$`.
fn symbol(currency: Currency) -> Option<&'static str> {
    match currency.code() {
        "EUR" => Some("€"),
        "USD" => Some("$"),
        "GBP" => Some("£"),
        "JPY" => Some("¥"),
        _ => None,
    }
}

/// `money` as the language of `locale` (BCP 47) writes it: `€1,234.56` for `en`, `1.234,56 €` for
/// `de`, `es` and `it`, `1 234,56 €` for `fr`; other languages get `1234.56 EUR`.
///
/// Spaces are no-break spaces (U+00A0; U+202F between French digits). EUR, USD, GBP and JPY have
/// their symbol, other currencies their code.
pub fn format_locale(money: &Money, locale: &str) -> String {
    let Some(style) = style(locale) else {
        return money.to_string();
    };
    let sign = if money.is_negative() { "-" } else { "" };
    let number = number(money, &style);
    match (symbol(money.currency), style.symbol_first) {
        (Some(symbol), true) => format!("{sign}{symbol}{number}"),
        (Some(symbol), false) => format!("{sign}{number}{NO_BREAK_SPACE}{symbol}"),
        (None, true) => format!("{sign}{}{NO_BREAK_SPACE}{number}", money.currency),
        (None, false) => format!("{sign}{number}{NO_BREAK_SPACE}{}", money.currency),
    }
}

/// The digits without sign or currency: `1.234,56`.
fn number(money: &Money, style: &Style) -> String {
    let plain = money.to_decimal().abs().to_string();
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    let grouped = whole.len() >= 3 + style.before_group;
    let mut number = String::with_capacity(plain.len() + 8);
    for (index, digit) in whole.chars().enumerate() {
        if grouped && index > 0 && (whole.len() - index).is_multiple_of(3) {
            number.push(style.group);
        }
        number.push(digit);
    }
    if !fraction.is_empty() {
        number.push(style.decimal);
        number.push_str(fraction);
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_each_language_writes_it() {
        let (euro, yen, dinar) = (Currency::EUR, Currency::JPY, Currency::JOD);
        for (amount, currency, locale, expected) in [
            (1299, euro, "en", "€12.99"),
            (-123_456_789, euro, "en-GB", "-€1,234,567.89"),
            (1299, euro, "de-DE", "12,99\u{a0}€"),
            (123_456, euro, "de", "1.234,56\u{a0}€"),
            (123_456, euro, "es", "1234,56\u{a0}€"),
            (1_234_567, euro, "es", "12.345,67\u{a0}€"),
            (123_456, euro, "fr", "1\u{202f}234,56\u{a0}€"),
            (-5, euro, "fr-FR", "-0,05\u{a0}€"),
            (1_500, yen, "en", "¥1,500"),
            (1_299, dinar, "en", "JOD\u{a0}1.299"),
            (1_299, dinar, "de", "1,299\u{a0}JOD"),
            (123_456, euro, "sv", "1234.56 EUR"),
            (123_456, euro, "", "1234.56 EUR"),
            (i64::MIN, yen, "en", "-¥9,223,372,036,854,775,808"),
        ] {
            assert_eq!(format_locale(&Money::new(amount, currency), locale), expected);
        }
    }
}
