//! The endpoints of orders.

use diesel::{ExpressionMethods, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;
use nats::{
    http::{Body, Created, Listed},
    idempotency::{IdempotencyKey, required},
    identity::{OrdersRead, OrdersWrite, OwnerOr, User},
    problem::Problem,
    types::{CompanyId, Cursor, Limit, OrderId, Page, UserId},
};
use poem::web::Data;
use poem_openapi::{
    OpenApi, Tags,
    param::{Header, Path, Query},
};

use super::{
    OrderRow, cancel, company, complete,
    history::{self, OrderHistory},
    place,
    request::PlaceOrder,
    resource::Order,
    status::OrderStatus,
};
use crate::{Orders, cart::guest::CartToken, schema::orders};

#[derive(Tags)]
enum Tag {
    /// What customers ordered, and how far it is.
    Orders,
}

/// The endpoints of orders.
pub struct OrderApi;

#[OpenApi(prefix_path = "/v1/orders", tag = "Tag::Orders")]
impl OrderApi {
    /// Place an order
    ///
    /// Reserves the stock, fixes prices, taxes and shipping costs, and asks for the payment; the order is then `pending`
    /// until the payment has arrived. Refused with `out_of_stock` when a line cannot be had, and with `invalid_request`
    /// for an unknown SKU, an unknown address, a country we do not ship to, or an empty cart; with `conflict` when the cart
    /// changes while it is being ordered. For a company (`company_id`), `forbidden` above its spending limit or without the
    /// role `buyer` there, and a `conflict` unless it is active. Nothing is written then, and the key is free again. When another service is
    /// away: `unavailable`.
    #[oai(path = "/", method = "post", operation_id = "place_order")]
    async fn place(
        &self,
        Data(service): Data<&Orders>,
        User(identity): User,
        /// Required: a fresh random key per intended order, the same when the request is repeated.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<IdempotencyKey>>,
        /// A guest's cart, to go into the caller's before that is ordered.
        #[oai(name = "Cart-Token")]
        cart_token: Header<Option<CartToken>>,
        request: Body<PlaceOrder>,
    ) -> Result<Created<Order>, Problem> {
        place::place(service, identity.user, required(key.0)?, cart_token.0, request.0).await
    }

    /// List orders
    ///
    /// The caller's own, latest first; with `company_id` those of a company they are in; everyone's for whoever may read
    /// those. A company they are not in is `not_found`.
    #[oai(path = "/", method = "get", operation_id = "list_orders")]
    #[expect(clippy::too_many_arguments, reason = "the parameters of the operation")]
    async fn list(
        &self,
        Data(service): Data<&Orders>,
        caller: OwnerOr<OrdersRead>,
        /// Only orders of this status.
        status: Query<Option<OrderStatus>>,
        /// Only orders of this user.
        user_id: Query<Option<UserId>>,
        /// Only orders of this company, whoever of its members placed them; for its members.
        company_id: Query<Option<CompanyId>>,
        limit: Query<Limit>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Cursor>>,
    ) -> Result<Listed<Order>, Problem> {
        let mut query = match company_id.0 {
            Some(company) => {
                company::may_see(service, &caller, company).await?;
                orders::table.filter(orders::id.eq_any(company::placed_for(company))).into_boxed()
            }
            None => OrderRow::visible_to(&caller),
        };
        if let Some(status) = status.0 {
            query = query.filter(orders::status.eq(status));
        }
        if let Some(user) = user_id.0 {
            query = query.filter(orders::user_id.eq(user));
        }
        if let Some(cursor) = cursor.0 {
            query = query.filter(orders::id.lt(cursor.after::<OrderId>()?));
        }
        let mut connection = service.database.connection().await?;
        let query = query.order(orders::id.desc()).limit(limit.0.rows());
        let rows = query.select(OrderRow::as_select()).load(&mut connection).await?;
        let listed = Order::all_of(&mut connection, rows).await?;
        Ok(Listed(Page::from_rows(listed, limit.0, Order::id, std::convert::identity)?))
    }

    /// Get an order
    #[oai(path = "/:id", method = "get", operation_id = "get_order")]
    async fn get(
        &self,
        Data(service): Data<&Orders>,
        caller: OwnerOr<OrdersRead>,
        /// Which.
        id: Path<OrderId>,
    ) -> Result<Body<Order>, Problem> {
        company::visible(service, &caller, id.0).await.map(Body)
    }

    /// Get an order's history
    ///
    /// What changed, when, why and by whom, oldest first.
    #[oai(path = "/:id/history", method = "get", operation_id = "get_order_history")]
    async fn history(
        &self,
        Data(service): Data<&Orders>,
        caller: OwnerOr<OrdersRead>,
        /// Which order.
        id: Path<OrderId>,
    ) -> Result<Body<OrderHistory>, Problem> {
        let order = company::visible(service, &caller, id.0).await?;
        let mut connection = service.database.connection().await?;
        Ok(Body(history::read(&mut connection, order.id(), &caller).await?))
    }

    /// Cancel an order
    ///
    /// Possible while nothing was paid for it; afterwards it is a `conflict`, and a refund has to be asked for.
    #[oai(path = "/:id/cancel", method = "post", operation_id = "cancel_order")]
    async fn cancel(
        &self,
        Data(service): Data<&Orders>,
        caller: OwnerOr<OrdersWrite>,
        /// Which.
        id: Path<OrderId>,
        /// With it, a repeated request gets the first answer.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<IdempotencyKey>>,
    ) -> Result<Body<Order>, Problem> {
        cancel::cancel(service, &caller, id.0, key.0).await.map(Body)
    }

    /// Complete an order
    ///
    /// Once everything that the order promised was done: it is then `completed`, and its goods are `fulfilled`.
    /// An order that is not confirmed, or of whose money some went back, is a `conflict`.
    #[oai(path = "/:id/complete", method = "post", operation_id = "complete_order")]
    async fn complete(
        &self,
        Data(service): Data<&Orders>,
        OrdersWrite(identity): OrdersWrite,
        /// Which.
        id: Path<OrderId>,
        /// With it, a repeated request gets the first answer.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<IdempotencyKey>>,
    ) -> Result<Body<Order>, Problem> {
        complete::complete(service, identity.user, id.0, key.0).await.map(Body)
    }
}
