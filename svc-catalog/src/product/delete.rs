//! Taking a product out of the catalogue.

use diesel::{ExpressionMethods, QueryDsl, dsl::now};
use diesel_async::RunQueryDsl;
use nats::{contracts::catalog::ProductDeleted, problem::Problem, types::ProductId};

use super::Product;
use crate::{Catalog, schema::product};

/// Takes the product out of the catalogue. Its rows stay for the orders that refer to it, its SKUs stay taken, and what is
/// reserved stays reserved.
pub(crate) async fn delete_product(catalog: &Catalog, id: ProductId) -> Result<(), Problem> {
    let mut tx = catalog.database.begin().await?;
    Product::lock(&mut tx, id).await?.ok_or_else(|| Problem::not_found("product"))?;
    diesel::update(product::table.find(id))
        .set((product::deleted_at.eq(now), product::updated_at.eq(now)))
        .execute(&mut tx)
        .await?;
    tx.record(&ProductDeleted { product_id: id }).await?;
    tx.commit().await?;
    Ok(())
}
