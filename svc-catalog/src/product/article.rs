//! `svc.catalog.get_articles`, and what an order remembers of a variant.

use diesel::{ExpressionMethods, QueryDsl, Queryable};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    contracts::{
        Never,
        catalog::{self, Articles, GetArticles, ReservedLine},
    },
    database::DatabaseError,
    invoke::CallError,
    types::{Currency, Money, ProductId, Quantity, Sku, TaxCategory},
};

use crate::{
    Catalog,
    schema::{price, product, variant},
    stock::Stock,
};

/// The most SKUs that one question may name.
const SKUS: usize = 100;

/// A variant that is for sale, in one of its currencies.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub(crate) struct Article {
    pub(crate) sku: Sku,
    pub(crate) product_id: ProductId,
    pub(crate) product_name: String,
    pub(crate) variant_name: String,
    pub(crate) currency: Currency,
    pub(crate) amount: i64,
    pub(crate) tax_category: TaxCategory,
    pub(crate) weight_g: i32,
}

impl Article {
    /// These SKUs in every currency that they have; those out of the catalogue are left out.
    pub(crate) async fn of(connection: &mut AsyncPgConnection, skus: &[Sku]) -> Result<Vec<Self>, DatabaseError> {
        Ok(price::table
            .inner_join(variant::table.inner_join(product::table))
            .filter(variant::sku.eq_any(skus))
            .filter(product::deleted_at.is_null())
            .select((
                variant::sku,
                product::id,
                product::name,
                variant::name,
                price::currency,
                price::amount,
                variant::tax_category,
                variant::weight_g,
            ))
            .load(connection)
            .await?)
    }

    /// The article as an order remembers it.
    pub(crate) fn reserved(&self, quantity: Quantity) -> ReservedLine {
        ReservedLine {
            sku: self.sku.clone(),
            quantity,
            product_id: self.product_id,
            name: self.name(),
            unit_price: self.unit_price(),
            tax_category: self.tax_category,
            weight_g: self.weight_g,
        }
    }

    /// `Desk Lamp, Brass`; the product's name alone for an only child.
    fn name(&self) -> String {
        match self.variant_name.as_str() {
            "" => self.product_name.clone(),
            variant => format!("{}, {variant}", self.product_name),
        }
    }

    const fn unit_price(&self) -> Money {
        Money::new(self.amount, self.currency)
    }
}

/// What these SKUs are called and cost in one currency, and how many there are; reserves nothing.
pub(crate) async fn get_articles(catalog: Catalog, question: GetArticles) -> Result<Articles, CallError<Never>> {
    if question.skus.len() > SKUS {
        return Err(CallError::Failed(format!("at most {SKUS} SKUs can be asked for at once")));
    }
    let mut connection = catalog.database.connection().await?;
    let articles = Article::of(&mut connection, &question.skus).await?;
    let levels = Stock::of(&mut connection, &question.skus).await?;
    let articles = articles
        .into_iter()
        .filter(|article| article.currency == question.currency)
        .map(|article| catalog::Article {
            name: article.name(),
            unit_price: article.unit_price(),
            product_id: article.product_id,
            available: levels.get(&article.sku).map_or(0, Stock::available),
            sku: article.sku,
        })
        .collect();
    Ok(Articles { articles })
}
