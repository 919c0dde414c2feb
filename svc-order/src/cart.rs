//! Carts: what someone means to order.
//!
//! A cart knows SKUs and quantities alone; what they are called and cost the catalogue says when the cart is shown
//! ([`view`]). Every edit first counts up the cart's version, which also locks its row: edits of one cart happen one after
//! the other, so that none is lost and the limits hold.

pub mod api;
pub mod edit;
pub mod view;

use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper, insert_into, pg::Pg,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    database::Tx,
    types::{Quantity, Sku, UserId},
};

use crate::schema::{cart, cart_item};

/// The most items a cart has; also what one question to the catalogue may ask for.
pub(crate) const MOST_ITEMS: i64 = 100;

/// A row of `cart_item`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = cart_item, check_for_backend(Pg))]
pub(crate) struct CartItem {
    pub(crate) sku: Sku,
    pub(crate) quantity: Quantity,
}

impl CartItem {
    /// What is in `user`'s cart, in the order in which it was put there.
    pub(crate) async fn owned_by(connection: &mut AsyncPgConnection, user: UserId) -> diesel::QueryResult<Vec<Self>> {
        cart_item::table
            .filter(cart_item::user_id.eq(user))
            .order((cart_item::added_at, cart_item::sku))
            .limit(MOST_ITEMS)
            .select(Self::as_select())
            .load(connection)
            .await
    }

    /// The same, held until the transaction ends: a second order from the same cart waits, and finds it empty.
    pub(crate) async fn lock_all(tx: &mut Tx, user: UserId) -> diesel::QueryResult<Vec<Self>> {
        let cart = cart::table.find(user).select(cart::version).for_update();
        cart.first::<i64>(tx).await.optional()?;
        Self::owned_by(tx, user).await
    }

    /// Empties `user`'s cart.
    pub(crate) async fn clear(tx: &mut Tx, user: UserId) -> diesel::QueryResult<()> {
        count_edit(tx, user).await?;
        diesel::delete(cart_item::table.filter(cart_item::user_id.eq(user))).execute(tx).await.map(drop)
    }
}

/// The version of `user`'s cart; 0 when nothing was ever put into it.
pub(crate) async fn version(connection: &mut AsyncPgConnection, user: UserId) -> diesel::QueryResult<i64> {
    let version = cart::table.find(user).select(cart::version).first(connection).await.optional()?;
    Ok(version.unwrap_or_default())
}

/// Counts up the version, locks the cart until the transaction ends, and returns the new version.
pub(crate) async fn count_edit(tx: &mut Tx, user: UserId) -> diesel::QueryResult<i64> {
    insert_into(cart::table)
        .values((cart::user_id.eq(user), cart::version.eq(1)))
        .on_conflict(cart::user_id)
        .do_update()
        .set((cart::version.eq(cart::version + 1), cart::updated_at.eq(diesel::dsl::now)))
        .returning(cart::version)
        .get_result(tx)
        .await
}
