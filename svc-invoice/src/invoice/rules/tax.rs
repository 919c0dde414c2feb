//! What must be so of tax categories: their rates, their company, their reasons (BR-S to BR-O).

use nats::types::{DecimalString, TaxCategory, TaxRate};

use super::Mistakes;
use crate::invoice::{codes, content::InvoiceUpload};

/// The categories that the invoice has, each as often as it has it.
pub(super) fn categories(upload: &InvoiceUpload) -> Vec<TaxCategory> {
    let lines = upload.lines.iter().map(|line| line.tax_category);
    let adjustments = upload.allowances.iter().chain(&upload.charges).map(|item| item.tax_category);
    lines.chain(adjustments).collect()
}

/// A category and its rate, which go together (BR-S-5, BR-Z-5 and so on); `at` is where they stand.
pub(super) fn rate(category: TaxCategory, rate: DecimalString, at: &str, mistakes: &mut Mistakes) -> Option<TaxRate> {
    TaxRate::new(category, rate.decimal())
        .map_err(|invalid| mistakes.add(format!("{at}/tax_rate"), invalid.to_string()))
        .ok()
}

/// Checks what categories do not go together, and the reasons why no tax is due.
pub(super) fn check(upload: &InvoiceUpload, mistakes: &mut Mistakes) {
    let categories = categories(upload);
    // BR-O-11 to BR-O-14
    let outside = |category: &TaxCategory| *category == TaxCategory::OutOfScope;
    if categories.iter().any(outside) && !categories.iter().all(outside) {
        mistakes.add("/lines", "tax category O (outside the scope of tax) cannot be mixed with others");
    }
    for (index, exemption) in upload.exemptions.iter().enumerate() {
        let category = exemption.tax_category;
        let at = |field: &str| format!("/exemptions/{index}/{field}");
        // BR-S-10, BR-Z-10
        if matches!(category, TaxCategory::Standard | TaxCategory::Zero) {
            mistakes.add(
                at("tax_category"),
                format!("tax category {category} is taxed: there is nothing to give a reason for"),
            );
        } else if !categories.contains(&category) {
            mistakes.add(at("tax_category"), format!("nothing on the invoice has tax category {category}"));
        }
        if upload.exemptions.iter().take(index).any(|before| before.tax_category == category) {
            mistakes.add(at("tax_category"), format!("tax category {category} has a reason already"));
        }
        match &exemption.code {
            Some(code) if !codes::is_exemption(code.as_str()) => {
                mistakes.add(at("code"), format!("`{code}` is not in the list VATEX"));
            }
            None if exemption.reason.is_none() => {
                mistakes.add(format!("/exemptions/{index}"), "give a `reason`, a `code`, or both");
            }
            _ => {}
        }
    }
}
