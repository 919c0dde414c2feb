//! `order.confirmed` → the order's invoice is issued, paid.
//!
//! Everything on it is the order's: what the customer saw in the cart is what the invoice says, to the cent, or there is
//! no invoice.

use chrono::{Datelike as _, NaiveDate};
use diesel::insert_into;
use diesel_async::RunQueryDsl;
use nats::{
    consume::{Failure, Received},
    contracts::{
        order::{GetOrder, OrderConfirmed, OrderDetails, OrderLine},
        user::{GetUserDetails, company::CompanyBuyer},
    },
    database::Tx,
    invoke::CallError,
    types::{
        Address, Adjustment, DecimalString, Invalid, InvoiceId, Line, Locale, Money, Name, TaxCategory, TaxRate, Text,
        Totals,
    },
};

use super::{
    Invoice, NewInvoice, company,
    content::{
        Content, InvoiceAddress, InvoiceAdjustment, InvoiceDelivery, InvoiceLine, InvoiceParty, PaymentMeans, Words,
    },
    identifiers::UnitCode,
    issue::issue,
    values::{DocumentFormat, InvoiceState, InvoiceType},
};
use crate::{Invoices, config::Shop, schema::invoice};

/// The key of the shop's own books.
const SHOP: &str = "shop";

/// Issues the invoice of a confirmed order; an order that has one keeps it.
pub(crate) async fn issue_order(
    tx: &mut Tx,
    invoices: Invoices,
    received: Received<OrderConfirmed>,
) -> Result<(), Failure> {
    let order_id = received.event.order_id;
    if Invoice::of_order(tx, order_id).await?.is_some() {
        return Ok(());
    }
    let order = invoices.calls.call(&GetOrder { order_id }).await?;
    let locale = language_of(&invoices, &order).await?;
    let day = received.time.date_naive();
    let draft = draft(&invoices.shop, &order, locale, day)?;
    let id = draft.id;
    // Whoever comes second waits here for the first one's commit, then finds that the order has its invoice.
    let fresh =
        insert_into(invoice::table).values(draft).on_conflict(invoice::order_id).do_nothing().execute(tx).await?;
    if fresh == 0 {
        return Ok(());
    }
    if let Some(company) = &order.company {
        company::note(tx, id, company.company_id).await?;
    }
    let draft = Invoice::lock(tx, id).await?.ok_or_else(|| Failure::Failed("the draft is gone".to_owned()))?;
    issue(tx, &invoices, &draft, Some(day)).await
}

/// The language that the company wants, or the one that the customer reads; the default for who has no account any more.
async fn language_of(invoices: &Invoices, order: &OrderDetails) -> Result<Locale, Failure> {
    if let Some(company) = &order.company {
        return Ok(company.buyer.locale.clone());
    }
    match invoices.calls.call(&GetUserDetails { user_id: order.user_id }).await {
        Ok(user) => Ok(user.locale),
        Err(CallError::Refused(_unknown)) => Ok(Locale::default()),
        Err(other) => Err(other.into()),
    }
}

fn draft(shop: &Shop, order: &OrderDetails, locale: Locale, day: NaiveDate) -> Result<NewInvoice, Failure> {
    let totals = totals(order)?;
    let data = content(shop, order, locale)?;
    Ok(NewInvoice {
        id: InvoiceId::new(),
        user_id: order.user_id,
        order_id: Some(order.order_id),
        seller_key: SHOP.to_owned(),
        series: shop.series.clone(),
        year: day.year(),
        number: None,
        kind: InvoiceType::Invoice,
        state: InvoiceState::Draft,
        issue_date: day,
        data,
        totals,
    })
}

/// What the money engine makes of the order, which must be what the order says.
fn totals(order: &OrderDetails) -> Result<Totals, Failure> {
    let currency = order.total.currency;
    let read = |error: &dyn std::fmt::Display| dead(order, &format!("cannot be totalled: {error}"));
    let lines = order.lines.iter().map(|line| {
        let tax = tax_of(line.tax_category, &line.tax_rate).map_err(|error| read(&error))?;
        Line::priced(currency, line.quantity, line.unit_price, tax).map_err(|error| read(&error))
    });
    let lines = lines.collect::<Result<Vec<_>, _>>()?;
    let shipping = shipping(order).map(|amount| {
        let tax = tax_of(order.shipping_tax_category, &order.shipping_tax_rate).map_err(|error| read(&error))?;
        Adjustment::priced(currency, amount, tax).map_err(|error| read(&error))
    });
    let charges: Vec<Adjustment> = shipping.transpose()?.into_iter().collect();
    let totals = Totals::compute(currency, &lines, &[], &charges).map_err(|error| read(&error))?;
    if totals.tax_inclusive == order.total && totals.tax_total == order.tax_total {
        return Ok(totals);
    }
    let (ours, our_tax) = (totals.tax_inclusive, totals.tax_total);
    let reason = format!(
        "comes to {ours} (tax {our_tax}) by its lines, but says {} (tax {}); no invoice is issued",
        order.total, order.tax_total
    );
    Err(dead(order, &reason))
}

