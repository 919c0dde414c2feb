//! Invoices of all kinds, made at random.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::samples::{invoice, party};

/// A category with its rate; the first is mostly taken.
fn any_tax() -> impl Strategy<Value = (&'static str, String)> {
    let rate = (1_u32..=1_000_000).prop_map(|rate| format!("{}.{:04}", rate / 10_000, rate % 10_000));
    prop_oneof![
        4 => prop::sample::select(vec!["19", "7", "5.5", "20.00"]).prop_map(|rate| ("S", rate.to_owned())),
        1 => rate.prop_map(|rate| ("S", rate)),
        2 => prop::sample::select(vec!["Z", "E", "AE", "K", "G"]).prop_map(|category| (category, "0".to_owned())),
    ]
}

/// A number above zero with at most so many digits after the point.
fn any_number(most: u64, digits: u32) -> impl Strategy<Value = String> {
    (1..=most).prop_map(move |number| {
        let scale = 10_u64.pow(digits);
        let width = usize::try_from(digits).unwrap();
        if digits == 0 { number.to_string() } else { format!("{}.{:0width$}", number / scale, number % scale) }
    })
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[A-Za-zäöüß0-9&<>\"' .,-]{1,40}", "[=+@-][ -~]{1,20}", "\\PC{1,30}"]
        .prop_filter("a text has something in it", |text| !text.trim().is_empty())
}

fn any_adjustment(digits: u32) -> impl Strategy<Value = Value> {
    (any_number(999, digits), prop::option::of(any_text())).prop_map(|(amount, reason)| match reason {
        Some(reason) => json!({"amount": amount, "reason": reason}),
        None => json!({"amount": amount}),
    })
}

fn any_line(digits: u32) -> impl Strategy<Value = Value> {
    let adjustments = || prop::collection::vec(any_adjustment(digits), 0..3);
    let unit = prop::sample::select(vec!["C62", "HUR", "KGM", "LTR"]);
    let base = prop::option::weighted(0.2, prop::sample::select(vec!["1", "10", "100", "3"]));
    // The price alone is above what its three allowances can come to.
    let price = any_number(99_999_999, 4).prop_map(|price| format!("1{price:0>9}"));
    let amounts = (any_number(9_999_999, 3), price, base, adjustments(), adjustments());
    (any_text(), prop::option::of(any_text()), unit, amounts, any_tax()).prop_map(
        |(name, sku, unit, (quantity, price, base, allowances, charges), (category, rate))| {
            let quantity = if base.is_some() { format!("1{quantity}") } else { quantity };
            let mut line = json!({
                "name": name, "quantity": quantity, "unit": unit, "unit_price": price, "tax_category": category,
                "tax_rate": rate, "allowances": [], "charges": charges,
            });
            if let Some(sku) = sku {
                line["sku"] = json!(sku);
            }
            if let Some(base) = base {
                line["price_base_quantity"] = json!(base);
            }
            line["allowances"] = json!(allowances);
            line
        },
    )
}

/// An upload; now and then one that is refused, because its allowances exceed what they are taken off.
pub(super) fn any_invoice() -> impl Strategy<Value = Value> {
    let currency = prop::sample::select(vec![("EUR", 2), ("EUR", 2), ("USD", 2), ("JPY", 0), ("JOD", 3)]);
    currency.prop_flat_map(|(currency, digits)| {
        let lines = prop::collection::vec(any_line(digits), 1..6);
        let kind = prop::sample::select(vec!["380", "381", "384"]);
        let locale = prop::sample::select(vec!["en", "de-DE", "fr-FR", "es-ES", "de-CH"]);
        let adjustments = || prop::collection::vec((any_adjustment(digits), any::<prop::sample::Index>()), 0..3);
        let paid = any::<bool>();
        (lines, adjustments(), adjustments(), kind, locale, paid).prop_map(
            move |(lines, allowances, charges, kind, locale, paid)| {
                // On something that is on the invoice.
                let placed = |items: Vec<(Value, prop::sample::Index)>| -> Vec<Value> {
                    let place = |(mut item, index): (Value, prop::sample::Index)| {
                        let line = &lines[index.index(lines.len())];
                        item["tax_category"] = line["tax_category"].clone();
                        item["tax_rate"] = line["tax_rate"].clone();
                        item
                    };
                    items.into_iter().map(place).collect()
                };
                let (allowances, charges) = (placed(allowances), placed(charges));
                let mut invoice = invoice(party("Buyer", Some("FR12345678901"), "FR"), lines.clone());
                invoice["currency"] = json!(currency);
                invoice["type"] = json!(kind);
                invoice["locale"] = json!(locale);
                invoice["allowances"] = json!(allowances);
                invoice["charges"] = json!(charges);
                invoice["delivery_date"] = json!("2026-11-19");
                if paid {
                    invoice["payment_terms"] = json!("As agreed");
                }
                if currency == "JOD" {
                    invoice["formats"] = json!(["pdf", "xlsx", "csv"]);
                }
                invoice
            },
        )
    })
}
