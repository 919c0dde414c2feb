//! Cross Industry Invoice (UN/CEFACT D22B): the invoice as XML, in the second notation of EN 16931; the one that
//! Factur-X and ZUGFeRD carry.

mod line;
mod party;
mod settlement;

use chrono::NaiveDate;

use super::e_invoice::{self, SPECIFICATION, deliver_to};
use super::file_error::FileError;
use super::model::{Adjustment, Amount, Invoice, Tax};
use super::xml::{Written, Xml, major, plain};

const NAMESPACES: [(&str, &str); 4] = [
    ("xmlns:rsm", "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100"),
    ("xmlns:ram", "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100"),
    ("xmlns:qdt", "urn:un:unece:uncefact:data:standard:QualifiedDataType:100"),
    ("xmlns:udt", "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100"),
];

/// The invoice as an XML document.
///
/// # Errors
/// A quantity, price or rate that is no decimal number.
pub fn cii(invoice: &Invoice) -> Result<Vec<u8>, FileError> {
    Xml::document("rsm:CrossIndustryInvoice", &NAMESPACES, |xml| {
        xml.within("rsm:ExchangedDocumentContext", |xml| {
            xml.within("ram:GuidelineSpecifiedDocumentContextParameter", |xml| xml.text("ram:ID", SPECIFICATION)) // BT-24
        })?;
        xml.within("rsm:ExchangedDocument", |xml| {
            xml.text("ram:ID", &invoice.number)?; // BT-1
            xml.text("ram:TypeCode", invoice.kind.code())?; // BT-3
            date(xml, "ram:IssueDateTime", invoice.issue_date)?; // BT-2
            match &invoice.note {
                Some(note) => xml.within("ram:IncludedNote", |xml| xml.text("ram:Content", note)), // BT-22
                None => Ok(()),
            }
        })?;
        xml.within("rsm:SupplyChainTradeTransaction", |xml| {
            for (index, row) in invoice.lines.iter().enumerate() {
                line::line(xml, invoice, index, row)?;
            }
            agreement(xml, invoice)?;
            delivery(xml, invoice)?;
            settlement::settlement(xml, invoice)
        })
    })
}

fn agreement(xml: &mut Xml, invoice: &Invoice) -> Written {
    xml.within("ram:ApplicableHeaderTradeAgreement", |xml| {
        xml.optional("ram:BuyerReference", invoice.buyer_reference.as_deref())?; // BT-10
        party::party(xml, "ram:SellerTradeParty", &invoice.seller, true)?; // BG-4
        party::party(xml, "ram:BuyerTradeParty", &invoice.buyer, false)?; // BG-7
        match &invoice.order_reference {
            Some(order) => xml.within("ram:BuyerOrderReferencedDocument", |xml| {
                xml.text("ram:IssuerAssignedID", order) // BT-13
            }),
            None => Ok(()),
        }
    })
}

/// When and where to (BG-13).
fn delivery(xml: &mut Xml, invoice: &Invoice) -> Written {
    let to = deliver_to(invoice);
    if invoice.delivery_date.is_none() && to.is_none() {
        return xml.empty("ram:ApplicableHeaderTradeDelivery");
    }
    xml.within("ram:ApplicableHeaderTradeDelivery", |xml| {
        if let Some(to) = to {
            xml.within("ram:ShipToTradeParty", |xml| {
                xml.text("ram:Name", &to.name)?; // BT-70
                party::address(xml, to) // BG-15
            })?;
        }
        match invoice.delivery_date {
            Some(day) => xml.within("ram:ActualDeliverySupplyChainEvent", |xml| {
                date(xml, "ram:OccurrenceDateTime", day) // BT-72
            }),
            None => Ok(()),
        }
    })
}

/// Allowances or charges; those of a line have no tax of their own.
fn adjustments(xml: &mut Xml, invoice: &Invoice, items: &[Adjustment], charge: bool, at: &str) -> Written {
    let labels = e_invoice::labels(invoice);
    let usual = if charge { &labels.charge } else { &labels.allowance };
    for (index, item) in items.iter().enumerate() {
        xml.within("ram:SpecifiedTradeAllowanceCharge", |xml| {
            xml.within("ram:ChargeIndicator", |xml| xml.text("udt:Indicator", if charge { "true" } else { "false" }))?;
            // BT-92, BT-99, BT-136, BT-141
            amount(xml, "ram:ActualAmount", &item.amount, || format!("{at}/{index}/amount"))?;
            xml.text("ram:Reason", &e_invoice::reason(item, usual))?; // BT-97, BT-104, BT-139, BT-144
            match &item.tax {
                Some(tax) => xml.within("ram:CategoryTradeTax", |xml| {
                    category(xml, tax, || format!("{at}/{index}/tax_rate")) // BT-95, BT-96, BT-102, BT-103
                }),
                None => Ok(()),
            }
        })?;
    }
    Ok(())
}

/// What stands within an element of tax: the category and its rate.
fn category(xml: &mut Xml, tax: &Tax, at: impl FnOnce() -> String) -> Written {
    xml.text("ram:TypeCode", "VAT")?;
    xml.text("ram:CategoryCode", &tax.category)?;
    rate(xml, tax, at)
}

fn rate(xml: &mut Xml, tax: &Tax, at: impl FnOnce() -> String) -> Written {
    if e_invoice::has_rate(&tax.category) {
        xml.text("ram:RateApplicablePercent", &plain(&tax.rate, at)?)
    } else {
        Ok(())
    }
}

fn date(xml: &mut Xml, name: &str, day: NaiveDate) -> Written {
    xml.within(name, |xml| xml.with("udt:DateTimeString", ("format", "102"), &day.format("%Y%m%d").to_string()))
}

/// An amount; the currency is that of the invoice (BT-5).
fn amount(xml: &mut Xml, name: &str, amount: &Amount, at: impl FnOnce() -> String) -> Written {
    xml.text(name, &major(amount, at)?.to_string())
}
