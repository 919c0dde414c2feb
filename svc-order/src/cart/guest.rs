//! Carts of guests: made without an account, put into a person's cart once the guest signs in.
//!
//! Who has the token has the cart: 256 random bits, told once, of which only the SHA-256 is kept. A plain hash is enough
//! here, unlike for passwords: nobody guesses 256 bits. A guest's cart that nobody edits for 30 days expires.
//!
//! The trap: two requests of someone who has just signed in may bring the same token at once. The guest's row is the lock:
//! whoever comes second finds it gone, and has nothing to merge.

use std::{borrow::Cow, fmt};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, insert_into, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    database::{DatabaseError, sql},
    http::Created,
    problem::Problem,
    types::{CartId, Quantity, Secret, UserId, string_schema},
};
use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseFromParameter, ParseResult, Type},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{MOST_ITEMS, Shopper, api::Tag};
use crate::{
    Orders,
    schema::{cart, cart_item},
};

/// After so many days without an edit a guest's cart expires.
const DAYS: i64 = 30;
/// How many expired carts one statement deletes.
const AT_ONCE: i64 = 1000;
/// Bytes of a token before it is base64url.
const LENGTH: usize = 32;

/// What a guest shows in the header `Cart-Token`.
#[derive(Debug, Clone)]
pub struct CartToken(Secret<String>);

/// What is kept of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenHash([u8; 32]);

impl CartToken {
    /// What is kept of this token; `None` when it cannot be one of ours.
    pub(crate) fn hash(&self) -> Option<TokenHash> {
        let mut bytes = [0; LENGTH];
        let length = URL_SAFE_NO_PAD.decode_slice(self.0.expose(), &mut bytes).ok()?;
        (length == LENGTH).then(|| TokenHash(Sha256::digest(bytes).into()))
    }
}

