//! Signing in with Google: OpenID Connect, the authorization code flow with PKCE.
//!
//! 1. `GET /v1/auth/google` sends the browser to Google (`start`), and leaves it a secret in a cookie (`browser`).
//! 2. Google sends it back to `GET /v1/auth/google/callback` (`callback`) with a code, which brings an ID token
//!    (`provider`), which says who it is (`account`). The browser goes on to the shop's page `/sign-in`, with a code of ours.
//! 3. The page exchanges that at `POST /v1/auth/exchange` (`exchange`) for tokens, which never stand in a URL.
//!
//! | setting | meaning | when unset |
//! |---|---|---|
//! | `GOOGLE_CLIENT_ID` | the shop's OAuth client at Google | this way to sign in is not offered |
//! | `GOOGLE_CLIENT_SECRET` | its secret | required with the id |
//! | `GOOGLE_ISSUER` | another provider in Google's place; `http://` only on the own machine | `https://accounts.google.com` |
//! | `PUBLIC_URL` | how browsers reach the gateway and the shop; `<PUBLIC_URL>/v1/auth/google/callback` is to be registered with the client | `http://127.0.0.1:8080` |
//!
//! Trap: whoever has a code, Google's or ours, or a `state`, must not get anywhere with it. So each works once, and only with
//! the cookie of the browser that began.

pub(super) mod account;
pub mod api;
pub(super) mod browser;
pub(super) mod callback;
pub(super) mod exchange;
pub(super) mod forget;
pub(super) mod http;
pub(super) mod provider;
pub(super) mod return_to;
pub(super) mod settings;
pub(super) mod start;
pub(super) mod verify;

use std::sync::Arc;

use nats::{
    config::Settings,
    problem::{Code, Problem},
    service::StartError,
};
use openidconnect::url::form_urlencoded::Serializer;

pub(crate) use forget::forget_external_sign_ins;
use provider::Provider;

/// Where the gateway takes back those whom the provider sends.
const CALLBACK: &str = "/v1/auth/google/callback";
/// The shop's page that goes on with them.
const SIGN_IN_PAGE: &str = "/sign-in";

/// Google, if this installation has a client there; cheap to clone.
#[derive(Clone)]
pub(crate) struct Google {
    provider: Option<Arc<Provider>>,
    /// Without a slash at its end.
    public_url: Arc<str>,
}

impl Google {
    /// As the settings say. Nothing is fetched before somebody wants to sign in.
    pub(crate) fn new(settings: &Settings) -> Result<Self, StartError> {
        let public_url = settings::public_url(settings)?;
        let client = settings::client(settings)?;
        let redirect_uri = format!("{public_url}{CALLBACK}");
        let provider = client.map(|client| Provider::new(client, redirect_uri)).transpose()?;
        Ok(Self { provider: provider.map(Arc::new), public_url: public_url.into() })
    }

    /// The provider.
    ///
    /// # Errors
    /// `not_configured` without a client.
    fn provider(&self) -> Result<&Provider, Problem> {
        let detail = "Nobody signs in with Google here. Sign in with e-mail address and password.";
        self.provider.as_deref().ok_or_else(|| Problem::new(Code::NotConfigured, detail))
    }

    /// The shop's page for signing in, with these values where no server gets to see them.
    fn page(&self, values: &[(&str, &str)]) -> String {
        let fragment = Serializer::new(String::new()).extend_pairs(values).finish();
        format!("{}{SIGN_IN_PAGE}#{fragment}", self.public_url)
    }
}

/// Why somebody who wanted to sign in with Google cannot: what the shop's page is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// They said no at Google.
    AccessDenied,
    /// Nothing is known of this browser having begun, or not any more.
    Expired,
    /// The answer belongs to another browser, or to another attempt.
    StateMismatch,
    /// Google cannot be reached, or is too slow.
    ProviderUnavailable,
    /// What Google said is not to be believed.
    ProviderError,
    /// Google does not vouch for an e-mail address.
    EmailNotVerified,
}

impl Refusal {
    const fn as_str(self) -> &'static str {
        match self {
            Self::AccessDenied => "access_denied",
            Self::Expired => "expired",
            Self::StateMismatch => "state_mismatch",
            Self::ProviderUnavailable => "provider_unavailable",
            Self::ProviderError => "provider_error",
            Self::EmailNotVerified => "email_not_verified",
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_the_page_is_told_stands_behind_the_hash_sign() {
        let google = Google::new(&Settings::default().with("PUBLIC_URL", "https://shop.example/")).unwrap();
        let page = google.page(&[("code", "a-b_c"), ("return_to", "/orders?state=open&page=2")]);
        assert_eq!(page, "https://shop.example/sign-in#code=a-b_c&return_to=%2Forders%3Fstate%3Dopen%26page%3D2");
        assert_eq!(google.provider().err().map(|problem| problem.code()), Some(Code::NotConfigured));
    }
}
