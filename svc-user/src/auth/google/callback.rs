//! `GET /v1/auth/google/callback`: the browser is back from Google, and goes on to the shop with a code of ours.
//!
//! Whatever is wrong becomes the shop's page with a word for it: the person is in the middle of signing in, and a document for
//! programs would be the end of it. What exactly was wrong is in our log.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, dsl::now, sql_types};
use diesel_async::RunQueryDsl;
use nats::{problem::Problem, types::ExternalIdentityId};

use super::{Google, Refusal, account, browser::Browser, start::Sent};
use crate::{Users, schema::external_sign_in, token::Token};

/// How long our code is good, in seconds: a redirect and a request.
pub(super) const CODE_LIFETIME_S: u32 = 60;

/// What the provider has the browser say.
pub(super) struct Answer {
    /// Of the attempt.
    pub(super) state: Option<String>,
    /// What brings the ID token.
    pub(super) code: Option<String>,
    /// What went wrong there (RFC 6749, 4.1.2.1).
    pub(super) error: Option<String>,
    /// Who says so (RFC 9207).
    pub(super) iss: Option<String>,
}

/// Finds out who it is, and makes a code with which this browser, and no other, can open a session.
pub(super) async fn callback(users: &Users, browser: Option<Browser>, answer: Answer) -> Result<Sent, Problem> {
    let google = &users.google;
    google.provider()?;
    match signed_in(users, browser, answer).await {
        Ok((browser, code, return_to)) => {
            let location = google.page(&[("code", code.text().expose()), ("return_to", &return_to)]);
            Ok(Sent { location, cookie: browser.cookie() })
        }
        Err(Stopped::Refused(refusal)) => Ok(google.refused(refusal)),
        Err(Stopped::Broken(problem)) => Err(problem),
    }
}

/// Why a browser does not go on.
enum Stopped {
    Refused(Refusal),
    Broken(Problem),
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Problem> for Stopped {
    fn from(problem: Problem) -> Self {
        Self::Broken(problem)
    }
}

async fn signed_in(
    users: &Users,
    browser: Option<Browser>,
    answer: Answer,
) -> Result<(Browser, Token, String), Stopped> {
    let provider = users.google.provider()?;
    let browser = browser.ok_or(Refusal::Expired)?;
    // Nothing is used up by somebody else's link: it has no state of this browser's.
    if !answer.state.is_some_and(|state| browser.has_state(&state)) {
        return Err(Refusal::StateMismatch.into());
    }
    if !provider.is_from(answer.iss.as_deref()).await? {
        tracing::warn!("an answer is of another provider than the one that was asked");
        return Err(Refusal::ProviderError.into());
    }
    let return_to = back(users, &browser).await?.ok_or(Refusal::Expired)?;
    let code = match (answer.code, answer.error.as_deref()) {
        (Some(code), None) => code,
        (_, Some("access_denied")) => return Err(Refusal::AccessDenied.into()),
        (_, error) => {
            // A word of the standard's; whatever else it is, it is not for the log.
            let known = error.filter(|error| error.len() <= 64 && error.bytes().all(|byte| byte.is_ascii_graphic()));
            tracing::warn!(error = known, "the provider gave no code");
            return Err(Refusal::ProviderError.into());
        }
    };
    let person = provider.person(code, &browser).await?;
    let identity = account::of(users, person).await?.ok_or(Refusal::EmailNotVerified)?;
    let code = Token::random();
    remember(users, &code, &browser, identity).await?;
    Ok((browser, code, return_to))
}

/// Uses the attempt up; where it was to lead, unless it is over. One statement decides who comes back.
async fn back(users: &Users, browser: &Browser) -> Result<Option<String>, Problem> {
    let hash = browser.hash();
    let under_way = external_sign_in::table.find(hash.as_slice()).filter(external_sign_in::expires_at.gt(now));
    let back = diesel::delete(under_way)
        .returning(external_sign_in::return_to)
        .get_result(&mut users.database.connection().await?)
        .await;
    Ok(back.optional()?)
}

async fn remember(users: &Users, code: &Token, browser: &Browser, identity: ExternalIdentityId) -> Result<(), Problem> {
    diesel::sql_query(
        "insert into sign_in_code (hash, browser_hash, external_identity_id, expires_at)
         values ($1, $2, $3, now() + $4 * interval '1 second')",
    )
    .bind::<sql_types::Binary, _>(code.hash().as_slice())
    .bind::<sql_types::Binary, _>(browser.hash().as_slice())
    .bind::<sql_types::Uuid, _>(identity)
    .bind::<sql_types::BigInt, _>(i64::from(CODE_LIFETIME_S))
    .execute(&mut users.database.connection().await?)
    .await?;
    Ok(())
}

impl Google {
    /// The shop's page, with the word for what went wrong; the browser may forget its secret.
    pub(super) fn refused(&self, refusal: Refusal) -> Sent {
        tracing::info!(reason = refusal.as_str(), "signing in with Google came to nothing");
        Sent { location: self.page(&[("error", refusal.as_str())]), cookie: super::browser::forget() }
    }
}
