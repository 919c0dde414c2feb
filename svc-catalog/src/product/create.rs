//! Creating a product: with its variants, their prices, and a stock of nothing.

use diesel::{SelectableHelper, insert_into};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::catalog::ProductCreated,
    http::Created,
    idempotency::{Claim, IdempotencyKey, claim},
    problem::Problem,
    types::{CategoryId, Name, ProductId, Text, UserId},
};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::{
    NewProduct, Product,
    attributes::{self, AttributeMap, Attributes},
    category_exists,
    details::{self, ProductDetails},
    variant::{self, WriteVariant},
};
use crate::{Catalog, schema::product};

/// A new product.
#[derive(Debug, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub(crate) struct CreateProduct {
    /// Its name.
    pub(crate) name: Name,
    /// What there is to say about it.
    pub(crate) description: Option<Text<0, 5000>>,
    /// The category it is in.
    pub(crate) category_id: Option<CategoryId>,
    /// What there is to say about it point by point, such as `{"material": "Brass"}`; at most 50.
    pub(crate) attributes: Option<AttributeMap>,
    /// What can be bought, in the shop's order: 1 to 100.
    #[oai(validator(min_items = 1, max_items = 100))]
    pub(crate) variants: Vec<WriteVariant>,
}

/// Puts the product into the catalogue; its SKUs must be new.
pub(crate) async fn create_product(
    catalog: &Catalog,
    actor: UserId,
    key: Option<IdempotencyKey>,
    request: &CreateProduct,
) -> Result<Created<ProductDetails>, Problem> {
    if request.variants.is_empty() {
        return Err(Problem::invalid("/variants", "a product needs a variant: that is what is bought"));
    }
    attributes::check(request.attributes.as_ref())?;
    variant::check(&request.variants)?;
    let mut tx = catalog.database.begin().await?;
    let slot = match claim(&mut tx, &actor, "create_product", key, request).await? {
        Claim::New(slot) => slot,
        Claim::Replay { location, body } => return Ok(Created { location, body, replayed: true }),
    };
    category_exists(&mut tx, request.category_id).await?;
    let row = NewProduct {
        id: ProductId::new(),
        name: &request.name,
        description: request.description.as_deref().unwrap_or_default(),
        category_id: request.category_id,
        attributes: Attributes(request.attributes.clone().unwrap_or_default()),
    };
    let row: Product =
        insert_into(product::table).values(&row).returning(Product::as_returning()).get_result(&mut tx).await?;
    variant::write(&mut tx, row.id, &request.variants).await?;
    tx.record(&ProductCreated { product_id: row.id }).await?;
    let location = format!("/v1/products/{}", row.id);
    let body = details::one(&mut tx, row, None).await?;
    slot.store(&mut tx, 201, &location, &body).await?;
    tx.commit().await?;
    Ok(Created::new(location, body))
}
