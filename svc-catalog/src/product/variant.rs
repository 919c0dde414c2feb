//! Variants and their prices, as they are sent and as rows.

use std::collections::{BTreeMap, BTreeSet};

use diesel::{
    AsChangeset, ExpressionMethods, Insertable, QueryDsl, Queryable, Selectable, SelectableHelper, dsl::min,
    insert_into, upsert::excluded,
};
use diesel_async::RunQueryDsl;
use nats::{
    database::{DatabaseError, Tx},
    problem::{Code, Problem},
    types::{CountryCode, Currency, Money, ProductId, Sku, TaxCategory, Text, VariantId},
};
use poem_openapi::{Object, types::MaybeUndefined};
use serde::{Deserialize, Serialize};

use super::hs_code::HsCode;
use crate::schema::{price, price_from, stock, variant};

/// The most variants that a request may carry.
pub(super) const VARIANTS: usize = 100;
const OPTIONS: usize = 10;
const PRICES: usize = 50;
/// The highest price, in minor units: a line of the largest quantity still fits 64 bits.
const HIGHEST: i64 = 1_000_000_000_000;
/// The heaviest piece, in grams: a hundred tons.
const HEAVIEST: i32 = 100_000_000;

/// What distinguishes a variant, such as `{"finish": "Brass"}`.
pub(super) type Options = BTreeMap<String, String>;

/// A variant: all of it when it is new, what changes when it is not.
#[derive(Debug, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub(crate) struct WriteVariant {
    /// Unique in the catalogue, deleted products included; never changes.
    pub(crate) sku: Sku,
    /// What tells it from its siblings, such as `Brass`.
    pub(crate) name: Option<Text<0, 120>>,
    /// The net price of one; a new variant needs at least one price. Prices in other currencies stay.
    pub(crate) price: Option<Money>,
    /// Net prices in several currencies, each once.
    #[oai(validator(max_items = 50))]
    pub(crate) prices: Option<Vec<Money>>,
    /// How it is taxed; `S` for a new variant.
    pub(crate) tax_category: Option<TaxCategory>,
    /// What one weighs, in grams; 0 for a new variant.
    #[oai(validator(minimum(value = "0"), maximum(value = "100000000")))]
    pub(crate) weight_g: Option<i32>,
    /// Its HS code, for customs; null takes it away.
    #[serde(default)]
    #[oai(nullable)]
    pub(crate) hs_code: MaybeUndefined<HsCode>,
    /// Where it was made; null takes it away.
    #[serde(default)]
    #[oai(nullable)]
    pub(crate) country_of_origin: MaybeUndefined<CountryCode>,
    /// What distinguishes it, such as `{"finish": "Brass"}`; at most 10.
    pub(crate) options: Option<BTreeMap<Text<1, 40>, Text<1, 80>>>,
}

impl WriteVariant {
    /// All prices of the request, with their places in it.
    fn priced(&self) -> impl Iterator<Item = (String, Money)> {
        let several = self.prices.iter().flatten().enumerate();
        let several = several.map(|(index, price)| (format!("/prices/{index}"), *price));
        self.price.iter().map(|price| ("/price".to_owned(), *price)).chain(several)
    }

    /// The rules that go across fields; `at` is where the variant stands in the body.
    fn check(&self, at: &str) -> Result<(), Problem> {
        if self.weight_g.is_some_and(|weight| !(0..=HEAVIEST).contains(&weight)) {
            return Err(Problem::invalid(format!("{at}/weight_g"), format!("this must be 0 to {HEAVIEST} grams")));
        }
        if self.options.as_ref().is_some_and(|options| options.len() > OPTIONS) {
            return Err(Problem::invalid(format!("{at}/options"), format!("a variant has at most {OPTIONS} options")));
        }
        if self.prices.as_ref().is_some_and(|prices| prices.len() > PRICES) {
            return Err(Problem::invalid(format!("{at}/prices"), format!("a variant has at most {PRICES} prices")));
        }
        let mut currencies = BTreeSet::new();
        for (place, price) in self.priced() {
            if !(0..=HIGHEST).contains(&price.amount) {
                return Err(Problem::invalid(format!("{at}{place}/amount"), format!("a price must be 0 to {HIGHEST}")));
            }
            if !currencies.insert(price.currency) {
                let detail = format!("there is another price in {}", price.currency);
                return Err(Problem::invalid(format!("{at}{place}/currency"), detail));
            }
        }
        Ok(())
    }
}

/// Checks the variants of a request, each SKU once.
pub(super) fn check(variants: &[WriteVariant]) -> Result<(), Problem> {
    if variants.len() > VARIANTS {
        return Err(Problem::invalid("/variants", format!("at most {VARIANTS} variants can be sent at once")));
    }
    let mut skus = BTreeSet::new();
    for (index, variant) in variants.iter().enumerate() {
        variant.check(&format!("/variants/{index}"))?;
        if !skus.insert(&variant.sku) {
            return Err(Problem::invalid(
                format!("/variants/{index}/sku"),
                "this SKU stands in another variant as well",
            ));
        }
    }
    Ok(())
}

/// A row of `variant`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = variant, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub(super) struct Variant {
    pub(super) id: VariantId,
    pub(super) product_id: ProductId,
    pub(super) sku: Sku,
    pub(super) name: String,
    pub(super) tax_category: TaxCategory,
    pub(super) weight_g: i32,
    pub(super) hs_code: Option<HsCode>,
    pub(super) country_of_origin: Option<CountryCode>,
    pub(super) options: serde_json::Value,
    pub(super) position: i32,
}