impl TokenHash {
    /// The bytes, as they are kept.
    pub(crate) fn to_vec(self) -> Vec<u8> {
        self.0.to_vec()
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl Type for CartToken {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "CartToken".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        let example = "gq3L0fLkPUkGq1KcQKZ1m2PZ2X0p1tq7S1h0x4bXk9A";
        let schema = string_schema("The token of a guest's cart", example);
        MetaSchemaRef::Inline(Box::new(MetaSchema { min_length: Some(43), max_length: Some(43), ..schema }))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

/// Anything: one that is none of ours is a cart that is not there.
impl ParseFromParameter for CartToken {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        Ok(Self(Secret::new(value.to_owned())))
    }
}

/// A new cart of a guest.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct GuestCart {
    /// Shows whose cart it is, in the header `Cart-Token`. It is told here and never again.
    token: String,
    /// When the cart expires, unless it is edited before.
    expires_at: DateTime<Utc>,
}

/// The endpoint that gives guests their carts.
pub struct GuestCartApi;

#[OpenApi(prefix_path = "/v1/carts", tag = "Tag::Cart")]
impl GuestCartApi {
    /// Get a cart without signing in
    ///
    /// Send the token as `Cart-Token` with the operations of the cart. Sent along with an access token, the guest's cart is
    /// put into that person's: quantities are added, and the guest's cart is gone. A cart that is not edited for 30 days
    /// expires. There is no `Idempotency-Key`, for the token is not kept and cannot be told again: a repeated request gives
    /// another empty cart.
    #[oai(path = "/", method = "post", operation_id = "create_cart")]
    async fn create(&self, Data(service): Data<&Orders>) -> Result<Created<GuestCart>, Problem> {
        let bytes: [u8; LENGTH] = rand::random();
        let token = CartToken(Secret::new(URL_SAFE_NO_PAD.encode(bytes)));
        let now = Utc::now();
        insert_into(cart::table)
            .values((
                cart::id.eq(CartId::new()),
                cart::token_hash.eq(token.hash().map(TokenHash::to_vec)),
                cart::version.eq(0),
                cart::updated_at.eq(now),
            ))
            .execute(&mut service.database.connection().await?)
            .await?;
        let expires_at = now + chrono::Duration::days(DAYS);
        Ok(Created::new("/v1/cart", GuestCart { token: token.0.into_exposed(), expires_at }))
    }
}

/// A guest's cart that was edited before this moment has expired.
pub(super) fn oldest() -> DateTime<Utc> {
    Utc::now() - chrono::Duration::days(DAYS)
}

/// A token that opens nothing.
pub(super) fn no_such_cart() -> Problem {
    Problem::not_found("cart: the `Cart-Token` is wrong, or its cart has expired or was put into a person's")
}

/// Puts the guest's cart into `user`'s, once: quantities are added and capped, SKUs beyond what a cart holds are left out.
/// A token that opens nothing changes nothing.
pub(crate) async fn merge(service: &Orders, user: UserId, token: &CartToken) -> Result<(), Problem> {
    let Some(hash) = token.hash() else { return Ok(()) };
    let mut tx = service.database.begin().await?;
    let guest: Option<CartId> = cart::table
        .filter(cart::token_hash.eq(hash.to_vec()))
        .filter(cart::updated_at.gt(oldest()))
        .select(cart::id)
        .for_update()
        .first(&mut tx)
        .await
        .optional()?;
    let Some(guest) = guest else { return Ok(tx.roll_back().await?) };
    let items: i64 = cart_item::table.filter(cart_item::cart_id.eq(guest)).count().get_result(&mut tx).await?;
    if items > 0 {
        let own = Shopper::Person(user).begin_edit(&mut tx).await?;
        sql("insert into cart_item (cart_id, sku, quantity, added_at)
             select $1, sku, quantity, added_at
             from (select theirs.*, own.sku is null as is_new,
                          count(*) filter (where own.sku is null) over (order by theirs.added_at, theirs.sku) as nth_new
                   from cart_item as theirs left join cart_item as own on own.cart_id = $1 and own.sku = theirs.sku
                   where theirs.cart_id = $2) as theirs
             where not is_new or nth_new + (select count(*) from cart_item where cart_id = $1) <= $3
             on conflict (cart_id, sku) do update set quantity = least(cart_item.quantity + excluded.quantity, $4)")
        .bind::<sql_types::Uuid, _>(own.id)
        .bind::<sql_types::Uuid, _>(guest)
        .bind::<sql_types::BigInt, _>(MOST_ITEMS)
        .bind::<sql_types::Integer, _>(Quantity::MAX)
        .execute(&mut tx)
        .await?;
    }
    diesel::delete(cart::table.find(guest)).execute(&mut tx).await?;
    tx.commit().await?;
    tracing::info!(%user, items, "a guest's cart was merged");
    Ok(())
}

/// Deletes guests' carts that have expired, a bounded number at a time.
///
/// # Errors
/// The database's; what was deleted before stays deleted.
pub(crate) async fn expire(service: Orders) -> Result<(), DatabaseError> {
    loop {
        let deleted = sql("delete from cart where id in (
                 select id from cart where user_id is null and updated_at <= $1
                 order by updated_at limit $2 for update skip locked)")
        .bind::<sql_types::Timestamptz, _>(oldest())
        .bind::<sql_types::BigInt, _>(AT_ONCE)
        .execute(&mut service.database.connection().await?)
        .await?;
        if i64::try_from(deleted).unwrap_or_default() < AT_ONCE {
            return Ok(());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_the_form_of_a_token_is_looked_up() {
        let token = |text: &str| CartToken::parse_from_parameter(text).unwrap();
        let ours = token(&URL_SAFE_NO_PAD.encode([7; LENGTH]));
        assert_eq!(ours.hash().unwrap().to_vec(), Sha256::digest([7; LENGTH]).to_vec());
        for text in ["", "x", "not base64url!", &"A".repeat(42), &"A".repeat(44), &"A".repeat(100_000)] {
            assert!(token(text).hash().is_none(), "{text:.20}");
        }
        assert!(!format!("{ours:?}").contains(ours.0.expose()), "a token is not logged");
    }
}
