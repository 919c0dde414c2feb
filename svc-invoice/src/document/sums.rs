//! The lower half of the page: sums, VAT by rate, amount due, and how to pay.
//!
//! The trap: a credit note has positive amounts too (EN 16931). What tells it from an invoice is its title and the
//! label of its last sum, never a sign.

use super::format::Conventions;
use super::labels::Labels;
use super::model::{Amount, Invoice, Kind};
use super::view::{Fact, PaymentView, TaxView};
use super::written::{ViewError, adjustment, clean, money, number, text};

/// The sums from the subtotal to the total with VAT, and what was paid of it.
pub(super) fn rows(invoice: &Invoice, write: &Conventions) -> Result<Vec<Fact>, ViewError> {
    let labels = write.labels();
    let totals = &invoice.totals;
    let at = |field: &str| format!("/totals/{field}");
    let sum = |label: &str, amount: &Amount, field: &str| -> Result<Fact, ViewError> {
        Ok(Fact::new(label, money(amount, write, || at(field))?))
    };
    let mut rows = Vec::new();
    if !(invoice.allowances.is_empty() && invoice.charges.is_empty()) {
        rows.push(sum(&labels.subtotal, &totals.lines, "lines")?);
    }
    for item in &invoice.allowances {
        rows.push(adjustment(item, -1, &labels.allowance, write, || "/allowances".to_owned())?);
    }
    for item in &invoice.charges {
        rows.push(adjustment(item, 1, &labels.charge, write, || "/charges".to_owned())?);
    }
    rows.push(sum(&labels.net_total, &totals.net, "net")?);
    rows.push(sum(&tax_label(invoice, write)?, &totals.tax, "tax")?);
    let prepaid = totals.prepaid.as_ref().filter(|amount| amount.minor != 0);
    let rounding = totals.rounding.as_ref().filter(|amount| amount.minor != 0);
    // Without either, the total is the amount due, which has a place of its own.
    if prepaid.is_some() || rounding.is_some() {
        rows.push(sum(&labels.gross_total, &totals.gross, "gross")?);
    }
    if let Some(amount) = prepaid {
        let negative = Amount { minor: amount.minor.saturating_neg(), ..amount.clone() };
        rows.push(sum(&labels.prepaid, &negative, "prepaid")?);
    }
    if let Some(amount) = rounding {
        rows.push(sum(&labels.rounding, amount, "rounding")?);
    }
    Ok(rows)
}

/// With a single rate the label names it: `VAT 19%`.
fn tax_label(invoice: &Invoice, write: &Conventions) -> Result<String, ViewError> {
    let label = &write.labels().tax_total;
    match invoice.taxes.as_slice() {
        [group] => Ok(format!("{label} {}", write.percent(number(&group.rate, || "/taxes/0/rate".to_owned())?))),
        _ => Ok(label.clone()),
    }
}

/// The last sum.
pub(super) fn due(invoice: &Invoice, write: &Conventions) -> Result<Fact, ViewError> {
    let labels = write.labels();
    let label = if invoice.kind == Kind::CreditNote { &labels.amount_credited } else { &labels.amount_due };
    Ok(Fact::new(label, money(&invoice.totals.due, write, || "/totals/due".to_owned())?))
}

/// VAT by category and rate.
pub(super) fn taxes(invoice: &Invoice, write: &Conventions) -> Result<Vec<TaxView>, ViewError> {
    let labels = write.labels();
    let groups = invoice.taxes.iter().enumerate();
    groups
        .map(|(index, group)| {
            let at = |field: &str| format!("/taxes/{index}/{field}");
            let rate = write.percent(number(&group.rate, || at("rate"))?);
            let label = match labels.tax_categories.get(&group.category) {
                Some(name) if group.category != "S" => format!("{rate} {name}"),
                _ => rate,
            };
            Ok(TaxView {
                label,
                basis: money(&group.basis, write, || at("basis"))?,
                tax: money(&group.tax, write, || at("tax"))?,
            })
        })
        .collect()
}

/// Why no VAT is charged: the seller's reason, or the usual sentence of the category; each once.
pub(super) fn notices(invoice: &Invoice, labels: &Labels) -> Vec<String> {
    let mut notices: Vec<String> = Vec::new();
    for group in &invoice.taxes {
        let usual = || labels.exemptions.get(&group.category).cloned();
        if let Some(notice) = text(group.exemption_reason.as_deref()).or_else(usual)
            && !notices.contains(&notice)
        {
            notices.push(notice);
        }
    }
    notices
}

/// How to pay; nothing when there is nothing to say.
pub(super) fn payment(invoice: &Invoice, write: &Conventions) -> Option<PaymentView> {
    let labels = write.labels();
    let mut facts = Vec::new();
    if let Some(means) = &invoice.payment_means {
        let mut fact = |label: &str, value: Option<String>| {
            facts.extend(value.map(|value| Fact::new(label, value)));
        };
        fact(&labels.method, labels.payment_means.get(&means.code).cloned());
        let iban = text(means.iban.as_deref());
        // Who has nothing to transfer needs no account. The holder is the seller unless named.
        if let Some(iban) = iban.filter(|_| invoice.kind != Kind::CreditNote && invoice.totals.due.minor != 0) {
            fact(&labels.account_holder, text(means.account_name.as_deref()));
            fact(&labels.iban, Some(in_fours(&iban)));
            fact(&labels.bic, text(means.bic.as_deref()));
            let reference = text(means.reference.as_deref()).unwrap_or_else(|| clean(&invoice.number));
            fact(&labels.payment_reference, Some(reference));
        }
    }
    let open = invoice.kind != Kind::CreditNote && invoice.totals.due.minor > 0 && invoice.paid_on.is_none();
    let by = invoice.due_date.filter(|_| open).map(|day| labels.payable_by.replace("{date}", &write.date(day)));
    let terms = match (text(invoice.payment_terms.as_deref()), by) {
        (Some(terms), Some(by)) => Some(format!("{terms}\n{by}")),
        (terms, by) => terms.or(by),
    };
    (terms.is_some() || !facts.is_empty()).then_some(PaymentView { terms, facts })
}

/// `DE02 1203 0000 0000 2020 51`.
fn in_fours(iban: &str) -> String {
    let letters: Vec<char> = iban.chars().filter(|letter| !letter.is_whitespace()).collect();
    letters.chunks(4).map(|four| four.iter().collect::<String>()).collect::<Vec<_>>().join("\u{a0}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_iban_is_read_in_fours() {
        assert_eq!(in_fours("DE02 12030000 0000202051").replace('\u{a0}', " "), "DE02 1203 0000 0000 2020 51");
        assert_eq!(in_fours(""), "");
    }
}
