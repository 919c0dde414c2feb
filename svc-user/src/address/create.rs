//! `POST /v1/users/me/addresses`: one more address, up to [`MOST`].

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper, insert_into};
use diesel_async::RunQueryDsl;
use nats::{
    http::Created,
    idempotency::{Claim, IdempotencyKey, claim},
    problem::{Code, Problem},
    types::{Address, AddressId, UserId, postal},
};

use super::StoredAddress;
use crate::{
    Users,
    schema::{address, user},
};

/// How many addresses a person may keep.
pub(crate) const MOST: i64 = 50;

/// Stores the address, once per key.
pub(crate) async fn create_address(
    users: &Users,
    owner: UserId,
    key: Option<IdempotencyKey>,
    new: Address,
) -> Result<Created<StoredAddress>, Problem> {
    postal::check(&new, "")?;
    let mut tx = users.database.begin().await?;
    let slot = match claim(&mut tx, &owner, "create_address", key, &new).await? {
        Claim::New(slot) => slot,
        Claim::Replay { location, body } => return Ok(Created { location, body, replayed: true }),
    };
    // The owner's row is locked, else two requests at once would both see room for one more.
    let known: Option<UserId> =
        user::table.find(owner).select(user::id).for_update().first(&mut *tx).await.optional()?;
    known.ok_or_else(|| Problem::not_found("user"))?;
    let kept: i64 = StoredAddress::owned_by(owner).count().get_result(&mut *tx).await?;
    if kept >= MOST {
        return Err(Problem::new(Code::Conflict, format!("You keep {MOST} addresses already; delete one first.")));
    }
    let stored: StoredAddress = insert_into(address::table)
        .values((address::id.eq(AddressId::new()), address::user_id.eq(owner), address::postal_address.eq(new)))
        .returning(StoredAddress::as_returning())
        .get_result(&mut *tx)
        .await?;
    let location = format!("/v1/users/me/addresses/{}", stored.id);
    slot.store(&mut tx, 201, &location, &stored).await?;
    tx.commit().await?;
    Ok(Created::new(location, stored))
}
