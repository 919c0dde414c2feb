//! A client as a good one is: it gives each intended effect one key, repeats what it got no definitive answer to under the
//! same key, waits longer each time and at least as long as it was asked to, and gives up at last. Every try goes into the history.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::history::{Answer, Certainty, History, Lines, Operation, Outcome, Record, digest};
use crate::{Result, StackError, error::with_causes};

/// What a client waits for one answer: a little longer than the gateway does, which has more to say than silence.
const ANSWER_WITHIN: Duration = Duration::from_secs(12);
/// How long a client goes on trying: longer than any fault lasts.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// The pause after the first try; doubled with each, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(150);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// Every order goes to the same country: what is tested is not the tax.
const COUNTRY: &str = "DE";

/// Somebody with an account.
#[derive(Debug)]
pub struct Person {
    /// As the history calls them.
    pub name: String,
    email: String,
    password: String,
    token: RwLock<String>,
}

impl Person {
    /// Somebody who has an account, and no token yet.
    pub fn new(name: &str, email: &str, password: &str) -> Self {
        let [name, email, password] = [name, email, password].map(str::to_owned);
        Self { name, email, password, token: RwLock::default() }
    }

    /// The same, signed in.
    #[must_use]
    pub fn with_token(self, token: &str) -> Self {
        Self { token: RwLock::new(token.to_owned()), ..self }
    }

    fn token(&self) -> String {
        self.token.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A request that may have to be sent more than once.
#[derive(Debug, Clone)]
pub struct Request {
    /// What is asked for.
    pub operation: Operation,
    /// The path, with its query.
    pub path: String,
    /// The `Idempotency-Key`.
    pub key: Option<String>,
    /// The body; a `POST` has one, a `GET` has none.
    pub body: Option<Value>,
    /// See [`Record::about`].
    pub about: Option<String>,
    /// See [`Record::lines`].
    pub lines: Option<Lines>,
    /// See [`Record::amount`].
    pub amount: Option<i64>,
}

impl Request {
    /// A reading one.
    pub fn get(operation: Operation, path: impl Into<String>) -> Self {
        Self { operation, path: path.into(), key: None, body: None, about: None, lines: None, amount: None }
    }

    /// One that changes something, once per key.
    pub fn post(operation: Operation, path: impl Into<String>, key: &str, body: Value) -> Self {
        Self { key: Some(key.to_owned()), body: Some(body), ..Self::get(operation, path) }
    }

    /// What it is about.
    #[must_use]
    pub fn about(self, about: impl Into<String>) -> Self {
        Self { about: Some(about.into()), ..self }
    }

    /// An order. The key stands in the address too: so whoever reads the order knows which request it came from.
    pub fn order(key: &str, lines: Option<&[(String, i64)]>, expected: Lines, payment_method: &str) -> Self {
        let mut body = json!({
            "shipping_address": {
                "name": "Ines Shopper", "line1": "Speicherstadt 4", "line2": key, "city": "Hamburg",
                "postal_code": "20457", "country": COUNTRY,
            },
            "payment_method": payment_method,
            "currency": "EUR",
        });
        if let (Some(lines), Some(fields)) = (lines, body.as_object_mut()) {
            let line = |(sku, quantity): &(String, i64)| json!({ "sku": sku, "quantity": quantity });
            fields.insert("lines".to_owned(), lines.iter().map(line).collect());
        }
        Self { lines: Some(expected), ..Self::post(Operation::PlaceOrder, "/v1/orders", key, body) }
    }
}

/// The way to the gateways, one after the other as a load balancer would, and the history of what goes there; cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    urls: Arc<[String]>,
    next: Arc<AtomicUsize>,
    history: Arc<History>,
}

/// What came of a request in the end.
#[derive(Debug, Clone)]
pub struct Reply {
    /// What the last try came to.
    pub outcome: Outcome,
    /// The body of the last answer; null when there was none.
    pub body: Value,
    /// How long the server asked to be left alone.
    retry_after: Duration,
}

impl Reply {
    const fn lost(why: String) -> Self {
        Self { outcome: Outcome::Lost(why), body: Value::Null, retry_after: Duration::ZERO }
    }

    /// The id of what was done; nothing when it was refused or is not known.
    pub fn id(&self) -> Option<&str> {
        let answer = self.outcome.answer().filter(|_| self.outcome.certainty() == Certainty::Done)?;
        answer.id.as_deref()
    }
}

impl Client {
    /// A client of the gateways at these addresses.
    ///
    /// # Errors
    /// When the HTTP client cannot be set up.
    pub fn new(urls: Vec<String>, history: Arc<History>) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(ANSWER_WITHIN).connect_timeout(Duration::from_secs(2)).build();
        let http = http.map_err(|error| StackError::new(with_causes(&error)))?;
        Ok(Self { http, urls: urls.into(), next: Arc::default(), history })
    }

    /// Where `path` is, at the next gateway.
    fn at(&self, path: &str) -> String {
        let turn = self.next.fetch_add(1, Ordering::Relaxed).checked_rem(self.urls.len()).unwrap_or_default();
        format!("{}{path}", self.urls.get(turn).map_or("", String::as_str))
    }

