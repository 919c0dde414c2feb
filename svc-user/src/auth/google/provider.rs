//! The provider: its metadata and keys, the URL that people are sent to, the exchange of their codes.
//!
//! Metadata and keys are fetched when they are first needed, by one request at a time for all who wait, and kept for an hour.
//! When the provider cannot be reached then, the old ones do for a day: signatures can still be verified. A key that nobody
//! knows has them fetched again, every half a minute at most.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use nats::service::StartError;
use openidconnect::{
    AdditionalProviderMetadata, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, IssuerUrl,
    PkceCodeChallenge, ProviderMetadata, RedirectUrl, RequestTokenError, Scope, SignatureVerificationError,
    TokenResponse,
    core::{
        CoreAuthDisplay, CoreAuthenticationFlow, CoreClaimName, CoreClaimType, CoreClient, CoreClientAuthMethod,
        CoreErrorResponseType, CoreGrantType, CoreIdToken, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm,
        CoreJweKeyManagementAlgorithm, CoreResponseMode, CoreResponseType, CoreSubjectIdentifierType,
    },
    url::Url,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::{
    Refusal,
    browser::Browser,
    http::{Http, HttpError, with_causes},
    settings::{Client, is_loopback},
    verify::{Person, verify},
};

/// How long metadata and keys are good.
const GOOD_FOR: Duration = Duration::from_secs(3600);
/// How long they do when there are no newer ones to be had.
const USABLE_FOR: Duration = Duration::from_secs(24 * 3600);
/// How long they are kept although a key is missing: whoever sends unknown keys must not make us ask all the time.
const KEPT_FOR: Duration = Duration::from_secs(30);
/// How long the provider is left alone after it did not answer.
const PAUSE: Duration = Duration::from_secs(5);

/// What is read of the metadata besides what the library reads.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Further {
    /// Whether the provider names itself when it sends people back (RFC 9207).
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for Further {}

type Metadata = ProviderMetadata<
    Further,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// What is known of the provider.
#[derive(Default)]
struct Fetched {
    metadata: Option<(Arc<Metadata>, Instant)>,
    failed_at: Option<Instant>,
}

/// An OpenID provider, of which this installation is a client.
pub(super) struct Provider {
    issuer: IssuerUrl,
    local: bool,
    id: ClientId,
    secret: ClientSecret,
    redirect_uri: RedirectUrl,
    http: Http,
    fetched: Mutex<Fetched>,
}

impl Provider {
    /// Nothing is asked yet.
    pub(super) fn new(client: Client, redirect_uri: String) -> Result<Self, StartError> {
        let broken = |error: &dyn std::fmt::Display| StartError::Other(format!("signing in with Google: {error}"));
        Ok(Self {
            issuer: IssuerUrl::new(client.issuer).map_err(|error| broken(&error))?,
            local: client.local,
            id: ClientId::new(client.id),
            secret: ClientSecret::new(client.secret.into_exposed()),
            redirect_uri: RedirectUrl::new(redirect_uri).map_err(|error| broken(&error))?,
            http: Http::new(client.local).map_err(|error| broken(&error))?,
            fetched: Mutex::default(),
        })
    }

    /// Where the browser is to be sent, so that it comes back with a code.
    pub(super) async fn authorization_url(&self, browser: &Browser) -> Result<Url, Refusal> {
        let metadata = self.metadata(GOOD_FOR).await?;
        let client =
            CoreClient::from_provider_metadata(Metadata::clone(&metadata), self.id.clone(), Some(self.secret.clone()));
        let client = client.set_redirect_uri(self.redirect_uri.clone());
        let (state, nonce) = (browser.state(), browser.nonce());
        let (url, _state, _nonce) = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, move || state, move || nonce)
            .add_scopes(["email", "profile"].map(|scope| Scope::new(scope.to_owned())))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&browser.verifier()))
            .url();
        // An authorization endpoint over plain HTTP would let the code be overheard on its way back.
        if url.scheme() == "https" || (self.local && is_loopback(&url)) {
            return Ok(url);
        }
        tracing::warn!(host = url.host_str(), "the provider's authorization endpoint is not reached by HTTPS");
        Err(Refusal::ProviderError)
    }

    /// Whether an answer is this provider's, as it says itself (RFC 9207): another one, that a person has also been to, could
    /// send us its code otherwise.
    pub(super) async fn is_from(&self, issuer: Option<&str>) -> Result<bool, Refusal> {
        if let Some(issuer) = issuer {
            return Ok(issuer == self.issuer.as_str());
        }
        let metadata = self.metadata(GOOD_FOR).await?;
        Ok(!metadata.additional_metadata().authorization_response_iss_parameter_supported)
    }

    /// Who it is that came back with this code.
    pub(super) async fn person(&self, code: String, browser: &Browser) -> Result<Person, Refusal> {
        let metadata = self.metadata(GOOD_FOR).await?;
        let id_token = self.exchange(&metadata, code, browser).await?;
        let (client, nonce) = (self.id.clone(), browser.nonce());
        let by = |metadata: &Metadata| verify(&id_token, (metadata.issuer(), metadata.jwks()), &client, &nonce);
        let verified = match by(&metadata) {
            Err(ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey)) => {
                by(&*self.metadata(KEPT_FOR).await?)
            }
            verified => verified,
        };
        verified.map_err(|error| {
            tracing::warn!(reason = with_causes(&error), "an ID token is not to be believed");
            Refusal::ProviderError
        })
    }

    async fn exchange(&self, metadata: &Metadata, code: String, browser: &Browser) -> Result<CoreIdToken, Refusal> {
        let client = CoreClient::from_provider_metadata(metadata.clone(), self.id.clone(), Some(self.secret.clone()));
        let client = client.set_redirect_uri(self.redirect_uri.clone());
        let request = client.exchange_code(AuthorizationCode::new(code)).map_err(|error| {
            tracing::warn!(%error, "the provider has no token endpoint");
            Refusal::ProviderError
        })?;
        let answer = request.set_pkce_verifier(browser.verifier()).request_async(&self.http).await;
        let answer = answer.map_err(|error| refused(&error))?;
        answer.id_token().cloned().ok_or_else(|| {
            tracing::warn!("the provider gave no ID token");
            Refusal::ProviderError
        })
    }

    /// Metadata that are not older than that, if they can be had.
    async fn metadata(&self, age: Duration) -> Result<Arc<Metadata>, Refusal> {
        // Whoever comes meanwhile waits here, and finds what was fetched.
        let mut fetched = self.fetched.lock().await;
        let younger = |limit: Duration, fetched: &Fetched| {
            let metadata = fetched.metadata.as_ref().filter(|(_, at)| at.elapsed() < limit);
            metadata.map(|(metadata, _)| Arc::clone(metadata))
        };
        if let Some(metadata) = younger(age, &fetched) {
            return Ok(metadata);
        }
        if fetched.failed_at.is_none_or(|at| at.elapsed() >= PAUSE) {
            match Metadata::discover_async(self.issuer.clone(), &self.http).await {
                Ok(metadata) => {
                    let metadata = Arc::new(metadata);
                    *fetched = Fetched { metadata: Some((Arc::clone(&metadata), Instant::now())), failed_at: None };
                    return Ok(metadata);
                }
                Err(error) => {
                    tracing::warn!(reason = with_causes(&error), "the provider's metadata or keys cannot be had");
                    fetched.failed_at = Some(Instant::now());
                }
            }
        }
        younger(USABLE_FOR, &fetched).ok_or(Refusal::ProviderUnavailable)
    }
}

type TokenError = RequestTokenError<HttpError, openidconnect::StandardErrorResponse<CoreErrorResponseType>>;

/// What was wrong is logged; of what the provider said only the code, it could be anything.
fn refused(error: &TokenError) -> Refusal {
    let (reason, refusal) = match error {
        RequestTokenError::Request(error @ HttpError::TooLong) => (error.to_string(), Refusal::ProviderError),
        RequestTokenError::Request(error) => (error.to_string(), Refusal::ProviderUnavailable),
        RequestTokenError::ServerResponse(answer) => (answer.error().to_string(), Refusal::ProviderError),
        RequestTokenError::Parse(..) => ("the answer cannot be read".to_owned(), Refusal::ProviderError),
        RequestTokenError::Other(what) => (what.clone(), Refusal::ProviderError),
    };
    tracing::warn!(reason, "the provider took no code");
    refusal
}
