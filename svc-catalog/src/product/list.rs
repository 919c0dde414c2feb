//! Listing products: searched, filtered, sorted, and paged by the key of the sort.

use diesel::{
    BoolExpressionMethods, ExpressionMethods, JoinOnDsl, NullableExpressionMethods, QueryDsl, SelectableHelper,
    dsl::sql,
    sql_types::{BigInt, Bool, Nullable, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    problem::{Code, Problem},
    types::{Currency, Cursor, Limit, Page, ProductId},
};
use poem_openapi::Enum;
use serde::{Deserialize, Serialize};

use super::{
    Product,
    details::{ProductDetails, details},
};
use crate::{
    category::slug::Slug,
    schema::{category, price_from, product},
};

diesel::define_sql_function! {
    /// The amount, or `otherwise` when there is none.
    fn coalesce(amount: Nullable<BigInt>, otherwise: BigInt) -> BigInt;
}

/// In which order products are listed. Those without a price in the currency come last when sorted by price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Enum)]
#[oai(rename = "ProductSort", rename_all = "snake_case")]
pub(crate) enum Sort {
    /// By name.
    Name,
    /// Cheapest first.
    Price,
    /// Dearest first.
    #[oai(rename = "-price")]
    PriceDescending,
    /// What came last into the catalogue first.
    #[default]
    Newest,
}

/// Where a page ended: the key of its last product in its sort.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum After {
    Name(String, ProductId),
    Price(i64, ProductId),
    PriceDescending(i64, ProductId),
    Newest(ProductId),
}

/// What is asked for.
#[derive(Debug)]
pub(super) struct Filter {
    pub(super) search: String,
    pub(super) category: Option<Slug>,
    pub(super) min_price: Option<i64>,
    pub(super) max_price: Option<i64>,
    pub(super) currency: Option<Currency>,
    pub(super) sort: Sort,
}

impl Filter {
    fn check(&self) -> Result<(), Problem> {
        for (name, bound) in [("?min_price", self.min_price), ("?max_price", self.max_price)] {
            if bound.is_some_and(|bound| bound < 0) {
                return Err(Problem::invalid(name, "a price is 0 or more, in minor units"));
            }
        }
        match (self.min_price, self.max_price) {
            (Some(min), Some(max)) if min > max => {
                Err(Problem::invalid("?max_price", "this must not be less than min_price"))
            }
            _ => Ok(()),
        }
    }
}

/// A product, its key by name, and its lowest price.
type Row = (Product, String, Option<i64>);

/// One page of the products that the filter lets through.
pub(super) async fn list_products(
    connection: &mut AsyncPgConnection,
    filter: Filter,
    limit: Limit,
    cursor: Option<Cursor>,
) -> Result<Page<ProductDetails>, Problem> {
    filter.check()?;
    let after = cursor.map(|cursor| cursor.after::<After>()).transpose()?;
    let rows = page(connection, &filter, limit, after).await?;
    let keys: Vec<After> = rows.iter().map(|row| key(filter.sort, row)).collect();
    let products = rows.into_iter().map(|(row, ..)| row).collect();
    let products = details(connection, products, filter.currency).await?;
    let rows = keys.into_iter().zip(products).collect();
    Ok(Page::from_rows(rows, limit, |(key, _)| key.clone(), |(_, product)| product)?)
}

async fn page(
    connection: &mut AsyncPgConnection,
    filter: &Filter,
    limit: Limit,
    after: Option<After>,
) -> Result<Vec<Row>, Problem> {
    let currency = filter.currency.unwrap_or(Currency::EUR);
    let in_currency = price_from::product_id.eq(product::id).and(price_from::currency.eq(currency));
    let mut query = product::table
        .left_join(price_from::table.on(in_currency))
        .filter(product::deleted_at.is_null())
        .select((Product::as_select(), product::sort_name, price_from::amount.nullable()))
        .limit(limit.rows())
        .into_boxed();
    if !filter.search.is_empty() {
        // Two indexes, one answer: words of the text, or exactly a SKU.
        query = query.filter(
            sql::<Bool>("product.id in (select id from product where search @@ websearch_to_tsquery('english', ")
                .bind::<Text, _>(&filter.search)
                .sql(") union select product_id from variant where sku = ")
                .bind::<Text, _>(&filter.search)
                .sql(")"),
        );
    }
    if let Some(slug) = &filter.category {
        let of_slug = category::table.filter(category::slug.eq(slug)).select(category::id.nullable());
        query = query.filter(product::category_id.eq_any(of_slug));
    }
    if let Some(min) = filter.min_price {
        query = query.filter(price_from::amount.ge(min));
    }
    if let Some(max) = filter.max_price {
        query = query.filter(price_from::amount.le(max));
    }
    // A price of nobody sorts last either way.
    let (cheapest, dearest) =
        (coalesce(price_from::amount.nullable(), i64::MAX), coalesce(price_from::amount.nullable(), -1));
    query = match filter.sort {
        Sort::Name => query.order((product::sort_name, product::id)),
        Sort::Price => query.order((cheapest, product::id)),
        Sort::PriceDescending => query.order((dearest.desc(), product::id)),
        Sort::Newest => query.order(product::id.desc()),
    };
    query = match (filter.sort, after) {
        (_, None) => query,
        (Sort::Name, Some(After::Name(name, id))) => {
            query.filter(product::sort_name.ge(name.clone())).filter(product::sort_name.gt(name).or(product::id.gt(id)))
        }
        (Sort::Price, Some(After::Price(amount, id))) => {
            query.filter(cheapest.ge(amount)).filter(cheapest.gt(amount).or(product::id.gt(id)))
        }
        (Sort::PriceDescending, Some(After::PriceDescending(amount, id))) => {
            query.filter(dearest.le(amount)).filter(dearest.lt(amount).or(product::id.gt(id)))
        }
        (Sort::Newest, Some(After::Newest(id))) => query.filter(product::id.lt(id)),
        (_, Some(_)) => {
            return Err(Problem::new(Code::MalformedRequest, "The cursor cannot be read.")
                .at("?cursor", "this cursor belongs to another sort"));
        }
    };
    Ok(query.load(connection).await?)
}

fn key(sort: Sort, (row, name, amount): &Row) -> After {
    match sort {
        Sort::Name => After::Name(name.clone(), row.id),
        Sort::Price => After::Price(amount.unwrap_or(i64::MAX), row.id),
        Sort::PriceDescending => After::PriceDescending(amount.unwrap_or(-1), row.id),
        Sort::Newest => After::Newest(row.id),
    }
}