    /// The history that it writes.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Sends a request until there is a definitive answer, or the patience is over.
    pub async fn send(&self, person: Option<&Person>, request: &Request) -> Reply {
        let (since, deadline) = (self.history.now(), Instant::now() + PATIENCE);
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            let start = self.history.now();
            let reply = self.once(person, request).await;
            let record = Record {
                since,
                start,
                end: self.history.now(),
                client: person.map_or("visitor", |person| &person.name).to_owned(),
                operation: request.operation,
                attempt,
                key: request.key.clone(),
                body: request.body.as_ref().map(|body| digest(body.to_string().as_bytes())),
                about: request.about.clone(),
                lines: request.lines.clone(),
                amount: request.amount,
                outcome: reply.outcome.clone(),
            };
            self.history.add(record);
            if reply.outcome.certainty() != Certainty::Unknown || Instant::now() + pause >= deadline {
                return reply;
            }
            // Half of it at random, so that those who failed together do not come back together.
            tokio::time::sleep(reply.retry_after + pause / 2 + (pause / 2).mul_f64(rand::random())).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Reply::lost("never tried".to_owned())
    }

    /// Signs somebody in, or again: tokens last ten minutes.
    ///
    /// # Errors
    /// When that is refused, or fails for as long as a client tries.
    pub async fn sign_in(&self, person: &Person) -> Result<()> {
        let credentials = json!({ "email": person.email, "password": person.password });
        let request = Request { body: Some(credentials), ..Request::get(Operation::SignIn, "/v1/auth/login") };
        let reply = self.send(None, &request).await;
        let Some(token) = reply.body.get("access_token").and_then(Value::as_str) else {
            return Err(StackError::new(format!("{} could not sign in: {:?}", person.name, reply.outcome)));
        };
        token.clone_into(&mut person.token.write().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }

    /// Reads a page, outside of the history: for looking at the state after a run. Signs in again when the token is too old.
    ///
    /// # Errors
    /// When it is not answered with success.
    pub async fn read(&self, person: &Person, path: &str) -> Result<Value> {
        let ask = async || {
            let request = self.http.get(self.at(path)).bearer_auth(person.token());
            request.send().await.map_err(|error| StackError::new(with_causes(&error)))
        };
        let mut answer = ask().await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            self.sign_in(person).await?;
            answer = ask().await?;
        }
        let status = answer.status();
        let body = answer.text().await.map_err(|error| StackError::new(with_causes(&error)))?;
        if !status.is_success() {
            return Err(StackError::new(format!("GET {path} was answered {status}: {body}")));
        }
        serde_json::from_str(&body).map_err(|error| StackError::new(format!("GET {path}: {error}")))
    }

    async fn once(&self, person: Option<&Person>, request: &Request) -> Reply {
        match self.try_once(person, request).await {
            Ok(reply) => reply,
            Err(error) => Reply::lost(with_causes(&error)),
        }
    }

    async fn try_once(&self, person: Option<&Person>, request: &Request) -> std::result::Result<Reply, reqwest::Error> {
        let method = if request.body.is_some() { Method::POST } else { Method::GET };
        let mut sent = self.http.request(method, self.at(&request.path));
        if let Some(person) = person {
            sent = sent.bearer_auth(person.token());
        }
        if let Some(key) = &request.key {
            sent = sent.header("Idempotency-Key", key);
        }
        if let Some(body) = &request.body {
            sent = sent.json(body);
        }
        let answer = sent.send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let bytes = answer.bytes().await?;
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let retry_after = Duration::from_secs(header("retry-after").parse().unwrap_or_default()).min(LONGEST_PAUSE);
        let answer = Answer {
            status: status.as_u16(),
            id: body.get("id").and_then(Value::as_str).map(str::to_owned),
            body: digest(&bytes),
            replayed: header("idempotency-replayed") == "true",
            problem: problem(status, header("content-type"), &body),
            available: body.get("available").and_then(Value::as_i64),
        };
        Ok(Reply { outcome: Outcome::Answer(answer), body, retry_after })
    }
}

/// The code of a problem document that deserves the name.
fn problem(status: StatusCode, content_type: &str, body: &Value) -> Option<String> {
    let says_its_status = body.get("status").and_then(Value::as_u64) == Some(status.as_u16().into());
    let code = body.get("code").and_then(Value::as_str)?;
    (content_type == "application/problem+json" && says_its_status && !status.is_success()).then(|| code.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_problem_document_counts_as_one() {
        let conflict = StatusCode::CONFLICT;
        let (media, body) = ("application/problem+json", json!({ "status": 409, "code": "out_of_stock" }));
        assert_eq!(problem(conflict, media, &body).as_deref(), Some("out_of_stock"));
        assert_eq!(problem(conflict, "text/plain", &body), None);
        assert_eq!(problem(StatusCode::BAD_GATEWAY, media, &body), None, "it says another status");
        assert_eq!(problem(conflict, media, &Value::Null), None);
    }

    #[test]
    fn an_order_says_which_request_it_came_from() {
        let lines = [("LMP-1".to_owned(), 2)];
        let request = Request::order("k-1", Some(&lines), Lines::from(lines.clone()), "sandbox_ok");
        let body = request.body.unwrap();
        assert_eq!(body.pointer("/shipping_address/line2"), Some(&json!("k-1")));
        assert_eq!(body.pointer("/lines/0/quantity"), Some(&json!(2)));
        let from_cart = Request::order("k-2", None, Lines::new(), "sandbox_ok");
        assert_eq!(from_cart.body.unwrap().get("lines"), None);
    }
}
