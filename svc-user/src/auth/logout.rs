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
    let mut connection = users.database.connection().await?;
    let session = Session::owned_by(&mut connection, caller.user, session_id).await?;
    if let Some(session) = session {
        Session::end(&mut connection, session.id, EndReason::Logout).await?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use diesel::QueryDsl;
    use diesel_async::RunQueryDsl;
    use nats::{
        identity::Role,
        service::Service,
        types::{SessionId, UserId},
    };
    use serde_json::json;
    use stack::Bed;

    use super::*;
    use crate::{
        MIGRATIONS,
        auth::{refresh::refresh, register::register},
        schema::session,
    };

    /// Here, beside the code: a client of the bed cannot come with a session that was opened.
    #[tokio::test(flavor = "multi_thread")]
    async fn signing_out_ends_ones_own_session_and_its_refresh_token() {
        let bed = Bed::start().await;
        let (sender, started) = tokio::sync::oneshot::channel();
        let start = |runtime| async move {
            let users = Users::start(runtime).await?;
            sender.send(users.clone()).map_err(|_| "nobody waits").expect("the test waits");
            Ok(users)
        };
        let _running = bed.run(Service::new("user", "", MIGRATIONS, start)).await;
        let users = started.await.expect("started");

        let body = json!({"email": "ada@example.com", "password": "12345678", "name": "Ada"});
        let answer = register(&users, serde_json::from_value(body).unwrap()).await.expect("registered");
        let answer = serde_json::to_value(answer).unwrap();
        let token = |answer: &serde_json::Value| {
            serde_json::from_value(json!({"refresh_token": answer["refresh_token"]})).unwrap()
        };
        let (id, user): (SessionId, UserId) = session::table
            .select((session::id, session::user_id))
            .first(&mut users.database.connection().await.unwrap())
            .await
            .unwrap();
        let of = |user, session| Identity { user, session, roles: vec![Role::Customer] };

        logout(&users, &of(UserId::new(), Some(id))).await.expect("somebody else's session");
        let answer = serde_json::to_value(refresh(&users, token(&answer)).await.expect("goes on")).unwrap();
        assert_eq!(logout(&users, &of(user, None)).await.unwrap_err().code(), Code::Conflict, "an API key has none");

        logout(&users, &of(user, Some(id))).await.expect("signed out");
        logout(&users, &of(user, Some(id))).await.expect("and again");
        let refused = refresh(&users, token(&answer)).await.err().expect("the token went with the session");
        assert_eq!(refused.code(), Code::Unauthenticated);
    }
}
