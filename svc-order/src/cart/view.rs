//! A cart as its owner sees it: with the names, prices and stock of this moment.

use nats::{
    contracts::{
        Never,
        catalog::{Article, Articles, GetArticles},
    },
    problem::Problem,
    types::{Currency, Money, MoneyError, ProductId, Quantity, Sku},
};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::CartItem;
use crate::Orders;

/// What someone means to order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct Cart {
    /// The items, in the order in which they were put there.
    items: Vec<Line>,
    /// The currency of the prices.
    currency: Currency,
    /// Sum of the items that have a price, net, without shipping; null when prices are unavailable.
    #[oai(nullable)]
    subtotal: Option<Money>,
    /// True when the catalogue could not be asked: names, prices and stock are then null.
    prices_unavailable: bool,
    /// Counts the edits; the `ETag` says the same.
    version: i64,
}

/// An item of a cart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
#[oai(rename = "CartItem")]
pub struct Line {
    /// Which article.
    sku: Sku,
    /// How many.
    quantity: Quantity,
    /// The product it belongs to; null when it is not for sale any more, or the catalogue could not be asked.
    #[oai(nullable)]
    product_id: Option<ProductId>,
    /// Product and variant; null as `product_id`.
    #[oai(nullable)]
    name: Option<String>,
    /// The net price of one, now; null as `product_id`.
    #[oai(nullable)]
    unit_price: Option<Money>,
    /// Quantity times unit price; null as `product_id`.
    #[oai(nullable)]
    net: Option<Money>,
    /// How many can be had now, 0 when it is not for sale any more; null when the catalogue could not be asked.
    #[oai(nullable)]
    available: Option<i32>,
}

/// What the catalogue knows of these SKUs.
///
/// # Errors
/// `unavailable` and its kin, when the catalogue does not answer.
pub(crate) async fn articles(service: &Orders, skus: Vec<Sku>, currency: Currency) -> Result<Vec<Article>, Problem> {
    if skus.is_empty() {
        return Ok(Vec::new());
    }
    let Articles { articles } = service
        .calls
        .call(&GetArticles { skus, currency })
        .await
        .map_err(|error| error.problem(|never: Never| match never {}))?;
    Ok(articles)
}

/// The cart made of `items`; without names and prices when the catalogue is away.
///
/// # Errors
/// When the sum cannot be counted.
pub(crate) async fn cart(
    service: &Orders,
    items: Vec<CartItem>,
    version: i64,
    currency: Currency,
) -> Result<Cart, Problem> {
    let articles = known(service, &items, currency).await;
    let prices_unavailable = articles.is_none();
    let items = lines(items, articles).map_err(too_much)?;
    let subtotal = match prices_unavailable {
        true => None,
        false => Some(Money::sum(currency, items.iter().filter_map(|line| line.net)).map_err(too_much)?),
    };
    Ok(Cart { items, currency, subtotal, prices_unavailable, version })
}

/// One item; without name and price when the catalogue is away.
///
/// # Errors
/// When the sum cannot be counted.
pub(crate) async fn line(service: &Orders, item: CartItem, currency: Currency) -> Result<Line, Problem> {
    let articles = known(service, std::slice::from_ref(&item), currency).await;
    priced(item, articles.as_deref()).map_err(too_much)
}

async fn known(service: &Orders, items: &[CartItem], currency: Currency) -> Option<Vec<Article>> {
    let skus = items.iter().map(|item| item.sku.clone()).collect();
    match articles(service, skus, currency).await {
        Ok(articles) => Some(articles),
        Err(problem) => {
            tracing::warn!(%problem, "the cart is shown without prices");
            None
        }
    }
}

fn lines(items: Vec<CartItem>, articles: Option<Vec<Article>>) -> Result<Vec<Line>, MoneyError> {
    items.into_iter().map(|item| priced(item, articles.as_deref())).collect()
}

fn priced(item: CartItem, articles: Option<&[Article]>) -> Result<Line, MoneyError> {
    let Some(articles) = articles else { return Ok(Line::bare(item, None)) };
    match articles.iter().find(|article| article.sku == item.sku) {
        None => Ok(Line::bare(item, Some(0))),
        Some(article) => Line::priced(item, article),
    }
}

fn too_much(error: MoneyError) -> Problem {
    Problem::invalid("", format!("This cart cannot be totalled: {error}."))
}

impl Line {
    /// An item that the catalogue knows.
    ///
    /// # Errors
    /// When the sum cannot be counted.
    pub(crate) fn known(item: CartItem, article: &Article) -> Result<Self, Problem> {
        Self::priced(item, article).map_err(too_much)
    }

    fn priced(item: CartItem, article: &Article) -> Result<Self, MoneyError> {
        let net = article.unit_price.checked_mul(item.quantity)?;
        Ok(Self {
            product_id: Some(article.product_id),
            name: Some(article.name.clone()),
            unit_price: Some(article.unit_price),
            net: Some(net),
            ..Self::bare(item, Some(article.available))
        })
    }

    fn bare(CartItem { sku, quantity }: CartItem, available: Option<i32>) -> Self {
        Self { sku, quantity, product_id: None, name: None, unit_price: None, net: None, available }
    }
}
