//! `svc.user.get_address`: one of a person's stored addresses, for the order that goes there.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::user::{GetAddress, Unknown},
    invoke::CallError,
    types::Address,
};

use super::StoredAddress;
use crate::{Users, schema::address};

/// The address, when it is that person's.
pub(crate) async fn get_address(users: Users, question: GetAddress) -> Result<Address, CallError<Unknown>> {
    let mut connection = users.database.connection().await?;
    let found = StoredAddress::owned_by(question.user_id)
        .filter(address::id.eq(question.address_id))
        .select(address::postal_address)
        .first(&mut connection)
        .await
        .optional()?;
    found.ok_or(CallError::Refused(Unknown::Unknown))
}