/// A new row of `price`.
#[derive(Debug, Insertable)]
#[diesel(table_name = price)]
struct NewPrice {
    variant_id: VariantId,
    currency: Currency,
    amount: i64,
}

impl Variant {
    fn new(product_id: ProductId, sku: Sku, position: i32) -> Self {
        Self {
            id: VariantId::new(),
            product_id,
            sku,
            name: String::new(),
            tax_category: TaxCategory::Standard,
            weight_g: 0,
            hs_code: None,
            country_of_origin: None,
            options: serde_json::json!({}),
            position,
        }
    }

    fn apply(&mut self, request: &WriteVariant) -> Result<(), Problem> {
        if let Some(name) = &request.name {
            self.name = name.to_string();
        }
        self.tax_category = request.tax_category.unwrap_or(self.tax_category);
        self.weight_g = request.weight_g.unwrap_or(self.weight_g);
        if !request.hs_code.is_undefined() {
            self.hs_code = request.hs_code.value().cloned();
        }
        if !request.country_of_origin.is_undefined() {
            self.country_of_origin = request.country_of_origin.value().copied();
        }
        if let Some(options) = &request.options {
            self.options = serde_json::to_value(options)?;
        }
        Ok(())
    }
}

/// Creates the variants that are new and changes those that the product has, with their prices.
/// The caller holds the product's lock, or has just made it.
pub(super) async fn write(tx: &mut Tx, product: ProductId, requests: &[WriteVariant]) -> Result<(), Problem> {
    let rows: Vec<Variant> =
        variant::table.filter(variant::product_id.eq(product)).select(Variant::as_select()).load(tx).await?;
    let mut position = rows.iter().map(|row| row.position + 1).max().unwrap_or(0);
    let mut count = rows.len();
    let mut present: BTreeMap<Sku, Variant> = rows.into_iter().map(|row| (row.sku.clone(), row)).collect();
    let (mut fresh, mut prices) = (BTreeMap::new(), Vec::new());
    for (index, request) in requests.iter().enumerate() {
        let old = present.remove(&request.sku);
        if old.is_none() {
            count += 1;
            if count > VARIANTS {
                return Err(Problem::invalid(
                    format!("/variants/{index}"),
                    format!("a product has at most {VARIANTS} variants"),
                ));
            }
            if request.priced().next().is_none() {
                return Err(Problem::invalid(format!("/variants/{index}/price"), "a new variant needs a price"));
            }
        }
        let mut row = old.clone().unwrap_or_else(|| {
            position += 1;
            Variant::new(product, request.sku.clone(), position - 1)
        });
        row.apply(request)?;
        prices.extend(request.priced().map(|(_, money)| NewPrice {
            variant_id: row.id,
            currency: money.currency,
            amount: money.amount,
        }));
        match old {
            None => drop(fresh.insert(row.sku.clone(), (index, row))),
            Some(old) if old != row => {
                diesel::update(variant::table.find(row.id)).set(&row).execute(tx).await?;
            }
            Some(_unchanged) => {}
        }
    }
    add(tx, &fresh).await?;
    set_prices(tx, product, &prices).await?;
    Ok(())
}

/// Inserts new variants with a stock of nothing, in the order of SKUs, so that two writers cannot wait for each other.
async fn add(tx: &mut Tx, fresh: &BTreeMap<Sku, (usize, Variant)>) -> Result<(), Problem> {
    if fresh.is_empty() {
        return Ok(());
    }
    let rows: Vec<&Variant> = fresh.values().map(|(_, row)| row).collect();
    let added: Vec<Sku> = insert_into(variant::table)
        .values(rows)
        .on_conflict(variant::sku)
        .do_nothing()
        .returning(variant::sku)
        .get_results(tx)
        .await?;
    if added.len() < fresh.len() {
        let added: BTreeSet<Sku> = added.into_iter().collect();
        let mut problem =
            Problem::new(Code::Conflict, "A SKU belongs to another variant, perhaps of a deleted product.");
        for (sku, (index, _)) in fresh.iter().filter(|(sku, _)| !added.contains(sku)) {
            problem = problem.at(format!("/variants/{index}/sku"), format!("`{sku}` is taken"));
        }
        return Err(problem);
    }
    let levels: Vec<_> = fresh.keys().map(|sku| stock::sku.eq(sku)).collect();
    insert_into(stock::table).values(levels).execute(tx).await?;
    Ok(())
}

/// Sets prices, and with them the lowest price of the product per currency.
async fn set_prices(tx: &mut Tx, product: ProductId, prices: &[NewPrice]) -> Result<(), DatabaseError> {
    if prices.is_empty() {
        return Ok(());
    }
    insert_into(price::table)
        .values(prices)
        .on_conflict((price::variant_id, price::currency))
        .do_update()
        .set(price::amount.eq(excluded(price::amount)))
        .execute(tx)
        .await?;
    let lowest: Vec<(Currency, Option<i64>)> = price::table
        .inner_join(variant::table)
        .filter(variant::product_id.eq(product))
        .group_by(price::currency)
        .select((price::currency, min(price::amount)))
        .load(tx)
        .await?;
    let lowest: Vec<_> = lowest
        .into_iter()
        .map(|(currency, amount)| {
            let amount = amount.unwrap_or_default();
            (price_from::product_id.eq(product), price_from::currency.eq(currency), price_from::amount.eq(amount))
        })
        .collect();
    insert_into(price_from::table)
        .values(lowest)
        .on_conflict((price_from::product_id, price_from::currency))
        .do_update()
        .set(price_from::amount.eq(excluded(price_from::amount)))
        .execute(tx)
        .await?;
    Ok(())
}
