//! Who must be identified for tax, by the categories on the invoice (BR-S-2, BR-AE-2, BR-IC-2, BR-G-2, BR-O-2 and their
//! siblings).

use nats::types::TaxCategory;

use super::{Mistakes, tax::categories};
use crate::invoice::content::InvoiceUpload;

/// Checks that seller and buyer are named as their taxes want it.
pub(super) fn check(upload: &InvoiceUpload, mistakes: &mut Mistakes) {
    let categories = categories(upload);
    let first_of = |wanted: &[TaxCategory]| wanted.iter().copied().find(|category| categories.contains(category));
    let (seller, buyer) = (&upload.seller, &upload.buyer);
    if let Some(category) = first_of(&[TaxCategory::ReverseCharge, TaxCategory::IntraCommunity])
        && buyer.vat_id.is_none()
    {
        mistakes.add("/buyer/vat_id", format!("tax category {category} needs the buyer's VAT identifier"));
    }
    let across = [TaxCategory::ReverseCharge, TaxCategory::IntraCommunity, TaxCategory::Export];
    if let Some(category) = first_of(&across) {
        if seller.vat_id.is_none() {
            mistakes.add("/seller/vat_id", format!("tax category {category} needs the seller's VAT identifier"));
        }
    } else if first_of(&[TaxCategory::Standard, TaxCategory::Zero, TaxCategory::Exempt]).is_some()
        && seller.vat_id.is_none()
        && seller.tax_number.is_none()
    {
        mistakes.add("/seller/vat_id", "the seller needs a `vat_id` or a `tax_number`");
    }
    if first_of(&[TaxCategory::OutOfScope]).is_some() {
        for (pointer, party) in [("/seller/vat_id", seller), ("/buyer/vat_id", buyer)] {
            if party.vat_id.is_some() {
                mistakes.add(pointer, "an invoice outside the scope of tax (category O) names no VAT identifier");
            }
        }
    }
}
