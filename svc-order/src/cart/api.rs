//! The endpoints of the cart.

use nats::{
    contracts::catalog::StockLine,
    http::{Body, Created, NoContent},
    idempotency::IdempotencyKey,
    identity::User,
    problem::Problem,
    types::{Currency, Quantity, Sku},
};
use poem::web::Data;
use poem_openapi::{
    Object, OpenApi, Tags,
    param::{Header, Path, Query},
    payload::Response,
};
use serde::{Deserialize, Serialize};

use super::{
    CartItem, edit, version,
    view::{self, Cart, Line},
};
use crate::Orders;

#[derive(Tags)]
enum Tag {
    /// What someone means to order.
    Cart,
}

/// How many of an item there are to be.
#[derive(Debug, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub struct SetCartItem {
    /// How many.
    quantity: Quantity,
}

/// The endpoints of the cart.
pub struct CartApi;

#[OpenApi(prefix_path = "/v1/cart", tag = "Tag::Cart")]
impl CartApi {
    /// Get the cart
    ///
    /// With the names, prices and stock of this moment. When the catalogue is away, the cart is still shown: without them,
    /// and with `prices_unavailable`.
    #[oai(
        path = "/",
        method = "get",
        operation_id = "get_cart",
        response_header(name = "ETag", ty = "String", description = "The cart's version, for `If-Match`.")
    )]
    async fn get(
        &self,
        Data(service): Data<&Orders>,
        User(identity): User,
        /// The currency of the prices (ISO 4217); EUR when unset.
        currency: Query<Option<Currency>>,
    ) -> Result<Response<Body<Cart>>, Problem> {
        let mut connection = service.database.connection().await?;
        // The version first: an edit in between makes the answer newer than its tag, which costs a 412 and loses nothing.
        let version = version(&mut connection, identity.user).await?;
        let items = CartItem::owned_by(&mut connection, identity.user).await?;
        drop(connection);
        let cart = view::cart(service, items, version, currency.0.unwrap_or(Currency::EUR)).await?;
        Ok(Response::new(Body(cart)).header("ETag", edit::etag(version)))
    }

    /// Put something into the cart
    ///
    /// Adds to what is there of the SKU, which must have a price in the currency. A cart holds at most 100 different SKUs.
    #[oai(
        path = "/items",
        method = "post",
        operation_id = "add_cart_item",
        response_header(name = "ETag", ty = "String", description = "The cart's version afterwards.")
    )]
    async fn add(
        &self,
        Data(service): Data<&Orders>,
        User(identity): User,
        /// With it, a repeated request adds once.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<IdempotencyKey>>,
        /// Only when the cart still has this `ETag`.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        /// The currency of the prices in the answer (ISO 4217); EUR when unset.
        currency: Query<Option<Currency>>,
        request: Body<StockLine>,
    ) -> Result<Response<Created<Line>>, Problem> {
        let currency = currency.0.unwrap_or(Currency::EUR);
        let (created, version) = edit::add(service, identity.user, key.0, if_match.0, request.0, currency).await?;
        let response = Response::new(created);
        Ok(match version {
            Some(version) => response.header("ETag", edit::etag(version)),
            None => response,
        })
    }

    /// Set how many of an item are in the cart
    #[oai(
        path = "/items/:sku",
        method = "patch",
        operation_id = "set_cart_item",
        response_header(name = "ETag", ty = "String", description = "The cart's version afterwards.")
    )]
    async fn set(
        &self,
        Data(service): Data<&Orders>,
        User(identity): User,
        /// Which.
        sku: Path<Sku>,
        /// Only when the cart still has this `ETag`.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        /// The currency of the prices in the answer (ISO 4217); EUR when unset.
        currency: Query<Option<Currency>>,
        request: Body<SetCartItem>,
    ) -> Result<Response<Body<Line>>, Problem> {
        let (item, version) = edit::set(service, identity.user, if_match.0, &sku.0, request.0.quantity).await?;
        let line = view::line(service, item, currency.0.unwrap_or(Currency::EUR)).await?;
        Ok(Response::new(Body(line)).header("ETag", edit::etag(version)))
    }

    /// Take an item out of the cart
    #[oai(
        path = "/items/:sku",
        method = "delete",
        operation_id = "remove_cart_item",
        response_header(name = "ETag", ty = "String", description = "The cart's version afterwards.")
    )]
    async fn remove(
        &self,
        Data(service): Data<&Orders>,
        User(identity): User,
        /// Which.
        sku: Path<Sku>,
        /// Only when the cart still has this `ETag`.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Result<Response<NoContent>, Problem> {
        let version = edit::remove(service, identity.user, if_match.0, &sku.0).await?;
        Ok(Response::new(NoContent).header("ETag", edit::etag(version)))
    }
}
