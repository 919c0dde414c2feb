//! The shop that the end-to-end tests meet in, and the people who come there.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use stack::{
    Result,
    mail::Mail,
    postgres::Data,
    scratch::Scratch,
    seed::{ACCOUNTS, Account, seed},
    system::{Options, System},
    wait::wait_for,
};
use tokio::sync::OnceCell;

/// What should take two seconds is given more on a busy machine.
pub(crate) const BOUND: Duration = Duration::from_secs(150);

/// A whole system with the demo data, and the directory it lives in.
pub(crate) struct Shop {
    pub(crate) system: System,
    _scratch: Scratch,
}

impl Shop {
    /// One of its own, for tests that break it; with data that has to survive that, or only fast.
    pub(crate) async fn open(data: Data) -> Self {
        let scratch = Scratch::new("system").unwrap();
        Self::open_with(Options::new(scratch.path(), data), scratch).await
    }

    /// One of its own, as the options say; `scratch` is the directory they name.
    pub(crate) async fn open_with(options: Options, scratch: Scratch) -> Self {
        let system = System::start(&options, |_| ()).await.unwrap_or_else(|error| panic!("{error}"));
        let operator = system.settings(nats::topology::OPERATOR);
        seed(&system.gateway_url(), &operator, |_| ()).await.unwrap_or_else(|error| panic!("{error}"));
        Self { system, _scratch: scratch }
    }

    /// The one that all other tests share.
    pub(crate) async fn shared() -> &'static Self {
        static SHOP: OnceCell<Shop> = OnceCell::const_new();
        SHOP.get_or_init(|| Self::open(Data::Scratch)).await
    }

    /// Somebody new, registered and signed in.
    pub(crate) async fn shopper(&self) -> Person {
        let email = format!("shopper-{}@example.com", uuid::Uuid::new_v4().simple());
        let nobody = self.nobody();
        let body = json!({ "email": email, "password": "correct horse battery", "name": "Ines Shopper" });
        let answer = nobody.post("/v1/auth/register", &body).await;
        assert_eq!(answer.status, 201, "{answer}");
        Person { token: Some(answer.text("/access_token")), email, ..nobody }
    }

    /// One of the demo accounts, signed in.
    pub(crate) async fn demo(&self, role: &str) -> Person {
        let account: Account = *ACCOUNTS.iter().find(|account| account.role == role).unwrap();
        let nobody = self.nobody();
        let body = json!({ "email": account.email, "password": account.password });
        let answer = nobody.post("/v1/auth/login", &body).await;
        assert_eq!(answer.status, 200, "{answer}");
        Person { token: Some(answer.text("/access_token")), email: account.email.to_owned(), ..nobody }
    }

    /// Somebody without a token.
    pub(crate) fn nobody(&self) -> Person {
        Person { http: Client::new(), url: self.system.gateway_url(), token: None, email: String::new() }
    }

    /// Waits for a mail.
    pub(crate) async fn mail(&self, to: &str, subject: &str) -> Mail {
        self.system.mail.wait_for_mail(to, subject, BOUND).await.unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Someone who talks to the gateway.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) http: Client,
    pub(crate) url: String,
    pub(crate) token: Option<String>,
    pub(crate) email: String,
}

/// An answer of the gateway.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) bytes: Vec<u8>,
    pub(crate) json: Value,
}

impl Person {
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::PUT, path).json(body)).await
    }

    /// Orders, under a key.
    pub(crate) async fn order(&self, key: &str, sku: &str, quantity: u32, payment_method: &str) -> Answer {
        self.try_order(key, sku, quantity, payment_method).await.expect("an answer of the gateway")
    }

    /// Orders, under a key, where there may be no answer.
    pub(crate) async fn try_order(
        &self,
        key: &str,
        sku: &str,
        quantity: u32,
        payment_method: &str,
    ) -> std::result::Result<Answer, String> {
        let body = json!({
            "lines": [{ "sku": sku, "quantity": quantity }],
            "shipping_address": {
                "name": "Ines Shopper", "line1": "Speicherstadt 4", "city": "Hamburg", "postal_code": "20457", "country": "DE",
            },
            "payment_method": payment_method,
            "currency": "EUR",
        });
        let request = self.request(Method::POST, "/v1/orders").header("Idempotency-Key", key).json(&body);
        let response = request.send().await.map_err(|error| error.to_string())?;
        Answer::read(response).await.map_err(|error| error.to_string())
    }

    /// Looks at `path` until its value at `pointer` is `wanted`.
    pub(crate) async fn until(&self, path: &str, pointer: &str, wanted: impl Into<Value>) -> Value {
        let wanted = wanted.into();
        let what = format!("{pointer} of {path} to be {wanted}");
        let found = wait_for(&what, BOUND, || async {
            let answer = self.try_get(path).await?;
            let value = answer.json.pointer(pointer).cloned().unwrap_or_default();
            if value == wanted { Ok(Some(answer.json)) } else { Err(format!("{answer}")) }
        });
        found.await.unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) async fn try_get(&self, path: &str) -> std::result::Result<Answer, String> {
        let response = self.request(Method::GET, path).send().await.map_err(|error| error.to_string())?;
        Answer::read(response).await.map_err(|error| error.to_string())
    }
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        Self::read(request.send().await.expect("an answer of the gateway")).await.expect("the whole answer")
    }

    async fn read(response: Response) -> std::result::Result<Self, reqwest::Error> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        // A stream of events has no end.
        let is_stream = headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
        let bytes = if is_stream { Vec::new() } else { response.bytes().await?.to_vec() };
        let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok(Self { status, headers, bytes, json })
    }

    pub(crate) fn at(&self, pointer: &str) -> &Value {
        self.json.pointer(pointer).unwrap_or(&Value::Null)
    }

    pub(crate) fn text(&self, pointer: &str) -> String {
        self.at(pointer).as_str().unwrap_or_else(|| panic!("expected a text at {pointer} in {self}")).to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Asserts that this is a problem document of this code.
    pub(crate) fn problem(&self, code: &str) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self}");
        assert_eq!(self.at("/code"), code, "{self}");
        assert_eq!(self.at("/status"), self.status, "{self}");
        assert_eq!(self.at("/type"), &json!(format!("/problems/{code}")), "{self}");
        assert_eq!(self.at("/request_id"), self.header("x-request-id"), "{self}");
        assert!(StatusCode::from_u16(self.status).is_ok_and(|status| !status.is_success()), "{self}");
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.status, String::from_utf8_lossy(&self.bytes))
    }
}

/// The text of a PDF, with its blanks made equal.
pub(crate) fn pdf_text(pdf: &[u8]) -> Result<String> {
    let scratch = Scratch::new("pdf")?;
    let file = scratch.path().join("document.pdf");
    std::fs::write(&file, pdf).unwrap();
    let output = std::process::Command::new("pdftotext").arg("-layout").arg(&file).arg("-").output().unwrap();
    assert!(output.status.success(), "pdftotext: {}", String::from_utf8_lossy(&output.stderr));
    let blank = |c: char| if c.is_whitespace() && c != '\n' { ' ' } else { c };
    Ok(String::from_utf8_lossy(&output.stdout).chars().map(blank).collect())
}
