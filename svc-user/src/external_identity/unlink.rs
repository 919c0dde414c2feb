//! `DELETE /v1/users/me/external-identities/{id}`: it is signed in with no more, unless it is all there is.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl};
use diesel_async::RunQueryDsl;
use nats::{
    identity::Identity,
    problem::{Code, Problem},
    types::ExternalIdentityId,
};

use super::ExternalIdentity;
use crate::{
    Users,
    schema::{external_identity, user},
    user::Account,
};

/// Deletes the identity, and codes that it has brought but that are not exchanged yet.
pub(crate) async fn unlink_external_identity(
    users: &Users,
    caller: &Identity,
    id: ExternalIdentityId,
) -> Result<(), Problem> {
    if caller.session.is_none() {
        let detail = "An API key does not change how its owner signs in. Sign in to do this.";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    let gone = || Problem::not_found("external identity");
    let mut tx = users.database.begin().await?;
    // Two requests at once must not each leave the other's identity for the last.
    Account::lock(&mut tx, caller.user).await?.ok_or_else(gone)?;
    let hash: Option<Option<String>> =
        user::table.find(caller.user).select(user::password_hash).first(&mut tx).await.optional()?;
    let owned = || ExternalIdentity::owned_by(caller.user);
    if diesel::delete(owned().filter(external_identity::id.eq(id))).execute(&mut tx).await? == 0 {
        return Err(gone());
    }
    let left: i64 = owned().count().get_result(&mut tx).await?;
    if left == 0 && hash.flatten().is_none() {
        let detail = "This is the only way in which you can sign in. Set a password first: ask for the link that is sent \
            to those who forgot theirs.";
        return Err(Problem::new(Code::Conflict, detail));
    }
    tx.commit().await?;
    tracing::info!(user_id = %caller.user, "an external identity is unlinked");
    Ok(())
}
