//! Creating a category.

use diesel::insert_into;
use diesel_async::RunQueryDsl;
use nats::{
    http::Created,
    idempotency::{Claim, IdempotencyKey, claim},
    problem::{Code, Problem},
    types::{CategoryId, Text, UserId},
};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::{Category, api::CategoryDetails, slug::Slug};
use crate::{Catalog, schema::category};

/// A new category.
#[derive(Debug, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub(crate) struct CreateCategory {
    /// Its name in addresses; unique.
    pub(crate) slug: Slug,
    /// Its name.
    pub(crate) name: Text<1, 80>,
    /// What is in it.
    pub(crate) description: Option<Text<0, 1000>>,
}

/// Creates the category; its slug must be new.
pub(crate) async fn create_category(
    catalog: &Catalog,
    actor: UserId,
    key: Option<IdempotencyKey>,
    request: &CreateCategory,
) -> Result<Created<CategoryDetails>, Problem> {
    let mut tx = catalog.database.begin().await?;
    let slot = match claim(&mut tx, &actor, "create_category", key, request).await? {
        Claim::New(slot) => slot,
        Claim::Replay { location, body } => return Ok(Created { location, body, replayed: true }),
    };
    let row = Category {
        id: CategoryId::new(),
        slug: request.slug.clone(),
        name: request.name.to_string(),
        description: request.description.as_ref().map(ToString::to_string).unwrap_or_default(),
    };
    let fresh =
        insert_into(category::table).values(&row).on_conflict(category::slug).do_nothing().execute(&mut tx).await?;
    if fresh == 0 {
        let detail = format!("`{}` is taken", row.slug);
        return Err(Problem::new(Code::Conflict, "There is a category of this slug already.").at("/slug", detail));
    }
    let location = format!("/v1/categories/{}", row.slug);
    let body = CategoryDetails::from(row);
    slot.store(&mut tx, 201, &location, &body).await?;
    tx.commit().await?;
    Ok(Created::new(location, body))
}
