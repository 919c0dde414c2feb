//! Products, over HTTP.

use nats::{
    http::{Body, Created, Listed, NoContent},
    idempotency::IdempotencyKey,
    identity::{CatalogWrite, Visitor},
    problem::Problem,
    types::{Currency, Cursor, Limit, ProductId, Text},
};
use poem::web::Data;
use poem_openapi::{
    ApiResponse, OpenApi, Tags,
    param::{Header, Path, Query},
    payload::Response,
};

use super::{
    Product,
    create::{CreateProduct, create_product},
    delete::delete_product,
    details::{self, ProductDetails},
    list::{Filter, Sort, list_products},
    update::{UpdateProduct, update_product},
};
use crate::{CACHE_CONTROL, Catalog, category::slug::Slug};

#[derive(Tags)]
enum Tag {
    /// What can be bought.
    Catalogue,
}

/// A product, unless the caller has it already.
#[derive(ApiResponse)]
enum Found {
    /// The product.
    #[oai(status = 200)]
    Product(Body<ProductDetails>, #[oai(header = "ETag")] String, #[oai(header = "Cache-Control")] String),
    /// It is still what `If-None-Match` says.
    #[oai(status = 304)]
    NotModified(#[oai(header = "ETag")] String, #[oai(header = "Cache-Control")] String),
}

/// An edited product.
#[derive(ApiResponse)]
enum Edited {
    /// As it is now.
    #[oai(status = 200)]
    Product(Body<ProductDetails>, #[oai(header = "ETag")] String),
}

/// The endpoints of products.
pub(crate) struct ProductApi;

#[OpenApi(prefix_path = "/v1/products", tag = "Tag::Catalogue")]
impl ProductApi {
    /// List or search the products
    ///
    /// Whole products, with variants, prices and what is available. Prices are net. A filter by price compares with the
    /// lowest price of a product in the currency; a product that has none there is then left out. Prices below zero, or that
    /// leave nothing between them, are an `invalid_request`.
    #[oai(path = "/", method = "get", operation_id = "list_products")]
    #[expect(
        clippy::too_many_arguments,
        reason = "one argument per query parameter is how poem-openapi documents them"
    )]
    async fn list(
        &self,
        Data(catalog): Data<&Catalog>,
        Visitor(_visitor): Visitor,
        /// Words to find in names and descriptions (`"…"`, `or` and `-` work), or a SKU.
        search: Query<Option<Text<0, 200>>>,
        /// Only this category, by its slug.
        category: Query<Option<Slug>>,
        /// Not cheaper than this, in minor units of `currency`.
        min_price: Query<Option<i64>>,
        /// Not dearer than this, in minor units of `currency`.
        max_price: Query<Option<i64>>,
        /// The currency of prices (ISO 4217); EUR when unset.
        currency: Query<Option<Currency>>,
        /// The order; `newest` when unset.
        sort: Query<Option<Sort>>,
        /// How many products the page has.
        limit: Query<Limit>,
        /// The `next_cursor` of the page before; goes with the same `sort`.
        cursor: Query<Option<Cursor>>,
    ) -> Result<Response<Listed<ProductDetails>>, Problem> {
        let filter = Filter {
            search: search.0.map(Text::into_string).unwrap_or_default(),
            category: category.0,
            min_price: min_price.0,
            max_price: max_price.0,
            currency: currency.0,
            sort: sort.0.unwrap_or_default(),
        };
        let mut connection = catalog.database.replica().await?;
        let page = list_products(&mut connection, filter, limit.0, cursor.0).await?;
        Ok(Response::new(Listed(page)).header("Cache-Control", CACHE_CONTROL))
    }

    /// Get a product
    ///
    /// With its variants, their prices, and how many are available at this moment.
    #[oai(path = "/:product_id", method = "get", operation_id = "get_product")]
    async fn get(
        &self,
        Data(catalog): Data<&Catalog>,
        Visitor(_visitor): Visitor,
        /// Which product.
        product_id: Path<ProductId>,
        /// The currency of `price` (ISO 4217); EUR, or else the first there is, when unset.
        currency: Query<Option<Currency>>,
        /// The `ETag` of an answer that the caller has.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<Found, Problem> {
        let mut connection = catalog.database.connection().await?;
        let row = Product::find(&mut connection, product_id.0).await?.ok_or_else(|| Problem::not_found("product"))?;
        let body = details::one(&mut connection, row, currency.0).await?;
        let (etag, cache_control) = (body.etag(), CACHE_CONTROL.to_owned());
        let known = if_none_match.0.is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == etag));
        Ok(if known {
            Found::NotModified(etag, cache_control)
        } else {
            Found::Product(Body(body), etag, cache_control)
        })
    }

    /// Create a product
    ///
    /// With its variants and their prices; each SKU must be new, or else it is a `conflict`, and starts with a stock of nothing.
    #[oai(path = "/", method = "post", operation_id = "create_product")]
    async fn create(
        &self,
        Data(catalog): Data<&Catalog>,
        CatalogWrite(identity): CatalogWrite,
        /// A fresh key per product; a repeat with the same key creates nothing.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<IdempotencyKey>>,
        request: Body<CreateProduct>,
    ) -> Result<Created<ProductDetails>, Problem> {
        create_product(catalog, identity.user, key.0, &request.0).await
    }

    /// Edit a product
    ///
    /// What is sent changes, everything else stays. Variants are found by their SKU: a known one changes, a new one is
    /// added; a SKU of another product is a `conflict`. With `If-Match`, an edit that someone else made in the meantime is
    /// not overwritten.
    #[oai(path = "/:product_id", method = "patch", operation_id = "update_product")]
    async fn update(
        &self,
        Data(catalog): Data<&Catalog>,
        CatalogWrite(_caller): CatalogWrite,
        /// Which product.
        product_id: Path<ProductId>,
        /// The `ETag` of the product as it was read.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        request: Body<UpdateProduct>,
    ) -> Result<Edited, Problem> {
        let body = update_product(catalog, product_id.0, if_match.0.as_deref(), &request.0).await?;
        let etag = body.etag();
        Ok(Edited::Product(Body(body), etag))
    }

    /// Delete a product
    ///
    /// It is gone from the catalogue and cannot be ordered any more. Orders keep what they remember of it, its SKUs stay
    /// taken, and its stock stays in the ledger.
    #[oai(path = "/:product_id", method = "delete", operation_id = "delete_product")]
    async fn delete(
        &self,
        Data(catalog): Data<&Catalog>,
        CatalogWrite(_caller): CatalogWrite,
        /// Which product.
        product_id: Path<ProductId>,
    ) -> Result<NoContent, Problem> {
        delete_product(catalog, product_id.0).await?;
        Ok(NoContent)
    }
}
