//! The endpoints of the cart.

use nats::{
    contracts::catalog::StockLine,
    http::{Body, Created, NoContent},
    idempotency::IdempotencyKey,
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
    CartItem, Shopper, edit,
    guest::{self, CartToken},
    someone::Someone,
    view::{self, Cart, Line},
};
use crate::Orders;

#[derive(Tags)]
pub(super) enum Tag {
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
    /// The caller's own, or a guest's by its token. With the names, prices and stock of this moment. When the
    /// catalogue is away, the cart is still shown: without them, and with `prices_unavailable`. One that comes to more than
    /// can be counted is an `invalid_request`.
    #[oai(
        path = "/",
        method = "get",
        operation_id = "get_cart",
        response_header(name = "ETag", ty = "String", description = "The cart's version, for `If-Match`.")
    )]
    async fn get(
        &self,
        Data(service): Data<&Orders>,
        Someone(visitor): Someone,
        /// The token of a guest's cart; needed without an access token.
        #[oai(name = "Cart-Token")]
        cart_token: Header<Option<CartToken>>,
        /// The currency of the prices (ISO 4217); EUR when unset.
        currency: Query<Option<Currency>>,
    ) -> Result<Response<Body<Cart>>, Problem> {
        let shopper = Shopper::of(service, visitor, cart_token.0).await?;
        let mut connection = service.database.connection().await?;
        // The version first: an edit in between makes the answer newer than its tag, which costs a 412 and loses nothing.
        let (version, items) = match (shopper.cart(&mut connection).await?, shopper) {
            (Some(cart), _) => (cart.version, CartItem::of(&mut connection, cart.id).await?),
            (None, Shopper::Person(_)) => (0, Vec::new()),
            (None, Shopper::Guest(_)) => return Err(guest::no_such_cart()),
        };
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
    #[expect(clippy::too_many_arguments, reason = "the parameters of the operation")]
    async fn add(
        &self,
        Data(service): Data<&Orders>,
        Someone(visitor): Someone,
        /// The token of a guest's cart; needed without an access token.
        #[oai(name = "Cart-Token")]
        cart_token: Header<Option<CartToken>>,
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
        let shopper = Shopper::of(service, visitor, cart_token.0).await?;
        let (created, version) = edit::add(service, shopper, key.0, if_match.0, request.0, currency).await?;
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
    #[expect(clippy::too_many_arguments, reason = "the parameters of the operation")]
    async fn set(
        &self,
        Data(service): Data<&Orders>,
        Someone(visitor): Someone,
        /// The token of a guest's cart; needed without an access token.
        #[oai(name = "Cart-Token")]
        cart_token: Header<Option<CartToken>>,
        /// Which.
        sku: Path<Sku>,
        /// Only when the cart still has this `ETag`.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        /// The currency of the prices in the answer (ISO 4217); EUR when unset.
        currency: Query<Option<Currency>>,
        request: Body<SetCartItem>,
    ) -> Result<Response<Body<Line>>, Problem> {
        let shopper = Shopper::of(service, visitor, cart_token.0).await?;
        let (item, version) = edit::set(service, shopper, if_match.0, &sku.0, request.0.quantity).await?;
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
        Someone(visitor): Someone,
        /// The token of a guest's cart; needed without an access token.
        #[oai(name = "Cart-Token")]
        cart_token: Header<Option<CartToken>>,
        /// Which.
        sku: Path<Sku>,
        /// Only when the cart still has this `ETag`.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Result<Response<NoContent>, Problem> {
        let shopper = Shopper::of(service, visitor, cart_token.0).await?;
        let version = edit::remove(service, shopper, if_match.0, &sku.0).await?;
        Ok(Response::new(NoContent).header("ETag", edit::etag(version)))
    }
}
