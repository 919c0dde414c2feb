//! How to pay, the tax, the totals.

use super::{adjustments, amount, date, rate};
use crate::document::e_invoice;
use crate::document::model::{Invoice, PaymentMeans, Tax};
use crate::document::xml::{Written, Xml, major};

pub(super) fn settlement(xml: &mut Xml, invoice: &Invoice) -> Written {
    xml.within("ram:ApplicableHeaderTradeSettlement", |xml| {
        if invoice.payment_means.is_some() {
            xml.text("ram:PaymentReference", e_invoice::payment_reference(invoice))?; // BT-83
        }
        xml.text("ram:InvoiceCurrencyCode", &invoice.totals.due.currency)?; // BT-5
        if let Some(means) = &invoice.payment_means {
            payment(xml, means)?;
        }
        tax(xml, invoice)?;
        adjustments(xml, invoice, &invoice.allowances, false, "/allowances")?; // BG-20
        adjustments(xml, invoice, &invoice.charges, true, "/charges")?; // BG-21
        terms(xml, invoice)?;
        totals(xml, invoice)?;
        match &invoice.preceding_invoice {
            // BG-3
            Some(preceding) => xml.within("ram:InvoiceReferencedDocument", |xml| {
                xml.text("ram:IssuerAssignedID", preceding) // BT-25
            }),
            None => Ok(()),
        }
    })
}

/// Payment instructions (BG-16).
fn payment(xml: &mut Xml, means: &PaymentMeans) -> Written {
    xml.within("ram:SpecifiedTradeSettlementPaymentMeans", |xml| {
        xml.text("ram:TypeCode", &means.code)?; // BT-81
        let Some(iban) = &means.iban else { return Ok(()) };
        // BG-17
        xml.within("ram:PayeePartyCreditorFinancialAccount", |xml| {
            xml.text("ram:IBANID", iban)?; // BT-84
            xml.optional("ram:AccountName", means.account_name.as_deref()) // BT-85
        })?;
        match &means.bic {
            Some(bic) => xml.within("ram:PayeeSpecifiedCreditorFinancialInstitution", |xml| {
                xml.text("ram:BICID", bic) // BT-86
            }),
            None => Ok(()),
        }
    })
}

/// The tax by category and rate (BG-23).
fn tax(xml: &mut Xml, invoice: &Invoice) -> Written {
    let labels = e_invoice::labels(invoice);
    for (index, group) in invoice.taxes.iter().enumerate() {
        let at = |field: &str| format!("/taxes/{index}/{field}");
        let tax = Tax { category: group.category.clone(), rate: group.rate.clone() };
        xml.within("ram:ApplicableTradeTax", |xml| {
            amount(xml, "ram:CalculatedAmount", &group.tax, || at("tax"))?; // BT-117
            xml.text("ram:TypeCode", "VAT")?;
            xml.optional("ram:ExemptionReason", e_invoice::exemption(group, labels).as_deref())?; // BT-120
            amount(xml, "ram:BasisAmount", &group.basis, || at("basis"))?; // BT-116
            xml.text("ram:CategoryCode", &group.category)?; // BT-118
            xml.optional("ram:ExemptionReasonCode", group.exemption_code.as_deref())?; // BT-121
            rate(xml, &tax, || at("rate")) // BT-119
        })?;
    }
    Ok(())
}

fn terms(xml: &mut Xml, invoice: &Invoice) -> Written {
    if invoice.payment_terms.is_none() && invoice.due_date.is_none() {
        return Ok(());
    }
    xml.within("ram:SpecifiedTradePaymentTerms", |xml| {
        xml.optional("ram:Description", invoice.payment_terms.as_deref())?; // BT-20
        match invoice.due_date {
            Some(due) => date(xml, "ram:DueDateDateTime", due), // BT-9
            None => Ok(()),
        }
    })
}

/// The totals (BG-22).
fn totals(xml: &mut Xml, invoice: &Invoice) -> Written {
    let totals = &invoice.totals;
    let sum = |xml: &mut Xml, name: &str, figure: Option<&_>, field: &str| match figure {
        Some(figure) => amount(xml, name, figure, || format!("/totals/{field}")),
        None => Ok(()),
    };
    xml.within("ram:SpecifiedTradeSettlementHeaderMonetarySummation", |xml| {
        sum(xml, "ram:LineTotalAmount", Some(&totals.lines), "lines")?; // BT-106
        sum(xml, "ram:ChargeTotalAmount", totals.charges.as_ref(), "charges")?; // BT-108
        sum(xml, "ram:AllowanceTotalAmount", totals.allowances.as_ref(), "allowances")?; // BT-107
        sum(xml, "ram:TaxBasisTotalAmount", Some(&totals.net), "net")?; // BT-109
        let tax = major(&totals.tax, || "/totals/tax".to_owned())?.to_string();
        xml.with("ram:TaxTotalAmount", ("currencyID", &totals.tax.currency), &tax)?; // BT-110
        sum(xml, "ram:RoundingAmount", totals.rounding.as_ref(), "rounding")?; // BT-114
        sum(xml, "ram:GrandTotalAmount", Some(&totals.gross), "gross")?; // BT-112
        sum(xml, "ram:TotalPrepaidAmount", totals.prepaid.as_ref(), "prepaid")?; // BT-113
        sum(xml, "ram:DuePayableAmount", Some(&totals.due), "due") // BT-115
    })
}
