//! Editing a product: what is sent changes, everything else stays.

use diesel::{ExpressionMethods, QueryDsl, SelectableHelper, dsl::now};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::catalog::ProductUpdated,
    problem::{Code, Problem},
    types::{CategoryId, Name, ProductId, Text},
};
use poem_openapi::{Object, types::MaybeUndefined};
use serde::{Deserialize, Serialize};

use super::{
    Product,
    attributes::{self, AttributeMap, Attributes},
    category_exists,
    details::{self, ProductDetails},
    variant::{self, WriteVariant},
};
use crate::{Catalog, schema::product};

/// What is to change.
#[derive(Debug, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub(crate) struct UpdateProduct {
    /// Its name.
    pub(crate) name: Option<Name>,
    /// What there is to say about it.
    pub(crate) description: Option<Text<0, 5000>>,
    /// The category it is in; null takes it out.
    #[serde(default)]
    #[oai(nullable)]
    pub(crate) category_id: MaybeUndefined<CategoryId>,
    /// What there is to say about it point by point, at most 50; takes the place of all that was there.
    pub(crate) attributes: Option<AttributeMap>,
    /// Variants to change or add, by SKU; those not named stay as they are.
    #[oai(validator(max_items = 100))]
    pub(crate) variants: Option<Vec<WriteVariant>>,
}

/// Edits the product, if it is still what `if_match` says.
pub(crate) async fn update_product(
    catalog: &Catalog,
    id: ProductId,
    if_match: Option<&str>,
    request: &UpdateProduct,
) -> Result<ProductDetails, Problem> {
    let variants = request.variants.as_deref().unwrap_or_default();
    attributes::check(request.attributes.as_ref())?;
    variant::check(variants)?;
    let mut tx = catalog.database.begin().await?;
    let before = Product::lock(&mut tx, id).await?.ok_or_else(|| Problem::not_found("product"))?;
    if !matches(if_match, before.version) {
        return Err(Problem::new(Code::PreconditionFailed, "The product was edited since you read it; read it again."));
    }
    let category_id = match request.category_id {
        MaybeUndefined::Undefined => before.category_id,
        MaybeUndefined::Null => None,
        MaybeUndefined::Value(category) => Some(category),
    };
    category_exists(&mut tx, category_id).await?;
    variant::write(&mut tx, id, variants).await?;
    let row: Product = diesel::update(product::table.find(id))
        .set((
            product::name.eq(request.name.as_deref().unwrap_or(&before.name)),
            product::description.eq(request.description.as_deref().unwrap_or(&before.description)),
            product::category_id.eq(category_id),
            product::attributes.eq(request.attributes.clone().map_or(before.attributes, Attributes)),
            product::version.eq(before.version + 1),
            product::updated_at.eq(now),
        ))
        .returning(Product::as_returning())
        .get_result(&mut tx)
        .await?;
    tx.record(&ProductUpdated { product_id: id }).await?;
    let body = details::one(&mut tx, row, None).await?;
    tx.commit().await?;
    Ok(body)
}

/// Whether an `If-Match` header (RFC 9110) lets an edit of this version through. Only the version counts: a sale between
/// reading and editing is no edit.
fn matches(if_match: Option<&str>, version: i64) -> bool {
    if_match
        .is_none_or(|tags| tags.trim() == "*" || tags.split(',').any(|tag| details::version_of(tag) == Some(version)))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn only_the_version_counts() {
        for (if_match, passes) in [
            (None, true),
            (Some("*"), true),
            (Some("\"3.00ff\""), true),
            (Some("\"3.aaaa\""), true),
            (Some("\"2.00ff\", \"3.00ff\""), true),
            (Some("\"2.00ff\""), false),
            (Some("W/\"3.00ff\""), false),
            (Some("nonsense"), false),
            (Some(""), false),
        ] {
            assert_eq!(matches(if_match, 3), passes, "{if_match:?}");
        }
    }
}
