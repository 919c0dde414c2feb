//! A line (BG-25).

use super::{adjustments, amount, category};
use crate::document::model::{Invoice, Line, Tax};
use crate::document::xml::{Written, Xml, plain};

pub(super) fn line(xml: &mut Xml, invoice: &Invoice, index: usize, line: &Line) -> Written {
    let at = |field: &str| format!("/lines/{index}/{field}");
    let tax = Tax { category: line.tax_category.clone(), rate: line.tax_rate.clone() };
    xml.within("ram:IncludedSupplyChainTradeLineItem", |xml| {
        xml.within("ram:AssociatedDocumentLineDocument", |xml| {
            xml.text("ram:LineID", &index.saturating_add(1).to_string()) // BT-126
        })?;
        // BG-31
        xml.within("ram:SpecifiedTradeProduct", |xml| {
            xml.optional("ram:SellerAssignedID", line.sku.as_deref())?; // BT-155
            xml.text("ram:Name", &line.name)?; // BT-153
            xml.optional("ram:Description", line.description.as_deref()) // BT-154
        })?;
        price(xml, line, at)?;
        xml.within("ram:SpecifiedLineTradeDelivery", |xml| {
            let count = plain(&line.quantity, || at("quantity"))?;
            xml.with("ram:BilledQuantity", ("unitCode", &line.unit), &count) // BT-129, BT-130
        })?;
        xml.within("ram:SpecifiedLineTradeSettlement", |xml| {
            // BG-30: BT-151, BT-152
            xml.within("ram:ApplicableTradeTax", |xml| category(xml, &tax, || at("tax_rate")))?;
            adjustments(xml, invoice, &line.allowances, false, &at("allowances"))?; // BG-27
            adjustments(xml, invoice, &line.charges, true, &at("charges"))?; // BG-28
            xml.within("ram:SpecifiedTradeSettlementLineMonetarySummation", |xml| {
                amount(xml, "ram:LineTotalAmount", &line.net, || at("net")) // BT-131
            })
        })
    })
}

/// What one costs, or what so many cost (BG-29).
fn price(xml: &mut Xml, line: &Line, at: impl Fn(&str) -> String) -> Written {
    xml.within("ram:SpecifiedLineTradeAgreement", |xml| {
        xml.within("ram:NetPriceProductTradePrice", |xml| {
            xml.text("ram:ChargeAmount", &plain(&line.unit_price, || at("unit_price"))?)?; // BT-146
            match &line.price_base_quantity {
                // BT-149, BT-150
                Some(base) => {
                    let base = plain(base, || at("price_base_quantity"))?;
                    xml.with("ram:BasisQuantity", ("unitCode", &line.unit), &base)
                }
                None => Ok(()),
            }
        })
    })
}
