//! A line (BG-25).

use super::{adjustments, amount, category};
use crate::document::model::{Invoice, Kind, Line, Tax};
use crate::document::xml::{Written, Xml, plain};

pub(super) fn line(xml: &mut Xml, invoice: &Invoice, index: usize, line: &Line) -> Written {
    let at = |field: &str| format!("/lines/{index}/{field}");
    let (name, quantity) = match invoice.kind {
        Kind::CreditNote => ("cac:CreditNoteLine", "cbc:CreditedQuantity"),
        Kind::Invoice | Kind::Corrected => ("cac:InvoiceLine", "cbc:InvoicedQuantity"),
    };
    xml.within(name, |xml| {
        xml.text("cbc:ID", &index.saturating_add(1).to_string())?; // BT-126
        let count = plain(&line.quantity, || at("quantity"))?;
        xml.with(quantity, ("unitCode", &line.unit), &count)?; // BT-129, BT-130
        amount(xml, "cbc:LineExtensionAmount", &line.net, || at("net"))?; // BT-131
        adjustments(xml, invoice, &line.allowances, false, &at("allowances"))?; // BG-27
        adjustments(xml, invoice, &line.charges, true, &at("charges"))?; // BG-28
        item(xml, line, || at("tax_rate"))?;
        price(xml, line, &line.net.currency, at)
    })
}

/// What it is (BG-31), and its tax (BG-30).
fn item(xml: &mut Xml, line: &Line, at: impl FnOnce() -> String) -> Written {
    let tax = Tax { category: line.tax_category.clone(), rate: line.tax_rate.clone() };
    xml.within("cac:Item", |xml| {
        xml.optional("cbc:Description", line.description.as_deref())?; // BT-154
        xml.text("cbc:Name", &line.name)?; // BT-153
        if let Some(sku) = &line.sku {
            xml.within("cac:SellersItemIdentification", |xml| xml.text("cbc:ID", sku))?; // BT-155
        }
        category(xml, "cac:ClassifiedTaxCategory", &tax, None, at) // BT-151, BT-152
    })
}

/// What one costs, or what so many cost (BG-29).
fn price(xml: &mut Xml, line: &Line, currency: &str, at: impl Fn(&str) -> String) -> Written {
    xml.within("cac:Price", |xml| {
        let price = plain(&line.unit_price, || at("unit_price"))?;
        xml.with("cbc:PriceAmount", ("currencyID", currency), &price)?; // BT-146
        match &line.price_base_quantity {
            // BT-149, BT-150
            Some(base) => {
                let base = plain(base, || at("price_base_quantity"))?;
                xml.with("cbc:BaseQuantity", ("unitCode", &line.unit), &base)
            }
            None => Ok(()),
        }
    })
}
