//! Products as clients see them: with variants, prices and what is available.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use chrono::{DateTime, Utc};
use diesel::{ExpressionMethods, JoinOnDsl, QueryDsl, SelectableHelper};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    database::DatabaseError,
    types::{CategoryId, CountryCode, Currency, Money, ProductId, Sku, TaxCategory, VariantId},
};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::{
    Product,
    attributes::AttributeMap,
    hs_code::HsCode,
    variant::{Options, Variant},
};
use crate::schema::{price, stock, variant};

/// A product with all that a page about it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
#[oai(rename = "Product")]
pub(crate) struct ProductDetails {
    /// Which.
    pub(super) id: ProductId,
    /// Its name.
    name: String,
    /// What there is to say about it; may be empty.
    description: String,
    /// The category it is in; null when in none.
    #[oai(nullable)]
    category_id: Option<CategoryId>,
    /// What there is to say about it point by point, such as `{"material": "Brass"}`.
    attributes: AttributeMap,
    /// Counts its edits.
    version: i64,
    /// The lowest net price of its variants; null when none has a price in the currency.
    #[oai(nullable)]
    price_from: Option<Money>,
    /// What can be bought, in the shop's order.
    variants: Vec<VariantDetails>,
    /// When it was put into the catalogue.
    created_at: DateTime<Utc>,
    /// When it was last edited.
    updated_at: DateTime<Utc>,
}

/// One thing that can be put into a cart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
#[oai(rename = "Variant")]
pub(crate) struct VariantDetails {
    /// Which.
    id: VariantId,
    /// Its stock keeping unit: what carts and orders name.
    sku: Sku,
    /// What tells it from its siblings; may be empty.
    name: String,
    /// The net price of one, in the currency asked for; null when it has none. Unasked, EUR or else the first.
    #[oai(nullable)]
    price: Option<Money>,
    /// Its net prices in all currencies, by currency.
    prices: Vec<Money>,
    /// How it is taxed.
    tax_category: TaxCategory,
    /// What one weighs, in grams.
    weight_g: i32,
    /// Its HS code, for customs.
    #[oai(nullable)]
    hs_code: Option<HsCode>,
    /// Where it was made.
    #[oai(nullable)]
    country_of_origin: Option<CountryCode>,
    /// What distinguishes it, such as `{"finish": "Brass"}`.
    options: Options,
    /// How many can be ordered at this moment.
    available: i32,
}

impl ProductDetails {
    /// Its entity tag: the version, which `If-Match` compares, then what else the answer tells (levels, the currency).
    pub(super) fn etag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        for variant in &self.variants {
            (&variant.sku, variant.available, variant.price.map(|price| price.currency)).hash(&mut hasher);
        }
        format!("\"{}.{:016x}\"", self.version, hasher.finish())
    }
}

/// The version in an entity tag that [`ProductDetails::etag`] made.
pub(super) fn version_of(etag: &str) -> Option<i64> {
    etag.trim().strip_prefix('"')?.strip_suffix('"')?.split('.').next()?.parse().ok()
}

/// These products as clients see them, in their order.
pub(super) async fn details(
    connection: &mut AsyncPgConnection,
    products: Vec<Product>,
    currency: Option<Currency>,
) -> Result<Vec<ProductDetails>, DatabaseError> {
    let ids: Vec<ProductId> = products.iter().map(|row| row.id).collect();
    let rows: Vec<(Variant, i32)> = variant::table
        .inner_join(stock::table.on(stock::sku.eq(variant::sku)))
        .filter(variant::product_id.eq_any(&ids))
        .order((variant::product_id, variant::position))
        .select((Variant::as_select(), stock::available))
        .load(connection)
        .await?;
    let variant_ids: Vec<VariantId> = rows.iter().map(|(row, _)| row.id).collect();
    let amounts: Vec<(VariantId, i64, Currency)> = price::table
        .filter(price::variant_id.eq_any(&variant_ids))
        .order((price::variant_id, price::currency))
        .select((price::variant_id, price::amount, price::currency))
        .load(connection)
        .await?;
    let mut prices: BTreeMap<VariantId, Vec<Money>> = BTreeMap::new();
    for (id, amount, currency) in amounts {
        prices.entry(id).or_default().push(Money::new(amount, currency));
    }
    let mut variants: BTreeMap<ProductId, Vec<VariantDetails>> = BTreeMap::new();
    for (row, available) in rows {
        let prices = prices.remove(&row.id).unwrap_or_default();
        variants.entry(row.product_id).or_default().push(variant_details(row, prices, available, currency));
    }
    let with = |row: Product| {
        let variants = variants.remove(&row.id).unwrap_or_default();
        product_details(row, variants)
    };
    Ok(products.into_iter().map(with).collect())
}

/// One product as clients see it.
pub(super) async fn one(
    connection: &mut AsyncPgConnection,
    product: Product,
    currency: Option<Currency>,
) -> Result<ProductDetails, DatabaseError> {
    let mut details = details(connection, vec![product], currency).await?;
    details.pop().ok_or_else(|| diesel::result::Error::NotFound.into())
}

fn product_details(row: Product, variants: Vec<VariantDetails>) -> ProductDetails {
    let currency = variants.iter().find_map(|variant| variant.price).map(|price| price.currency);
    let in_currency =
        variants.iter().filter_map(|variant| variant.price).filter(|price| Some(price.currency) == currency);
    ProductDetails {
        price_from: in_currency.min_by_key(|price| price.amount),
        id: row.id,
        name: row.name,
        description: row.description,
        category_id: row.category_id,
        attributes: row.attributes.0,
        version: row.version,
        variants,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

fn variant_details(row: Variant, prices: Vec<Money>, available: i32, currency: Option<Currency>) -> VariantDetails {
    let in_currency = |currency| prices.iter().find(|price| price.currency == currency).copied();
    let price = match currency {
        Some(currency) => in_currency(currency),
        None => in_currency(Currency::EUR).or_else(|| prices.as_slice().first().copied()),
    };
    VariantDetails {
        id: row.id,
        sku: row.sku,
        name: row.name,
        price,
        prices,
        tax_category: row.tax_category,
        weight_g: row.weight_g,
        hs_code: row.hs_code,
        country_of_origin: row.country_of_origin,
        // The column holds what `WriteVariant` put there: an object of strings.
        options: serde_json::from_value(row.options).unwrap_or_default(),
        available,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_tag_gives_its_version_back() {
        for (etag, version) in
            [("\"7.00ab\"", Some(7)), (" \"7\" ", Some(7)), ("7.00ab", None), ("\"x.1\"", None), ("\"\"", None)]
        {
            assert_eq!(version_of(etag), version, "{etag}");
        }
    }
}
