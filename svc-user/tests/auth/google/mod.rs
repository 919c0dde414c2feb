//! Signing in with Google, at a real OpenID provider that the harness starts.

mod accounts;
mod callback;
mod exchange;
mod forged;
mod sign_in;
mod unavailable;

use std::collections::BTreeMap;

use nats::service::Running;
use openidconnect::url::{Url, form_urlencoded};
use serde_json::json;
use stack::{
    Bed,
    bed::Answer,
    openid::{self, Claims, OpenIdProvider},
};

/// How browsers reach us, when no setting says otherwise.
const PUBLIC_URL: &str = "http://127.0.0.1:8080";

/// A bed in which svc-user runs, as a client of the provider.
pub(crate) async fn start() -> (Bed, Running, &'static OpenIdProvider) {
    let (bed, provider) = (Bed::start().await, openid::shared().await);
    let running = run(&bed, provider).await;
    (bed, running, provider)
}

async fn run(bed: &Bed, provider: &OpenIdProvider) -> Running {
    let settings = provider.settings();
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    bed.run_with(svc_user::service(), &settings).await
}

/// What the provider calls somebody whom no other test knows.
pub(crate) fn somebody() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// What the provider says of somebody with an address that it has verified.
fn claims<'a>(sub: &'a str, email: &'a str) -> [(&'a str, &'a str); 3] {
    [("sub", sub), ("email", email), ("email_verified", "true")]
}

/// A browser, with the cookie that we gave it.
#[derive(Clone, Default)]
pub(crate) struct Browser {
    cookie: String,
}

impl Browser {
    /// Goes to us; what we answer, and a cookie is kept.
    async fn get(&mut self, bed: &Bed, target: &str) -> Answer {
        let answer = bed.nobody().get(target).header("Cookie", &self.cookie).send().await;
        self.keep(&answer);
        answer
    }

    fn keep(&mut self, answer: &Answer) {
        if let Some(cookie) = answer.header("set-cookie") {
            cookie.split(';').next().unwrap_or_default().clone_into(&mut self.cookie);
        }
    }

    /// Begins to sign in; where at the provider the browser is sent.
    async fn begin(&mut self, bed: &Bed) -> String {
        let answer = self.get(bed, "/v1/auth/google").await;
        assert_eq!(answer.status, 303, "{answer}");
        answer.header("location").expect("where to").to_owned()
    }

    /// Signs in at the provider; what the browser asks of us when it is back.
    async fn away(&mut self, bed: &Bed, provider: &OpenIdProvider, claims: &Claims<'_>) -> String {
        let url = self.begin(bed).await;
        let back = provider.sign_in(&url, claims).await.unwrap();
        back.strip_prefix(PUBLIC_URL).expect("we are sent back to").to_owned()
    }

    /// Signs in at the provider and comes back; what the shop's page is told.
    pub(crate) async fn told(
        &mut self,
        bed: &Bed,
        provider: &OpenIdProvider,
        claims: &Claims<'_>,
    ) -> BTreeMap<String, String> {
        let back = self.away(bed, provider, claims).await;
        page(&self.get(bed, &back).await)
    }

    /// Exchanges a code, as the shop's page does.
    pub(crate) async fn exchange(&mut self, bed: &Bed, code: &str) -> Answer {
        let post = bed.nobody();
        let post = post.post("/v1/auth/exchange", &json!({ "code": code })).header("Cookie", &self.cookie);
        let answer = post.send().await;
        self.keep(&answer);
        answer
    }
}

/// Signs somebody in, from the first click to the tokens.
pub(crate) async fn signed_in(bed: &Bed, provider: &OpenIdProvider, sub: &str, email: &str) -> Answer {
    let mut browser = Browser::default();
    let told = browser.told(bed, provider, &claims(sub, email)).await;
    let answer = browser.exchange(bed, told.get("code").unwrap_or_else(|| panic!("no code: {told:?}"))).await;
    assert_eq!(answer.status, 200, "{answer}");
    answer
}

/// What the shop's page, where this answer sends the browser, is told.
fn page(answer: &Answer) -> BTreeMap<String, String> {
    assert_eq!(answer.status, 303, "{answer}");
    let url = Url::parse(answer.header("location").expect("where to")).unwrap();
    assert!(url.as_str().starts_with("http://127.0.0.1:8080/sign-in#"), "{url}");
    assert_eq!(url.query(), None, "what stands there would be in logs");
    form_urlencoded::parse(url.fragment().unwrap_or_default().as_bytes()).into_owned().collect()
}

/// Asserts that the shop's page is told that it came to nothing, and why.
fn refused(told: &BTreeMap<String, String>, error: &str) {
    let expected = BTreeMap::from([("error".to_owned(), error.to_owned())]);
    assert_eq!(told, &expected);
}
