//! How to pay, the tax, the totals.

use super::{amount, category};
use crate::document::e_invoice;
use crate::document::model::{Invoice, Kind, Tax};
use crate::document::xml::{Written, Xml};

/// Payment instructions (BG-16) and terms.
pub(super) fn payment(xml: &mut Xml, invoice: &Invoice) -> Written {
    // A credit note has no due date of its own: it stands with the means of payment.
    let due = invoice.due_date.filter(|_| invoice.kind == Kind::CreditNote);
    if let Some(means) = &invoice.payment_means {
        xml.within("cac:PaymentMeans", |xml| {
            xml.text("cbc:PaymentMeansCode", &means.code)?; // BT-81
            if let Some(due) = due {
                xml.text("cbc:PaymentDueDate", &due.to_string())?; // BT-9
            }
            xml.text("cbc:PaymentID", e_invoice::payment_reference(invoice))?; // BT-83
            let Some(iban) = &means.iban else { return Ok(()) };
            // BG-17
            xml.within("cac:PayeeFinancialAccount", |xml| {
                xml.text("cbc:ID", iban)?; // BT-84
                xml.optional("cbc:Name", means.account_name.as_deref())?; // BT-85
                match &means.bic {
                    Some(bic) => xml.within("cac:FinancialInstitutionBranch", |xml| xml.text("cbc:ID", bic)), // BT-86
                    None => Ok(()),
                }
            })
        })?;
    }
    match &invoice.payment_terms {
        Some(terms) => xml.within("cac:PaymentTerms", |xml| xml.text("cbc:Note", terms)), // BT-20
        None => Ok(()),
    }
}

/// The tax, and by category and rate (BG-23).
pub(super) fn tax(xml: &mut Xml, invoice: &Invoice) -> Written {
    let labels = e_invoice::labels(invoice);
    xml.within("cac:TaxTotal", |xml| {
        amount(xml, "cbc:TaxAmount", &invoice.totals.tax, || "/totals/tax".to_owned())?; // BT-110
        for (index, group) in invoice.taxes.iter().enumerate() {
            let at = |field: &str| format!("/taxes/{index}/{field}");
            xml.within("cac:TaxSubtotal", |xml| {
                amount(xml, "cbc:TaxableAmount", &group.basis, || at("basis"))?; // BT-116
                amount(xml, "cbc:TaxAmount", &group.tax, || at("tax"))?; // BT-117
                let tax = Tax { category: group.category.clone(), rate: group.rate.clone() };
                let reason = e_invoice::exemption(group, labels);
                let exemption = (group.exemption_code.as_deref(), reason.as_deref());
                category(xml, "cac:TaxCategory", &tax, Some(exemption), || at("rate")) // BT-118, BT-119
            })?;
        }
        Ok(())
    })
}

/// The totals (BG-22).
pub(super) fn totals(xml: &mut Xml, invoice: &Invoice) -> Written {
    let totals = &invoice.totals;
    let figures = [
        ("cbc:LineExtensionAmount", Some(&totals.lines), "lines"), // BT-106
        ("cbc:TaxExclusiveAmount", Some(&totals.net), "net"),      // BT-109
        ("cbc:TaxInclusiveAmount", Some(&totals.gross), "gross"),  // BT-112
        ("cbc:AllowanceTotalAmount", totals.allowances.as_ref(), "allowances"), // BT-107
        ("cbc:ChargeTotalAmount", totals.charges.as_ref(), "charges"), // BT-108
        ("cbc:PrepaidAmount", totals.prepaid.as_ref(), "prepaid"), // BT-113
        ("cbc:PayableRoundingAmount", totals.rounding.as_ref(), "rounding"), // BT-114
        ("cbc:PayableAmount", Some(&totals.due), "due"),           // BT-115
    ];
    xml.within("cac:LegalMonetaryTotal", |xml| {
        for (name, figure, field) in figures {
            if let Some(figure) = figure {
                amount(xml, name, figure, || format!("/totals/{field}"))?;
            }
        }
        Ok(())
    })
}
