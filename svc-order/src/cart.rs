//! Carts: what someone means to order.
//!
//! A cart is a person's, or a guest's who shows its token ([`guest`]). It knows SKUs and quantities alone; what they are
//! called and cost the catalogue says when the cart is shown ([`view`]). Every edit first counts up the cart's version,
//! which also locks its row: edits of one cart happen one after the other, so that none is lost and the limits hold.

pub mod api;
pub mod edit;
pub mod guest;
mod someone;
pub mod view;

use chrono::Utc;
use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper, insert_into, pg::Pg,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    database::Tx,
    identity::Identity,
    problem::{Code, Problem},
    types::{CartId, Quantity, Sku, UserId},
};

use crate::{
    Orders,
    schema::{cart, cart_item},
};
use guest::{CartToken, TokenHash};

/// The header with a guest's token.
const CART_TOKEN: &str = "Cart-Token";
/// The most items a cart has; also what one question to the catalogue may ask for.
pub(crate) const MOST_ITEMS: i64 = 100;

/// Whose cart it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shopper {
    /// Someone who is signed in.
    Person(UserId),
    /// Someone who is not, and shows a token.
    Guest(TokenHash),
}

/// A cart, as it is at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Queryable, Selectable)]
#[diesel(table_name = cart, check_for_backend(Pg))]
pub(crate) struct CartRow {
    pub(crate) id: CartId,
    /// Counts the edits.
    pub(crate) version: i64,
}

impl Shopper {
    /// Who asks. Someone who is signed in and shows a guest's token has the guest's cart put into their own first.
    ///
    /// # Errors
    /// `unauthenticated` without a token of either kind, `not_found` for a guest's that cannot be one of ours.
    pub(crate) async fn of(
        service: &Orders,
        visitor: Option<Identity>,
        token: Option<CartToken>,
    ) -> Result<Self, Problem> {
        match (visitor, token) {
            (Some(identity), None) => Ok(Self::Person(identity.user)),
            (Some(identity), Some(token)) => {
                guest::merge(service, identity.user, &token).await?;
                Ok(Self::Person(identity.user))
            }
            (None, Some(token)) => token.hash().map(Self::Guest).ok_or_else(guest::no_such_cart),
            (None, None) => Err(Self::unknown()),
        }
    }

    /// For whoever shows no token of either kind.
    fn unknown() -> Problem {
        let needs = "This needs an access token, `Authorization: Bearer …`, or the `Cart-Token` of a guest.";
        Problem::new(Code::Unauthenticated, needs)
    }

    /// The cart, if something was ever put into it.
    pub(crate) async fn cart(self, connection: &mut AsyncPgConnection) -> diesel::QueryResult<Option<CartRow>> {
        let carts = cart::table.select(CartRow::as_select()).into_boxed();
        let own = match self {
            Self::Person(user) => carts.filter(cart::user_id.eq(user)),
            Self::Guest(hash) => {
                carts.filter(cart::token_hash.eq(hash.to_vec())).filter(cart::updated_at.gt(guest::oldest()))
            }
        };
        own.first(connection).await.optional()
    }

    /// Counts up the version, locks the cart until the transaction ends, and returns it as it is then.
    ///
    /// # Errors
    /// `not_found` when the guest's cart has expired, or never was.
    pub(crate) async fn begin_edit(self, tx: &mut Tx) -> Result<CartRow, Problem> {
        let edited = (cart::version.eq(cart::version + 1), cart::updated_at.eq(Utc::now()));
        let user = match self {
            Self::Person(user) => user,
            Self::Guest(hash) => {
                let own =
                    cart::table.filter(cart::token_hash.eq(hash.to_vec())).filter(cart::updated_at.gt(guest::oldest()));
                let row = diesel::update(own).set(edited).returning(CartRow::as_returning()).get_result(tx).await;
                return row.optional()?.ok_or_else(guest::no_such_cart);
            }
        };
        let row = insert_into(cart::table)
            .values((cart::id.eq(CartId::new()), cart::user_id.eq(user), cart::version.eq(1)))
            .on_conflict(cart::user_id)
            .do_update()
            .set(edited)
            .returning(CartRow::as_returning())
            .get_result(tx)
            .await?;
        Ok(row)
    }
}

/// Who repeats a request under the same key.
impl std::fmt::Display for Shopper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Person(user) => user.fmt(f),
            Self::Guest(hash) => write!(f, "guest:{hash}"),
        }
    }
}

/// A row of `cart_item`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = cart_item, check_for_backend(Pg))]
pub(crate) struct CartItem {
    pub(crate) sku: Sku,
    pub(crate) quantity: Quantity,
}

impl CartItem {
    /// What is in a cart, in the order in which it was put there.
    pub(crate) async fn of(connection: &mut AsyncPgConnection, cart: CartId) -> diesel::QueryResult<Vec<Self>> {
        cart_item::table
            .filter(cart_item::cart_id.eq(cart))
            .order((cart_item::added_at, cart_item::sku))
            .limit(MOST_ITEMS)
            .select(Self::as_select())
            .load(connection)
            .await
    }
}

/// Locks these carts until the transaction ends, in the order of their ids; how they are now.
pub(crate) async fn lock(tx: &mut Tx, carts: &[CartId]) -> diesel::QueryResult<Vec<CartRow>> {
    if carts.is_empty() {
        return Ok(Vec::new());
    }
    let all = cart::table.filter(cart::id.eq_any(carts)).order(cart::id);
    all.select(CartRow::as_select()).for_update().load(tx).await
}

/// Empties these carts: an edit of each.
pub(crate) async fn empty(tx: &mut Tx, carts: &[CartId]) -> diesel::QueryResult<()> {
    if carts.is_empty() {
        return Ok(());
    }
    diesel::delete(cart_item::table.filter(cart_item::cart_id.eq_any(carts))).execute(tx).await?;
    diesel::update(cart::table.filter(cart::id.eq_any(carts)))
        .set((cart::version.eq(cart::version + 1), cart::updated_at.eq(Utc::now())))
        .execute(tx)
        .await
        .map(drop)
}
