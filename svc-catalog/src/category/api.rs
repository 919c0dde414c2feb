//! Categories, over HTTP.

use nats::{
    http::{Body, Created, Listed},
    idempotency::IdempotencyKey,
    identity::{CatalogWrite, Visitor},
    problem::Problem,
    types::{CategoryId, Cursor, Limit, Page},
};
use poem::web::Data;
use poem_openapi::{
    Object, OpenApi, Tags,
    param::{Header, Path, Query},
    payload::Response,
};
use serde::{Deserialize, Serialize};

use super::{
    Category,
    create::{CreateCategory, create_category},
    slug::Slug,
};
use crate::{CACHE_CONTROL, Catalog};

#[derive(Tags)]
enum Tag {
    /// What can be bought.
    Catalogue,
}

/// A category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
#[oai(rename = "Category")]
pub(crate) struct CategoryDetails {
    /// Which.
    id: CategoryId,
    /// Its name in addresses.
    slug: Slug,
    /// Its name.
    name: String,
    /// What is in it; may be empty.
    description: String,
}

impl From<Category> for CategoryDetails {
    fn from(row: Category) -> Self {
        let Category { id, slug, name, description } = row;
        Self { id, slug, name, description }
    }
}

/// The endpoints of categories.
pub(crate) struct CategoryApi;

#[OpenApi(prefix_path = "/v1/categories", tag = "Tag::Catalogue")]
impl CategoryApi {
    /// List the categories
    ///
    /// By name.
    #[oai(path = "/", method = "get", operation_id = "list_categories")]
    async fn list(
        &self,
        Data(catalog): Data<&Catalog>,
        Visitor(_visitor): Visitor,
        /// How many entries the page has.
        limit: Query<Limit>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Cursor>>,
    ) -> Result<Response<Listed<CategoryDetails>>, Problem> {
        let after: Option<(String, CategoryId)> = cursor.0.map(|cursor| cursor.after()).transpose()?;
        let mut connection = catalog.database.replica().await?;
        let rows = Category::list(&mut connection, after, limit.0).await?;
        let page = Page::from_rows(rows, limit.0, |row| (row.name.clone(), row.id), CategoryDetails::from)?;
        Ok(Response::new(Listed(page)).header("Cache-Control", CACHE_CONTROL))
    }

    /// Get a category
    ///
    /// By its slug. What is in it: `GET /v1/products?category={slug}`.
    #[oai(path = "/:slug", method = "get", operation_id = "get_category")]
    async fn get(
        &self,
        Data(catalog): Data<&Catalog>,
        Visitor(_visitor): Visitor,
        /// Which category.
        slug: Path<Slug>,
    ) -> Result<Response<Body<CategoryDetails>>, Problem> {
        let mut connection = catalog.database.connection().await?;
        let row = Category::by_slug(&mut connection, &slug.0).await?.ok_or_else(|| Problem::not_found("category"))?;
        Ok(Response::new(Body(row.into())).header("Cache-Control", CACHE_CONTROL))
    }

    /// Create a category
    ///
    /// Its slug must be new (409).
    #[oai(path = "/", method = "post", operation_id = "create_category")]
    async fn create(
        &self,
        Data(catalog): Data<&Catalog>,
        CatalogWrite(identity): CatalogWrite,
        /// A fresh key per category; a repeat with the same key creates nothing.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<IdempotencyKey>>,
        request: Body<CreateCategory>,
    ) -> Result<Created<CategoryDetails>, Problem> {
        create_category(catalog, identity.user, key.0, &request.0).await
    }
}
