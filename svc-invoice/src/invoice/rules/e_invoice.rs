//! What an invoice needs beyond that to be an e-invoice: the rules of EN 16931 that a page for people can do without.
//!
//! They hold only where `facturx`, `ubl` or `cii` is asked for; each mistake says which of them asks.

use nats::types::{TaxCategory, Totals};

use super::{Mistakes, tax::categories};
use crate::invoice::{
    codes,
    content::InvoiceUpload,
    values::{DocumentFormat, InvoiceType},
};

/// The first e-invoice that is asked for, and where.
fn wanted(upload: &InvoiceUpload) -> Option<(usize, DocumentFormat)> {
    upload.formats.iter().copied().enumerate().find(|(_, format)| format.is_e_invoice())
}

/// Checks what can be told without the totals.
pub(super) fn check(upload: &InvoiceUpload, mistakes: &mut Mistakes) {
    let Some((index, format)) = wanted(upload) else { return };
    if let Some(reason) = codes::unfit_for_e_invoices(upload.currency) {
        mistakes.add(format!("/formats/{index}"), format!("`{format}` follows EN 16931: {reason}"));
    }
    // BR-CO-26
    if upload.seller.vat_id.is_none() && upload.seller.legal_id.is_none() {
        let detail = format!("`{format}` needs the seller's `vat_id`, or the number in the register of companies");
        mistakes.add("/seller/legal_id", detail);
    }
    for (pointer, party) in [("/seller/vat_id", &upload.seller), ("/buyer/vat_id", &upload.buyer)] {
        // BR-CO-9
        if party.vat_id.as_ref().is_some_and(|id| id.prefix() == "XK") {
            mistakes.add(pointer, format!("`{format}` knows no VAT identifiers of Kosovo"));
        }
    }
    // BR-IC-11
    if categories(upload).contains(&TaxCategory::IntraCommunity) && upload.delivery_date.is_none() {
        mistakes.add("/delivery_date", format!("`{format}` needs the day of an intra-community supply"));
    }
}

/// Checks that the buyer can tell when to pay (BR-CO-25).
pub(super) fn check_due(upload: &InvoiceUpload, totals: &Totals, mistakes: &mut Mistakes) {
    let Some((_, format)) = wanted(upload) else { return };
    let owed = upload.kind != InvoiceType::CreditNote && totals.tax_inclusive.amount > 0;
    if owed && upload.due_date.is_none() && upload.payment_terms.is_none() {
        mistakes.add("/due_date", format!("`{format}` needs `due_date` or `payment_terms`"));
    }
}
