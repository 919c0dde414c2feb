//! From an invoice's row to the figures of its page.

use nats::types::{Currency, DecimalString, Money};

use super::{
    Invoice,
    content::{InvoiceParty, PaymentMeans},
    values::InvoiceType,
};
use crate::document::model::{
    self, Adjustment, Amount, Kind, Letterhead, Line, Party, Place, TaxGroup, Totals, postal_lines,
};

/// The page's figures; `None` for a draft, which has no number.
pub(crate) fn page(invoice: &Invoice) -> Option<model::Invoice> {
    let (data, totals, currency) = (&invoice.data, &invoice.totals, invoice.currency());
    let line = |(line, net): (&super::content::InvoiceLine, &Money)| Line {
        name: line.name.to_string(),
        sku: line.sku.as_ref().map(ToString::to_string),
        description: line.description.as_ref().map(ToString::to_string),
        quantity: line.quantity.to_string(),
        unit: line.unit.to_string(),
        unit_price: line.unit_price.to_string(),
        allowances: line.allowances.iter().map(|item| adjustment(&item.reason, item.amount, currency)).collect(),
        charges: line.charges.iter().map(|item| adjustment(&item.reason, item.amount, currency)).collect(),
        net: amount(*net),
        tax_category: line.tax_category.to_string(),
        tax_rate: line.tax_rate.to_string(),
    };
    let tax = |group: &nats::types::TaxGroup| TaxGroup {
        category: group.category.to_string(),
        rate: group.rate.to_string(),
        basis: amount(group.taxable),
        tax: amount(group.tax),
        exemption_reason: None,
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
        order_reference: data.order_reference.as_ref().map(ToString::to_string),
        buyer_reference: data.buyer_reference.as_ref().map(ToString::to_string),
        preceding_invoice: data.preceding_invoice.as_ref().map(ToString::to_string),
        seller: party(&data.seller),
        buyer: party(&data.buyer),
        ship_to: None,
        lines: data.lines.iter().zip(&totals.line_net).map(line).collect(),
        allowances: data.allowances.iter().map(|item| adjustment(&item.reason, item.amount, currency)).collect(),
        charges: data.charges.iter().map(|item| adjustment(&item.reason, item.amount, currency)).collect(),
        taxes: totals.breakdown.iter().map(tax).collect(),
        totals: Totals {
            lines: amount(totals.line_total),
            net: amount(totals.tax_exclusive),
            tax: amount(totals.tax_total),
            gross: amount(totals.tax_inclusive),
            prepaid: Some(invoice.paid()).filter(|paid| !paid.is_zero()).map(amount),
            rounding: None,
            due: amount(invoice.due()),
        },
        payment_terms: data.payment_terms.as_ref().map(ToString::to_string),
        payment_means: data.payment_means.as_ref().map(payment_means),
        paid_on: invoice.paid_on,
        note: data.note.as_ref().map(ToString::to_string),
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

fn adjustment(reason: &Option<super::content::Words>, major: DecimalString, currency: Currency) -> Adjustment {
    // It went through the money engine when the invoice was accepted, so it fits.
    let money = Money::from_decimal(major.decimal(), currency).unwrap_or(Money::zero(currency));
    Adjustment { reason: reason.as_ref().map(ToString::to_string), amount: amount(money) }
}

fn party(party: &InvoiceParty) -> Party {
    let address = &party.address;
    let street = [party.contact.as_deref(), Some(address.line1.as_str()), address.line2.as_deref()];
    let street: Vec<&str> = street.into_iter().flatten().collect();
    let place = Place {
        city: &address.city,
        postal_code: address.postal_code.as_deref(),
        region: address.region.as_deref(),
        country: address.country.as_str(),
    };
    Party {
        name: party.name.to_string(),
        vat_id: party.vat_id.as_ref().map(ToString::to_string),
        tax_number: party.tax_number.as_ref().map(ToString::to_string),
        registration: party.registration.as_ref().map(ToString::to_string),
        email: party.email.as_ref().map(ToString::to_string),
        phone: party.phone.as_ref().map(ToString::to_string),
        website: party.website.as_ref().map(ToString::to_string),
        address: postal_lines(&street, &place),
        country: address.country.to_string(),
    }
}

fn payment_means(means: &PaymentMeans) -> model::PaymentMeans {
    model::PaymentMeans {
        code: means.code.to_string(),
        account_name: means.account_name.as_ref().map(ToString::to_string),
        iban: means.iban.as_ref().map(ToString::to_string),
        bic: means.bic.as_ref().map(ToString::to_string),
        reference: means.reference.as_ref().map(ToString::to_string),
    }
}
