//! `POST /v1/auth/refresh`: a refresh token is exchanged for the next token answer, once (RFC 9700, 4.14).
//!
//! A token that comes a second time ends its session: either the holder or a thief had it first, and there is no telling
//! which. The exception is the token that was exchanged last, for ten seconds and as long as nobody has used what it brought:
//! clients repeat requests whose answers were lost, and send one token twice at once. It brings the same refresh token again.

use nats::{
    problem::{Code, Problem},
    types::Secret,
};
use poem_openapi::Object;
use serde::Deserialize;

use super::TokenAnswer;
use crate::{
    Users,
    session::{
        EndReason, Session,
        refresh_token::{self, Exchanged},
    },
    token::Token,
    user::Account,
};

// Not `Debug`: it holds a token.
/// With what to go on.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub(crate) struct Refresh {
    /// The one of the last token answer.
    // By a function, so that a missing one is said to be missing: the derived way hides that along with the value.
    #[serde(deserialize_with = "Secret::deserialize")]
    refresh_token: Secret<String>,
}

/// Consumes the token and issues its successor; what the person may do is read anew.
pub(crate) async fn refresh(users: &Users, refresh: Refresh) -> Result<TokenAnswer, Problem> {
    let token = Token::parse(&refresh.refresh_token).ok_or_else(rejected)?;
    let mut tx = users.database.begin().await?;
    let (session_id, successor, again) = match refresh_token::exchange(&mut tx, &token).await? {
        Exchanged::For { session_id, successor, again } => (session_id, successor, again),
        Exchanged::Reused(session_id) => {
            let ended = Session::end(&mut tx, session_id, EndReason::Reuse).await?;
            tx.commit().await?;
            if ended {
                tracing::warn!(%session_id, "a refresh token came a second time; its session is ended");
            }
            return Err(rejected());
        }
        Exchanged::Nothing => return Err(rejected()),
    };
    // Whoever ends the session at this moment waits for us, or we for them.
    let session = Session::touch(&mut tx, session_id).await?.ok_or_else(rejected)?;
    let account = Account::find(&mut tx, session.user_id).await?.ok_or_else(rejected)?;
    if !again {
        refresh_token::store(&mut tx, &session, &successor).await?;
    }
    let answer = TokenAnswer::of(users, &mut tx, account, &session, successor.text()).await?;
    tx.commit().await?;
    Ok(answer)
}

/// One answer for unknown, expired, consumed and ended: it is not said which.
fn rejected() -> Problem {
    Problem::new(Code::Unauthenticated, "This refresh token is not valid, or not any more. Sign in again.")
}
