//! `POST /v1/auth/logout`: the caller's session ends.

use nats::{
    identity::Identity,
    problem::{Code, Problem},
};

use crate::{
    Users,
    session::{EndReason, Session},
};

/// Ends the session of the access token that the caller came with. One that has ended, ends again without a murmur.
pub(crate) async fn logout(users: &Users, caller: &Identity) -> Result<(), Problem> {
    let session_id = caller.session.ok_or_else(|| {
        Problem::new(Code::Conflict, "This credential belongs to no session, so there is none to end.")
    })?;
    let mut tx = users.database.begin().await?;
    let session = Session::owned_by(&mut tx, caller.user, session_id).await?;
    if let Some(session) = session {
        Session::end(&mut tx, session.id, EndReason::Logout).await?;
        tx.commit().await?;
    }
    Ok(())
}