fn content(shop: &Shop, order: &OrderDetails, locale: Locale) -> Result<Content, Failure> {
    let lines = order.lines.iter().map(|line| line_of(order, line)).collect::<Result<Vec<_>, _>>()?;
    let charge = shipping(order).map(|amount| {
        Ok::<_, Failure>(InvoiceAdjustment {
            amount: decimal(order, amount)?,
            reason: short(shipping_in(&locale)),
            tax_category: order.shipping_tax_category,
            tax_rate: rate(order, &order.shipping_tax_rate)?,
        })
    });
    let paid_online = PaymentMeans {
        code: "68".parse().map_err(|error| dead(order, &format!("has no means of payment: {error}")))?,
        iban: None,
        bic: None,
        account_name: None,
        reference: None,
    };
    let charges = charge.transpose()?.into_iter().collect();
    Ok(Content {
        locale,
        due_date: None,
        seller: shop.seller.clone(),
        buyer: order.company.as_ref().map_or_else(|| buyer(order), |company| buyer_of(&company.buyer)),
        ship_to: order.company.as_ref().map(|_| ship_to(order)),
        lines,
        allowances: Vec::new(),
        charges,
        exemptions: Vec::new(),
        delivery_date: None,
        payment_terms: None,
        payment_means: Some(paid_online),
        order_reference: short(&order.number),
        buyer_reference: order.company.as_ref().and_then(|company| short(company.purchase_order_number.as_deref()?)),
        preceding_invoice: None,
        note: None,
        formats: vec![DocumentFormat::Pdf],
    })
}

fn buyer(order: &OrderDetails) -> InvoiceParty {
    let to = order.shipping_address.clone();
    let (name, contact) = match to.company {
        Some(company) => (company, Some(to.name)),
        None => (to.name, None),
    };
    InvoiceParty {
        name,
        contact,
        vat_id: None,
        tax_number: None,
        legal_id: None,
        registration: None,
        email: Some(order.email.clone()),
        phone: None,
        website: None,
        address: postal(order.shipping_address.clone()),
    }
}

/// A company that ordered, as it was then.
fn buyer_of(company: &CompanyBuyer) -> InvoiceParty {
    InvoiceParty {
        name: company.name.clone(),
        contact: None,
        vat_id: company.vat_id.clone(),
        tax_number: None,
        legal_id: company.registration_number.as_ref().and_then(|number| cut(number).ok()),
        registration: None,
        email: Some(company.email.clone()),
        phone: None,
        website: None,
        address: postal(company.address.clone()),
    }
}

/// Where a company's order goes: to a person, as a rule, and not to where the company is.
fn ship_to(order: &OrderDetails) -> InvoiceDelivery {
    let to = order.shipping_address.clone();
    InvoiceDelivery { name: Some(to.name.clone()), address: postal(to) }
}

fn postal(address: Address) -> InvoiceAddress {
    let Address { line1, line2, city, postal_code, region, country, .. } = address;
    InvoiceAddress { line1, line2, city, postal_code, region, country }
}

fn line_of(order: &OrderDetails, line: &OrderLine) -> Result<InvoiceLine, Failure> {
    let unusable = |error| dead(order, &format!("has a line without a usable name: {error}"));
    let name: Name = cut(&line.name).map_err(unusable)?;
    // The buyer must be able to tell what was sold; an article's and its variant's name may be longer than a line's.
    let description = if name.as_str() == line.name.trim() { None } else { Some(cut(&line.name).map_err(unusable)?) };
    let pieces = DecimalString::try_from(rust_decimal::Decimal::from(line.quantity.get()));
    Ok(InvoiceLine {
        name,
        description,
        sku: line.sku.as_str().parse::<Text<1, 64>>().ok(),
        quantity: pieces.map_err(|error| dead(order, &error.to_string()))?,
        unit: UnitCode::piece(),
        unit_price: decimal(order, line.unit_price)?,
        price_base_quantity: None,
        tax_category: line.tax_category,
        tax_rate: rate(order, &line.tax_rate)?,
        allowances: Vec::new(),
        charges: Vec::new(),
    })
}

/// What shipping costs, unless it is free.
fn shipping(order: &OrderDetails) -> Option<Money> {
    Some(order.shipping).filter(|amount| !amount.is_zero())
}

fn shipping_in(locale: &Locale) -> &'static str {
    match locale.language() {
        "de" => "Versand",
        "fr" => "Frais de port",
        "es" => "Gastos de envío",
        _ => "Shipping",
    }
}

fn tax_of(category: TaxCategory, rate: &str) -> Result<TaxRate, Invalid> {
    TaxRate::new(category, rate.parse::<DecimalString>()?.decimal())
}

fn rate(order: &OrderDetails, rate: &str) -> Result<DecimalString, Failure> {
    rate.parse().map_err(|error| dead(order, &format!("has a tax rate that is none: {error}")))
}

fn decimal(order: &OrderDetails, amount: Money) -> Result<DecimalString, Failure> {
    DecimalString::try_from(amount.to_decimal())
        .map_err(|error| dead(order, &format!("has an amount out of range: {error}")))
}

/// A text, with "…" for what does not fit.
fn cut<const MAX: usize>(text: &str) -> Result<Text<1, MAX>, Invalid> {
    let text = text.trim();
    if text.chars().nth(MAX).is_none() {
        return text.parse();
    }
    let kept: String = text.chars().take(MAX.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end()).parse()
}

/// As much of a text as fits; nothing when none of it does.
fn short(text: &str) -> Option<Words> {
    text.chars().take(100).collect::<String>().parse().ok()
}

fn dead(order: &OrderDetails, reason: &str) -> Failure {
    Failure::Dead(format!("order {} {reason}", order.order_id))
}
