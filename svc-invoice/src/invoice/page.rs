//! From an invoice's row to the figures of its documents: the same for all of them.

use nats::types::{Currency, DecimalString, Money, TaxCategory};

use super::{
    Invoice,
    content::{
        InvoiceAddress, InvoiceAdjustment, InvoiceDelivery, InvoiceLine, InvoiceParty, LineAdjustment, PaymentMeans,
        Words,
    },
    values::InvoiceType,
};
use crate::document::model::{
    self, Adjustment, Amount, Kind, Letterhead, Line, Party, Place, Tax, TaxGroup, Totals, postal_lines,
};

#[cfg(test)]
pub(crate) mod given;

/// The documents' figures; `None` for a draft, which has no number.
pub(crate) fn page(invoice: &Invoice) -> Option<model::Invoice> {
    let (data, totals, currency) = (&invoice.data, &invoice.totals, invoice.currency());
    let of_line = |item: &LineAdjustment| adjustment(&item.reason, item.amount, currency, None);
    let line = |(line, net): (&InvoiceLine, &Money)| Line {
        name: line.name.to_string(),
        sku: text(&line.sku),
        description: text(&line.description),
        quantity: line.quantity.to_string(),
        unit: line.unit.to_string(),
        unit_price: line.unit_price.to_string(),
        price_base_quantity: text(&line.price_base_quantity.map(DecimalString::normalize)),
        allowances: line.allowances.iter().map(of_line).collect(),
        charges: line.charges.iter().map(of_line).collect(),
        net: amount(*net),
        tax_category: line.tax_category.to_string(),
        tax_rate: line.tax_rate.to_string(),
    };
    let of_whole = |item: &InvoiceAdjustment| {
        let tax = Tax { category: item.tax_category.to_string(), rate: item.tax_rate.to_string() };
        adjustment(&item.reason, item.amount, currency, Some(tax))
    };
    let tax = |group: &nats::types::TaxGroup| {
        let exemption = data.exemptions.iter().find(|exemption| exemption.tax_category == group.category);
        TaxGroup {
            category: group.category.to_string(),
            rate: group.rate.to_string(),
            basis: amount(group.taxable),
            tax: amount(group.tax),
            exemption_reason: exemption.and_then(|exemption| text(&exemption.reason)),
            exemption_code: exemption.and_then(|exemption| text(&exemption.code)).or_else(|| usual(group.category)),
        }
    };
    let own = invoice.order_id.is_some();
    Some(model::Invoice {
        kind: kind(invoice.kind),
        locale: data.locale.to_string(),
        letterhead: if own { Letterhead::Argosy } else { Letterhead::Plain },
        number: invoice.number.clone()?,
        issue_date: invoice.issue_date,
        due_date: data.due_date,
        delivery_date: data.delivery_date,
        order_reference: text(&data.order_reference),
        buyer_reference: text(&data.buyer_reference),
        preceding_invoice: text(&data.preceding_invoice),
        seller: party(&data.seller),
        buyer: party(&data.buyer),
        ship_to: data.ship_to.as_ref().map(|ship_to| consignee(ship_to, &data.buyer)),
        lines: data.lines.iter().zip(&totals.line_net).map(line).collect(),
        allowances: data.allowances.iter().map(of_whole).collect(),
        charges: data.charges.iter().map(of_whole).collect(),
        taxes: totals.breakdown.iter().map(tax).collect(),
        totals: Totals {
            lines: amount(totals.line_total),
            allowances: Some(amount(totals.allowance_total)),
            charges: Some(amount(totals.charge_total)),
            net: amount(totals.tax_exclusive),
            tax: amount(totals.tax_total),
            gross: amount(totals.tax_inclusive),
            prepaid: Some(invoice.paid()).filter(|paid| !paid.is_zero()).map(amount),
            rounding: None,
            due: amount(invoice.due()),
        },
        payment_terms: text(&data.payment_terms),
        payment_means: data.payment_means.as_ref().map(payment_means),
        paid_on: invoice.paid_on,
        note: text(&data.note),
    })
}

const fn kind(kind: InvoiceType) -> Kind {
    match kind {
        InvoiceType::Invoice => Kind::Invoice,
        InvoiceType::CreditNote => Kind::CreditNote,
        InvoiceType::Corrected => Kind::Corrected,
    }
}

fn amount(money: Money) -> Amount {
    // ISO 4217 has four digits at most.
    let exponent = u8::try_from(money.currency.exponent()).unwrap_or_default();
    Amount { minor: money.amount, currency: money.currency.code().to_owned(), exponent }
}

/// The code that says why no tax is due, where the category alone says it. Why something is exempt only the seller knows.
fn usual(category: TaxCategory) -> Option<String> {
    let code = match category {
        TaxCategory::ReverseCharge => "VATEX-EU-AE",
        TaxCategory::IntraCommunity => "VATEX-EU-IC",
        TaxCategory::Export => "VATEX-EU-G",
        TaxCategory::OutOfScope => "VATEX-EU-O",
        TaxCategory::Standard | TaxCategory::Zero | TaxCategory::Exempt => return None,
    };
    Some(code.to_owned())
}

fn text(value: &Option<impl ToString>) -> Option<String> {
    value.as_ref().map(ToString::to_string)
}

fn adjustment(reason: &Option<Words>, major: DecimalString, currency: Currency, tax: Option<Tax>) -> Adjustment {
    // It went through the money engine when the invoice was accepted, so it fits.
    let money = Money::from_decimal(major.decimal(), currency).unwrap_or(Money::zero(currency));
    Adjustment { reason: text(reason), amount: amount(money), tax }
}

fn party(party: &InvoiceParty) -> Party {
    Party {
        name: party.name.to_string(),
        vat_id: text(&party.vat_id),
        tax_number: text(&party.tax_number),
        legal_id: text(&party.legal_id),
        registration: text(&party.registration),
        email: text(&party.email),
        phone: text(&party.phone),
        website: text(&party.website),
        ..at(&party.address, party.contact.as_deref())
    }
}

/// Who got the goods: the buyer, unless somebody else is named.
fn consignee(to: &InvoiceDelivery, buyer: &InvoiceParty) -> Party {
    let name = to.name.as_ref().unwrap_or(&buyer.name);
    Party { name: name.to_string(), ..at(&to.address, None) }
}

fn at(address: &InvoiceAddress, contact: Option<&str>) -> Party {
    let street = [Some(address.line1.as_str()), address.line2.as_deref()];
    let envelope: Vec<&str> = std::iter::once(contact).chain(street).flatten().collect();
    let place = Place {
        city: &address.city,
        postal_code: address.postal_code.as_deref(),
        region: address.region.as_deref(),
        country: address.country.as_str(),
    };
    Party {
        contact: contact.map(str::to_owned),
        address: postal_lines(&envelope, &place),
        street: street.into_iter().flatten().map(str::to_owned).collect(),
        city: Some(address.city.to_string()),
        postal_code: text(&address.postal_code),
        region: text(&address.region),
        country: address.country.to_string(),
        ..Party::default()
    }
}

fn payment_means(means: &PaymentMeans) -> model::PaymentMeans {
    model::PaymentMeans {
        code: means.code.to_string(),
        account_name: text(&means.account_name),
        iban: text(&means.iban),
        bic: text(&means.bic),
        reference: text(&means.reference),
    }
}
