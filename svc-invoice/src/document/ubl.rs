//! UBL 2.1 (ISO/IEC 19845): the invoice as XML, in the first notation of EN 16931.

mod line;
mod party;
mod settlement;

use super::e_invoice::{self, SPECIFICATION, deliver_to};
use super::file_error::FileError;
use super::model::{Adjustment, Amount, Invoice, Kind, Tax};
use super::xml::{Written, Xml, major, plain};

const AGGREGATES: &str = "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2";
const BASICS: &str = "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2";
const INVOICE: &str = "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2";
const CREDIT_NOTE: &str = "urn:oasis:names:specification:ubl:schema:xsd:CreditNote-2";

/// The invoice as an XML document: an `Invoice`, or a `CreditNote` for type 381.
///
/// # Errors
/// A quantity, price or rate that is no decimal number.
pub fn ubl(invoice: &Invoice) -> Result<Vec<u8>, FileError> {
    let credit = invoice.kind == Kind::CreditNote;
    let (root, namespace) = if credit { ("CreditNote", CREDIT_NOTE) } else { ("Invoice", INVOICE) };
    Xml::document(root, &[("xmlns", namespace), ("xmlns:cac", AGGREGATES), ("xmlns:cbc", BASICS)], |xml| {
        head(xml, invoice)?;
        xml.within("cac:AccountingSupplierParty", |xml| party::party(xml, &invoice.seller, true))?; // BG-4
        xml.within("cac:AccountingCustomerParty", |xml| party::party(xml, &invoice.buyer, false))?; // BG-7
        delivery(xml, invoice)?;
        settlement::payment(xml, invoice)?;
        adjustments(xml, invoice, &invoice.allowances, false, "/allowances")?; // BG-20
        adjustments(xml, invoice, &invoice.charges, true, "/charges")?; // BG-21
        settlement::tax(xml, invoice)?;
        settlement::totals(xml, invoice)?;
        for (index, row) in invoice.lines.iter().enumerate() {
            line::line(xml, invoice, index, row)?;
        }
        Ok(())
    })
}

fn head(xml: &mut Xml, invoice: &Invoice) -> Written {
    let credit = invoice.kind == Kind::CreditNote;
    xml.text("cbc:CustomizationID", SPECIFICATION)?; // BT-24
    xml.text("cbc:ID", &invoice.number)?; // BT-1
    xml.text("cbc:IssueDate", &invoice.issue_date.to_string())?; // BT-2
    if let Some(due) = invoice.due_date.filter(|_| !credit) {
        xml.text("cbc:DueDate", &due.to_string())?; // BT-9
    }
    xml.text(if credit { "cbc:CreditNoteTypeCode" } else { "cbc:InvoiceTypeCode" }, invoice.kind.code())?; // BT-3
    xml.optional("cbc:Note", invoice.note.as_deref())?; // BT-22
    xml.text("cbc:DocumentCurrencyCode", &invoice.totals.due.currency)?; // BT-5
    xml.optional("cbc:BuyerReference", invoice.buyer_reference.as_deref())?; // BT-10
    if let Some(order) = &invoice.order_reference {
        xml.within("cac:OrderReference", |xml| xml.text("cbc:ID", order))?; // BT-13
    }
    if let Some(preceding) = &invoice.preceding_invoice {
        // BG-3
        xml.within("cac:BillingReference", |xml| {
            xml.within("cac:InvoiceDocumentReference", |xml| xml.text("cbc:ID", preceding)) // BT-25
        })?;
    }
    Ok(())
}

/// When and where to (BG-13).
fn delivery(xml: &mut Xml, invoice: &Invoice) -> Written {
    let to = deliver_to(invoice);
    if invoice.delivery_date.is_none() && to.is_none() {
        return Ok(());
    }
    xml.within("cac:Delivery", |xml| {
        if let Some(day) = invoice.delivery_date {
            xml.text("cbc:ActualDeliveryDate", &day.to_string())?; // BT-72
        }
        let Some(to) = to else { return Ok(()) };
        // BG-15
        xml.within("cac:DeliveryLocation", |xml| party::address(xml, "cac:Address", to))?;
        xml.within("cac:DeliveryParty", |xml| {
            xml.within("cac:PartyName", |xml| xml.text("cbc:Name", &to.name)) // BT-70
        })
    })
}

/// Allowances or charges; those of a line have no tax of their own.
fn adjustments(xml: &mut Xml, invoice: &Invoice, items: &[Adjustment], charge: bool, at: &str) -> Written {
    let labels = e_invoice::labels(invoice);
    let usual = if charge { &labels.charge } else { &labels.allowance };
    for (index, item) in items.iter().enumerate() {
        xml.within("cac:AllowanceCharge", |xml| {
            xml.text("cbc:ChargeIndicator", if charge { "true" } else { "false" })?;
            // BT-97, BT-104, BT-139, BT-144
            xml.text("cbc:AllowanceChargeReason", &e_invoice::reason(item, usual))?;
            // BT-92, BT-99, BT-136, BT-141
            amount(xml, "cbc:Amount", &item.amount, || format!("{at}/{index}/amount"))?;
            match &item.tax {
                // BT-95, BT-96, BT-102, BT-103
                Some(tax) => category(xml, "cac:TaxCategory", tax, None, || format!("{at}/{index}/tax_rate")),
                None => Ok(()),
            }
        })?;
    }
    Ok(())
}

/// A tax category with its rate, and why no tax is due.
fn category(
    xml: &mut Xml,
    name: &str,
    tax: &Tax,
    exemption: Option<(Option<&str>, Option<&str>)>,
    at: impl FnOnce() -> String,
) -> Written {
    xml.within(name, |xml| {
        xml.text("cbc:ID", &tax.category)?;
        if e_invoice::has_rate(&tax.category) {
            xml.text("cbc:Percent", &plain(&tax.rate, at)?)?;
        }
        if let Some((code, reason)) = exemption {
            xml.optional("cbc:TaxExemptionReasonCode", code)?; // BT-121
            xml.optional("cbc:TaxExemptionReason", reason)?; // BT-120
        }
        xml.within("cac:TaxScheme", |xml| xml.text("cbc:ID", "VAT"))
    })
}

fn amount(xml: &mut Xml, name: &str, amount: &Amount, at: impl FnOnce() -> String) -> Written {
    xml.with(name, ("currencyID", &amount.currency), &major(amount, at)?.to_string())
}
