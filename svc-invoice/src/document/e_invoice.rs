//! What the two notations of EN 16931 have in common. The BT and BG in the comments of [`super::ubl`] and [`super::cii`]
//! are the business terms and groups of EN 16931-1.
//!
//! The trap: the order of elements is part of both schemas, and neither is the order of the standard's text.

use super::format::Conventions;
use super::labels::Labels;
use super::model::{Adjustment, Invoice, Party, TaxGroup};
use super::written::text;

/// The specification that the invoice keeps (BT-24).
pub(super) const SPECIFICATION: &str = "urn:cen.eu:en16931:2017";
/// Electronic addresses are e-mail addresses (EAS).
pub(super) const EMAIL: &str = "EM";

/// The words of the invoice's language.
pub(super) fn labels(invoice: &Invoice) -> &'static Labels {
    Conventions::of(&invoice.locale).labels()
}

/// Why an allowance or a charge; each must say it (BR-33, BR-38, BR-42, BR-44).
pub(super) fn reason(item: &Adjustment, usual: &str) -> String {
    text(item.reason.as_deref()).unwrap_or_else(|| usual.to_owned())
}

/// A country as the list of EN 16931 has it (BR-CL-14): Kosovo has a code of its own there.
pub(super) fn country(code: &str) -> &str {
    if code == "XK" { "1A" } else { code }
}

/// Whether things of this category have a rate, if only zero (BR-O-05).
pub(super) fn has_rate(category: &str) -> bool {
    category != "O"
}

/// Why no tax is due: the seller's words, or the usual sentence; none where tax is due (BR-S-10, BR-Z-10).
pub(super) fn exemption(group: &TaxGroup, labels: &Labels) -> Option<String> {
    if matches!(group.category.as_str(), "S" | "Z") {
        return None;
    }
    text(group.exemption_reason.as_deref()).or_else(|| labels.exemptions.get(&group.category).cloned())
}

/// Where the goods went. An intra-community supply must say it (BR-IC-12): to the buyer, when it is not said.
pub(super) fn deliver_to(invoice: &Invoice) -> Option<&Party> {
    let across = || invoice.taxes.iter().any(|group| group.category == "K");
    invoice.ship_to.as_ref().or_else(|| across().then_some(&invoice.buyer))
}

/// What the buyer writes on the transfer (BT-83).
pub(super) fn payment_reference(invoice: &Invoice) -> &str {
    let own = invoice.payment_means.as_ref().and_then(|means| means.reference.as_deref());
    own.unwrap_or(&invoice.number)
}
