//! The client of the sandbox provider: one request, one deadline, one reading of the answer.
//!
//! | the answer | what it is taken for |
//! |---|---|
//! | 200 | definitive: the payment as it is now |
//! | 404 to a question | definitive: the provider knows nothing of it |
//! | anything else, none in time, or one that cannot be read | unknown |
//!
//! Nothing is repeated here: the workers are the retry layer, and they look up before they ask again.

use std::{error::Error, sync::Arc, time::Duration};

use nats::{
    config::Settings,
    resilience::{Guard, Policy, Verdict},
    service::StartError,
    telemetry::{REQUEST_ID, TRACEPARENT, Trace},
    types::Money,
};
use reqwest::{
    Client, RequestBuilder, StatusCode, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
    redirect,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use super::{ProviderPayment, Statement, Unknown};

/// How long the provider has for its answer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(2);
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// A longer answer is none.
const LARGEST_ANSWER: usize = 4 << 20;

/// Speaks with the sandbox provider; cheap to clone.
#[derive(Clone)]
pub(crate) struct SandboxClient {
    http: Client,
    base: Arc<str>,
    guard: Arc<Guard>,
}

impl SandboxClient {
    /// A client as the settings say.
    ///
    /// # Errors
    /// When one is missing, or is not what it should be.
    pub(crate) fn new(settings: &Settings) -> Result<Self, StartError> {
        let other = |name: &str, error: &dyn std::fmt::Display| StartError::Other(format!("setting {name}: {error}"));
        let base = settings.require("PROVIDER_URL")?;
        Url::parse(&base).map_err(|error| other("PROVIDER_URL", &format!("`{base}` is no URL: {error}")))?;
        let mut headers = HeaderMap::new();
        if let Some(key) = settings.get("PROVIDER_KEY")? {
            let value = HeaderValue::from_str(&format!("Bearer {key}"));
            let mut value = value.map_err(|_| other("PROVIDER_KEY", &"it has other than visible ASCII characters"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let http = Client::builder()
            .default_headers(headers)
            .timeout(DEADLINE)
            .connect_timeout(CONNECT_WITHIN)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| StartError::Other(format!("no HTTP client can be made: {error}")))?;
        let guard = Arc::new(Guard::new(Policy::PROVIDER.with(settings)?, "the payment provider"));
        Ok(Self { http, base: base.trim_end_matches('/').into(), guard })
    }

    /// See [`super::Provider::authorize`].
    pub(super) async fn authorize(&self, key: &str, amount: Money, method: &str) -> Result<ProviderPayment, Unknown> {
        self.post(key, "/v1/payments", &json!({ "amount": amount, "method": method })).await
    }

    /// See [`super::Provider::capture`].
    pub(super) async fn capture(&self, key: &str, reference: &str, amount: Money) -> Result<ProviderPayment, Unknown> {
        self.post(key, &format!("/v1/payments/{reference}/capture"), &json!({ "amount": amount })).await
    }

    /// See [`super::Provider::void`].
    pub(super) async fn void(&self, key: &str, authorization: &str, amount: Money) -> Result<ProviderPayment, Unknown> {
        self.post(key, "/v1/voids", &json!({ "authorization": authorization, "amount": amount })).await
    }

    /// See [`super::Provider::refund`].
    pub(super) async fn refund(&self, key: &str, reference: &str, amount: Money) -> Result<ProviderPayment, Unknown> {
        self.post(key, &format!("/v1/payments/{reference}/refunds"), &json!({ "amount": amount })).await
    }

    /// See [`super::Provider::find`].
    pub(super) async fn find(&self, authorization: &str) -> Result<Option<ProviderPayment>, Unknown> {
        self.get("/v1/payments", &[("authorization", authorization)]).await
    }

    /// See [`super::Provider::payment`].
    pub(super) async fn payment(&self, reference: &str) -> Result<Option<ProviderPayment>, Unknown> {
        self.get(&format!("/v1/payments/{reference}"), &[]).await
    }

    /// See [`super::Provider::statement`].
    pub(super) async fn statement(&self, after: i64, limit: usize) -> Result<Statement, Unknown> {
        let query = [("after", after.to_string()), ("limit", limit.to_string())];
        let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let statement = self.get("/v1/operations", &query).await?;
        statement.ok_or_else(|| Unknown("the provider has no statement".to_owned()))
    }

    async fn post(&self, key: &str, path: &str, body: &impl Serialize) -> Result<ProviderPayment, Unknown> {
        let request = self.http.post(format!("{}{path}", self.base)).header("Idempotency-Key", key).json(body);
        match self.answer(request).await? {
            (StatusCode::OK, body) => read(&body),
            (status, body) => Err(told(status, &body)),
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<Option<T>, Unknown> {
        match self.answer(self.http.get(format!("{}{path}", self.base)).query(query)).await? {
            (StatusCode::OK, body) => read(&body).map(Some),
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (status, body) => Err(told(status, &body)),
        }
    }

    /// Status and body, by the policy `provider`.
    async fn answer(&self, request: RequestBuilder) -> Result<Answer, Unknown> {
        let attempt = |time| {
            let request = request.try_clone().map(|request| request.timeout(time));
            async move {
                let request = request.ok_or_else(|| Unknown("the request cannot be sent twice".to_owned()))?;
                answer(request).await
            }
        };
        let answered = self.guard.run(self.guard.policy().deadline, judge, attempt).await;
        answered.unwrap_or_else(|shut| Err(Unknown(format!("the provider is left alone for a moment ({shut:?})"))))
    }
}

type Answer = (StatusCode, Vec<u8>);

/// What an answer says about the provider. Nothing is repeated here: the work queues look up first.
fn judge(answered: &Result<Answer, Unknown>) -> Verdict {
    match answered {
        Ok((status, _)) if !status.is_server_error() => Verdict::Fine,
        Ok(_) | Err(_) => Verdict::Failed { again: false },
    }
}

/// Status and body, the whole of it within the deadline.
async fn answer(request: RequestBuilder) -> Result<Answer, Unknown> {
    let trace = Trace::current();
    let request = request.header(TRACEPARENT, trace.traceparent()).header(REQUEST_ID, trace.request_id());
    let mut response = request.send().await.map_err(|error| broken(&error))?;
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|error| broken(&error))? {
        if body.len() + part.len() > LARGEST_ANSWER {
            return Err(Unknown(format!("the provider's answer has over {LARGEST_ANSWER} bytes")));
        }
        body.extend_from_slice(&part);
    }
    Ok((response.status(), body))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Unknown> {
    serde_json::from_slice(body).map_err(|error| Unknown(format!("the provider's answer cannot be read: {error}")))
}

fn told(status: StatusCode, body: &[u8]) -> Unknown {
    let words: String = String::from_utf8_lossy(body).chars().take(200).collect();
    Unknown(format!("the provider answered {status}: {words}"))
}

/// The error with its causes: the outermost one says only that a request failed.
fn broken(error: &reqwest::Error) -> Unknown {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        words = format!("{words}: {inner}");
        cause = inner.source();
    }
    Unknown(words)
}
