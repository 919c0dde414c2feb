//! The code lists that EN 16931 names, as its validation artefacts 1.3.16 (March 2026) have them.
//!
//! The trap: lists grow. A code that a newer list has is refused until `codes/*.txt` is brought up to date; a row that
//! has one stays readable, for rows are not checked again.

use std::{collections::BTreeSet, sync::LazyLock};

use nats::types::Currency;

/// UN/ECE Recommendation 20 with the packages of Recommendation 21, prefixed `X` (BR-CL-23).
static UNITS: LazyLock<BTreeSet<&str>> = LazyLock::new(|| include_str!("codes/units.txt").split_whitespace().collect());

/// VATEX, the European Commission's list of reasons why no VAT is due (BR-CL-22).
static EXEMPTIONS: LazyLock<BTreeSet<&str>> =
    LazyLock::new(|| include_str!("codes/exemptions.txt").split_whitespace().collect());

/// Currencies that ISO 4217 has withdrawn or that the list never had (BR-CL-03).
const UNLISTED_CURRENCIES: [&str; 7] = ["BGN", "CUC", "HRK", "SLL", "STN", "XAD", "ZWL"];

/// The units and the reasons, for tests to try each.
#[cfg(test)]
pub(crate) fn all() -> [Vec<&'static str>; 2] {
    [&UNITS, &EXEMPTIONS].map(|list| list.iter().copied().collect())
}

/// Whether it is a unit of measure.
pub(crate) fn is_unit(code: &str) -> bool {
    UNITS.contains(code)
}

/// Whether it is a reason why no VAT is due.
pub(crate) fn is_exemption(code: &str) -> bool {
    EXEMPTIONS.contains(code)
}

/// Whether it is a means of payment: UNTDID 4461 (BR-CL-16).
pub(crate) fn is_payment_means(code: &str) -> bool {
    let listed = |number: u8| matches!(number, 1..=70 | 74..=78 | 91..=98);
    code == "ZZZ" || (!code.starts_with(['0', '+']) && code.parse().is_ok_and(listed))
}

/// Why an e-invoice cannot be in this currency.
pub(crate) fn unfit_for_e_invoices(currency: Currency) -> Option<String> {
    let digits = currency.exponent();
    if digits > 2 {
        return Some(format!(
            "its amounts have at most two digits after the point (BR-DEC), those of {currency} {digits}"
        ));
    }
    let unlisted = UNLISTED_CURRENCIES.contains(&currency.code());
    unlisted.then(|| format!("{currency} is not on its list of currencies (BR-CL-03)"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn lists_know_their_codes() {
        for unit in ["C62", "HUR", "KGM", "H87", "XBX", "LS", "10"] {
            assert!(is_unit(unit), "{unit}");
        }
        for unit in ["", "PCX", "c62", "QQQ"] {
            assert!(!is_unit(unit), "{unit}");
        }
        assert!(is_exemption("VATEX-EU-AE") && !is_exemption("VATEX-EU-S") && !is_exemption(""));
        for means in ["1", "30", "58", "70", "98", "ZZZ"] {
            assert!(is_payment_means(means), "{means}");
        }
        for means in ["", "0", "01", "71", "73", "79", "90", "99", "+1", "300"] {
            assert!(!is_payment_means(means), "{means}");
        }
    }

    #[test]
    fn an_e_invoice_has_two_digits_at_most() {
        for (currency, fits) in [("EUR", true), ("JPY", true), ("JOD", false), ("CLF", false), ("HRK", false)] {
            assert_eq!(unfit_for_e_invoices(currency.parse().unwrap()).is_none(), fits, "{currency}");
        }
    }
}
