//! `GET /v1/auth/google`: the browser goes to Google.

use diesel::sql_types;
use diesel_async::RunQueryDsl;
use nats::problem::Problem;

use super::{browser::Browser, return_to::ReturnTo};
use crate::Users;

/// How long one may be away at the provider, in seconds.
pub(super) const LIFETIME_S: u32 = 600;

/// Where a browser goes next, and what becomes of its cookie.
pub(super) struct Sent {
    pub(super) location: String,
    pub(super) cookie: String,
}

/// Makes a secret for the browser, and writes down that it is on its way.
pub(super) async fn start(users: &Users, return_to: ReturnTo) -> Result<Sent, Problem> {
    let google = &users.google;
    let provider = google.provider()?;
    let browser = Browser::new();
    let location = match provider.authorization_url(&browser).await {
        Ok(url) => url.to_string(),
        Err(refusal) => return Ok(google.refused(refusal)),
    };
    diesel::sql_query(
        "insert into external_sign_in (browser_hash, return_to, expires_at)
         values ($1, $2, now() + $3 * interval '1 second')",
    )
    .bind::<sql_types::Binary, _>(browser.hash().as_slice())
    .bind::<sql_types::Text, _>(return_to.as_str())
    .bind::<sql_types::BigInt, _>(i64::from(LIFETIME_S))
    .execute(&mut users.database.connection().await?)
    .await?;
    Ok(Sent { location, cookie: browser.cookie() })
}
