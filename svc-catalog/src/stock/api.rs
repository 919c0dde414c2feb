//! Levels and the ledger, over HTTP.

use chrono::{DateTime, Utc};
use nats::{
    http::{Body, Created, Listed},
    idempotency::IdempotencyKey,
    identity::{Permission, StockRead, StockWrite, Visitor},
    problem::Problem,
    types::{Cursor, Limit, OrderId, Page, Sku, UserId},
};
use poem::web::Data;
use poem_openapi::{
    Object, OpenApi, Tags,
    param::{Header, Path, Query},
};
use serde::{Deserialize, Serialize};

use super::{
    Stock,
    ledger::{Kind, Movement},
    record_movement::{RecordMovement, record_movement},
    set::{SetStock, set_stock},
};
use crate::Catalog;

#[derive(Tags)]
enum Tag {
    /// How much there is.
    Stock,
}

/// How much there is of a SKU.
#[derive(Debug, Serialize, Deserialize, Object)]
pub(crate) struct StockLevel {
    /// Which.
    sku: Sku,
    /// Pieces that lie there, those reserved included.
    on_hand: i32,
    /// Pieces that are promised to orders.
    reserved: i32,
    /// Pieces that can be ordered: `on_hand - reserved`.
    available: i32,
    /// Below this it is time to buy; told to those who may read or set it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    reorder_point: Option<i32>,
}

impl StockLevel {
    fn of(stock: Stock, for_shop: bool) -> Self {
        Self {
            available: stock.available(),
            sku: stock.sku,
            on_hand: stock.on_hand,
            reserved: stock.reserved,
            reorder_point: for_shop.then_some(stock.reorder_point),
        }
    }
}

/// An entry of the stock ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub(crate) struct StockMovement {
    /// Ascends with time.
    id: i64,
    /// Which.
    sku: Sku,
    /// What moved it.
    kind: Kind,
    /// Pieces; only an adjustment may be negative.
    quantity: i32,
    /// The order that moved it; null when someone did.
    #[oai(nullable)]
    order_id: Option<OrderId>,
    /// Why.
    #[oai(nullable)]
    reason: Option<String>,
    /// Who recorded it; null when an order moved it.
    #[oai(nullable)]
    actor: Option<UserId>,
    /// When.
    created_at: DateTime<Utc>,
}

impl From<Movement> for StockMovement {
    fn from(row: Movement) -> Self {
        let Movement { id, sku, kind, quantity, order_id, reason, actor, created_at } = row;
        Self { id, sku, kind, quantity, order_id, reason, actor, created_at }
    }
}

/// The endpoints of stock.
pub(crate) struct StockApi;

#[OpenApi(prefix_path = "/v1/stock", tag = "Tag::Stock")]
impl StockApi {
    /// Get the stock level of a SKU
    ///
    /// Anyone may ask. `available` is what can be ordered at this moment; only a reservation promises it. The reorder point
    /// is told to whoever holds `stock:read`.
    #[oai(path = "/:sku", method = "get", operation_id = "get_stock")]
    async fn get(
        &self,
        Data(catalog): Data<&Catalog>,
        Visitor(visitor): Visitor,
        /// Which SKU.
        sku: Path<Sku>,
    ) -> Result<Body<StockLevel>, Problem> {
        let mut connection = catalog.database.connection().await?;
        let stock = Stock::find(&mut connection, &sku.0).await?.ok_or_else(|| Problem::not_found("SKU"))?;
        let for_shop = visitor.is_some_and(|identity| identity.holds(Permission::StockRead));
        Ok(Body(StockLevel::of(stock, for_shop)))
    }

    /// Set the stock level of a SKU
    ///
    /// For what someone counted. The difference goes into the ledger as an adjustment. A level below what is reserved for
    /// orders is a `conflict`.
    #[oai(path = "/:sku", method = "put", operation_id = "set_stock")]
    async fn set(
        &self,
        Data(catalog): Data<&Catalog>,
        StockWrite(identity): StockWrite,
        /// Which SKU.
        sku: Path<Sku>,
        request: Body<SetStock>,
    ) -> Result<Body<StockLevel>, Problem> {
        let stock = set_stock(catalog, identity.user, &sku.0, &request.0).await?;
        Ok(Body(StockLevel::of(stock, true)))
    }

    /// Record a stock movement
    ///
    /// Goods that came in (`receipt`) or a difference that someone found (`adjustment`). Needs an `Idempotency-Key`: a
    /// repeat with the same key moves nothing and gives the first answer again.
    #[oai(path = "/:sku/movements", method = "post", operation_id = "record_movement")]
    async fn record(
        &self,
        Data(catalog): Data<&Catalog>,
        StockWrite(identity): StockWrite,
        /// Which SKU.
        sku: Path<Sku>,
        /// Required: a fresh key per movement.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<IdempotencyKey>>,
        request: Body<RecordMovement>,
    ) -> Result<Created<StockMovement>, Problem> {
        record_movement(catalog, identity.user, key.0, &sku.0, &request.0).await
    }

    /// List the stock movements of a SKU
    ///
    /// The ledger, newest first. `on_hand` is receipts, adjustments and returns less sales; `reserved` is reservations less
    /// releases and sales.
    #[oai(path = "/:sku/movements", method = "get", operation_id = "list_movements")]
    async fn movements(
        &self,
        Data(catalog): Data<&Catalog>,
        StockRead(_caller): StockRead,
        /// Which SKU.
        sku: Path<Sku>,
        /// How many entries the page has.
        limit: Query<Limit>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Cursor>>,
    ) -> Result<Listed<StockMovement>, Problem> {
        let before = cursor.0.map(|cursor| cursor.after()).transpose()?;
        let mut connection = catalog.database.connection().await?;
        Stock::find(&mut connection, &sku.0).await?.ok_or_else(|| Problem::not_found("SKU"))?;
        let rows = Movement::of(&mut connection, &sku.0, before, limit.0).await?;
        Ok(Listed(Page::from_rows(rows, limit.0, |row| row.id, StockMovement::from)?))
    }
}
