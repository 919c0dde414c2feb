//! `svc.user.get_user_details`: a person's name and address, for whoever writes to them.

use nats::{
    contracts::user::{GetUserDetails, Unknown, UserDetails},
    invoke::CallError,
};

use super::Account;
use crate::{Users, preference};

/// What other services may know.
pub(crate) async fn get_user_details(
    users: Users,
    question: GetUserDetails,
) -> Result<UserDetails, CallError<Unknown>> {
    let mut connection = users.database.connection().await?;
    let account =
        Account::find(&mut connection, question.user_id).await?.ok_or(CallError::Refused(Unknown::Unknown))?;
    let preferences = preference::of(&mut connection, question.user_id).await?;
    Ok(UserDetails {
        user_id: account.id,
        email: account.email,
        name: account.name.into_string(),
        locale: account.locale,
        preferences,
    })
}
