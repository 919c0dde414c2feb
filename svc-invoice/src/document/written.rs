//! Single texts and figures on their way to the page, each refused with its place when it cannot be written.
//!
//! The trap: people type anything into a name. [`clean`] takes out control characters and the marks that turn the
//! direction of writing, with which `1,00` can be made to read `00,1`.

use rust_decimal::Decimal;

use super::format::Conventions;
use super::model::{Adjustment, Amount};
use super::view::Fact;

/// A figure that cannot be printed; the place is a JSON pointer into the invoice.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ViewError {
    /// `/lines/3/quantity`.
    pub pointer: String,
    /// What stands there.
    pub value: String,
}

impl std::fmt::Display for ViewError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "The invoice cannot be printed: {} is not a decimal number at {}.", self.value, self.pointer)
    }
}

impl std::error::Error for ViewError {}

/// An allowance (sign −1) or a charge (1) as a row.
pub(super) fn adjustment(
    item: &Adjustment,
    sign: i64,
    label: &str,
    write: &Conventions,
    pointer: impl Fn() -> String,
) -> Result<Fact, ViewError> {
    let signed = Amount { minor: item.amount.minor.saturating_mul(sign), ..item.amount.clone() };
    let reason = text(item.reason.as_deref()).unwrap_or_else(|| label.to_owned());
    Ok(Fact::new(&reason, money(&signed, write, pointer)?))
}

pub(super) fn number(value: &str, pointer: impl FnOnce() -> String) -> Result<Decimal, ViewError> {
    value.parse().map_err(|_| ViewError { pointer: pointer(), value: clean(value) })
}

pub(super) fn money(amount: &Amount, write: &Conventions, at: impl FnOnce() -> String) -> Result<String, ViewError> {
    let clean = Amount { currency: clean(&amount.currency), ..amount.clone() };
    write.money(&clean).ok_or_else(|| ViewError { pointer: at(), value: format!("{amount:?}") })
}

pub(super) fn plain(amount: &Amount, write: &Conventions, at: impl FnOnce() -> String) -> Result<String, ViewError> {
    write.amount(amount).ok_or_else(|| ViewError { pointer: at(), value: format!("{amount:?}") })
}

/// A text with something in it.
pub(super) fn text(value: Option<&str>) -> Option<String> {
    value.map(clean).filter(|value| !value.is_empty())
}

/// Without control characters, without what is no character at all, and without marks that turn the direction of writing; line
/// ends stay.
pub(super) fn clean(value: &str) -> String {
    let turns = |letter: char| matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    // The last two of each plane, and thirty-two in the middle: no XML may hold them, and no font has them.
    let nothing = |letter: char| {
        let code = u32::from(letter);
        code & 0xfffe == 0xfffe || (0xfdd0..=0xfdef).contains(&code)
    };
    let kept = value.replace("\r\n", "\n").replace('\t', " ");
    kept.chars()
        .filter(|letter| *letter == '\n' || !(letter.is_control() || turns(*letter) || nothing(*letter)))
        .collect::<String>()
        .trim()
        .to_owned()
}
