//! Editing a cart: add, set, remove.

use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper, insert_into, query_dsl::methods, upsert::excluded,
};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::catalog::StockLine,
    database::Tx,
    http::Created,
    idempotency::{Claim, IdempotencyKey, claim},
    problem::{Code, Problem},
    types::{CartId, Currency, Quantity, Sku},
};

use super::{
    CartItem, CartRow, MOST_ITEMS, Shopper,
    view::{self, Line},
};
use crate::{Orders, schema::cart_item};

/// The `If-Match` of a request, as it was sent.
pub(crate) type IfMatch = Option<String>;

/// The `ETag` of a version.
pub(crate) fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

/// Puts so many more of a SKU into the cart; the version afterwards, unless the request was done before.
///
/// # Errors
/// `invalid_request` for a SKU that is not for sale in the currency, for the 101st item, or for too many of one.
pub(crate) async fn add(
    service: &Orders,
    shopper: Shopper,
    key: Option<IdempotencyKey>,
    if_match: IfMatch,
    request: StockLine,
    currency: Currency,
) -> Result<(Created<Line>, Option<i64>), Problem> {
    let articles = view::articles(service, vec![request.sku.clone()], currency).await?;
    let Some(article) = articles.into_iter().find(|article| article.sku == request.sku) else {
        return Err(Problem::invalid("/sku", format!("`{}` is not for sale in {currency}", request.sku)));
    };
    let mut tx = service.database.begin().await?;
    let slot = match claim::<_, Line>(&mut tx, &shopper, "add_cart_item", key, &(&request, currency)).await? {
        Claim::New(slot) => slot,
        Claim::Replay { location, body } => return Ok((Created { location, body, replayed: true }, None)),
    };
    let CartRow { id, version } = begin_edit(&mut tx, shopper, if_match).await?;
    let item = put(&mut tx, id, &request).await?;
    let line = Line::known(item, &article)?;
    let location = format!("/v1/cart/items/{}", request.sku);
    slot.store(&mut tx, 201, &location, &line).await?;
    tx.commit().await?;
    Ok((Created::new(location, line), Some(version)))
}

/// One statement that adds to what is there, and what then is there.
async fn put(tx: &mut Tx, cart: CartId, request: &StockLine) -> Result<CartItem, Problem> {
    let row = (cart_item::cart_id.eq(cart), cart_item::sku.eq(&request.sku), cart_item::quantity.eq(request.quantity));
    let upsert = insert_into(cart_item::table)
        .values(row)
        .on_conflict((cart_item::cart_id, cart_item::sku))
        .do_update()
        .set(cart_item::quantity.eq(cart_item::quantity + excluded(cart_item::quantity)));
    let fits = (cart_item::quantity + excluded(cart_item::quantity)).le(Quantity::MAX);
    let item: Option<CartItem> =
        methods::FilterDsl::filter(upsert, fits).returning(CartItem::as_returning()).get_result(tx).await.optional()?;
    let too_many = || Problem::invalid("/quantity", format!("a cart holds at most {} of one SKU", Quantity::MAX));
    let item = item.ok_or_else(too_many)?;
    let items: i64 = cart_item::table.filter(cart_item::cart_id.eq(cart)).count().get_result(tx).await?;
    if items > MOST_ITEMS {
        return Err(Problem::invalid("/sku", format!("a cart holds at most {MOST_ITEMS} different SKUs")));
    }
    Ok(item)
}

/// Sets how many of a SKU are in the cart; the item and the version afterwards.
///
/// # Errors
/// `not_found` when it is not in the cart.
pub(crate) async fn set(
    service: &Orders,
    shopper: Shopper,
    if_match: IfMatch,
    sku: &Sku,
    quantity: Quantity,
) -> Result<(CartItem, i64), Problem> {
    let mut tx = service.database.begin().await?;
    let CartRow { id, version } = begin_edit(&mut tx, shopper, if_match).await?;
    let item: Option<CartItem> = diesel::update(cart_item::table.find((id, sku)))
        .set(cart_item::quantity.eq(quantity))
        .returning(CartItem::as_returning())
        .get_result(&mut tx)
        .await
        .optional()?;
    let item = item.ok_or_else(|| Problem::not_found("item in the cart"))?;
    tx.commit().await?;
    Ok((item, version))
}

/// Takes a SKU out of the cart; the version afterwards.
///
/// # Errors
/// `not_found` when it is not in the cart.
pub(crate) async fn remove(service: &Orders, shopper: Shopper, if_match: IfMatch, sku: &Sku) -> Result<i64, Problem> {
    let mut tx = service.database.begin().await?;
    let CartRow { id, version } = begin_edit(&mut tx, shopper, if_match).await?;
    if diesel::delete(cart_item::table.find((id, sku))).execute(&mut tx).await? == 0 {
        return Err(Problem::not_found("item in the cart"));
    }
    tx.commit().await?;
    Ok(version)
}

/// Locks the cart and checks that it is still the one the caller knows.
async fn begin_edit(tx: &mut Tx, shopper: Shopper, if_match: IfMatch) -> Result<CartRow, Problem> {
    let cart = shopper.begin_edit(tx).await?;
    let before = etag(cart.version.saturating_sub(1));
    let matches = |known: &str| known.split(',').map(str::trim).any(|tag| tag == "*" || tag == before);
    if if_match.as_deref().is_some_and(|known| !matches(known)) {
        let changed = "The cart changed since you read it; read it again and repeat the change.";
        return Err(Problem::new(Code::PreconditionFailed, changed));
    }
    Ok(cart)
}
