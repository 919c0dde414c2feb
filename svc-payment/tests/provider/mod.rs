//! The sandbox provider as a process of its own, and what it knows.

use std::{process::Command, time::Duration};

use nats::{
    service::Running,
    types::{Currency, Money, OrderId},
};
use serde_json::{Value, json};
use stack::{bed::Bed, ports, process::Process, scratch::Scratch};
use svc_payment::{
    payment::TransactionKind,
    provider::{Operation, ProviderPayment, Statement},
};

/// What its webhooks are signed with.
pub(crate) const SECRET: &str = "whsec_c3ZjLXBheW1lbnQtdGVzdHMtc2lnbi13aXRoLXRoaXM=";
/// What it knows svc-payment by.
const KEY: &str = "known-to-both";
const BOUND: Duration = Duration::from_secs(20);

/// A running provider; dropping it ends it.
pub(crate) struct Provider {
    process: Process,
    url: String,
    http: reqwest::Client,
    _scratch: Scratch,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(settings: &[(&str, &str)]) -> Self {
        let scratch = Scratch::new("provider").unwrap();
        let address = format!("127.0.0.1:{}", ports::free().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_sandbox-provider"));
        command.env("LISTEN", &address).env("JOURNAL", scratch.path().join("journal")).env("API_KEY", KEY);
        command.env("WEBHOOK_SECRET", SECRET).env("LOG", "warn").envs(settings.iter().copied());
        let process = Process::spawn("sandbox-provider", command, &scratch.path().join("log")).unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let provider = Self { process, url: format!("http://{address}"), http, _scratch: scratch };
        provider.until_ready().await;
        provider
    }

    async fn until_ready(&self) {
        let url = format!("{}/readyz", self.url);
        let look = async || {
            let answer = self.http.get(&url).send().await.map_err(|error| error.to_string())?;
            Ok::<_, String>(answer.status().is_success().then_some(()))
        };
        self.process.until_ready(BOUND, look).await.unwrap();
    }

    /// What svc-payment has to be told of it.
    pub(crate) fn settings(&self) -> [(&str, &str); 3] {
        [("PROVIDER_URL", &self.url), ("PROVIDER_KEY", KEY), ("PROVIDER_WEBHOOK_SECRET", SECRET)]
    }

    /// Runs svc-payment against it, in this process.
    pub(crate) async fn run(&self, bed: &Bed) -> Running {
        bed.run_with(svc_payment::service(), &self.settings()).await
    }

    pub(crate) fn kill(&self) {
        self.process.kill();
    }

    pub(crate) fn is_running(&self) -> bool {
        self.process.is_running()
    }

    pub(crate) fn signal(&self, signal: i32) {
        self.process.signal(signal).unwrap();
    }

    /// Starts it again where it was.
    pub(crate) async fn restart(&mut self) {
        self.process.respawn().unwrap();
        self.until_ready().await;
    }

    /// Forgets everything, as a provider does that has no journal; call it while it does not run.
    pub(crate) fn forget(&self) {
        std::fs::remove_file(self._scratch.path().join("journal")).unwrap();
    }

    /// Everything that was asked of it.
    pub(crate) async fn operations(&self) -> Vec<Operation> {
        let (status, body) = self.request(self.http.get(format!("{}/v1/operations", self.url))).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_value::<Statement>(body).unwrap().data
    }

    /// What it did of this kind: how often, and with how much.
    pub(crate) async fn done(&self, kind: TransactionKind) -> (i64, i64) {
        let done = self.operations().await.into_iter().filter(|one| one.kind == kind && one.refusal.is_none());
        done.fold((0, 0), |(count, sum), operation| (count + 1, sum + operation.amount.amount))
    }

    /// Once it has done something of this kind.
    pub(crate) async fn until_done(&self, bed: &Bed, kind: TransactionKind) {
        bed.wait_for(&format!("the provider to do a {kind}"), || async { (self.done(kind).await.0 > 0).then_some(()) })
            .await;
    }

    /// Holds 12.99 EUR for an order, past svc-payment.
    pub(crate) async fn authorize(&self, order: OrderId, method: &str) -> ProviderPayment {
        let body = json!({ "amount": { "amount": 1299, "currency": "EUR" }, "method": method });
        self.post("/v1/payments", &format!("order:{order}:authorize"), &body).await
    }

    /// Takes what is held for an order, past svc-payment.
    pub(crate) async fn capture(&self, order: OrderId, reference: &str) -> ProviderPayment {
        let body = json!({ "amount": Money::new(1299, Currency::EUR) });
        self.post(&format!("/v1/payments/{reference}/capture"), &format!("order:{order}:capture"), &body).await
    }

    pub(crate) async fn refund(&self, key: &str, reference: &str, amount: i64) -> ProviderPayment {
        let body = json!({ "amount": Money::new(amount, Currency::EUR) });
        self.post(&format!("/v1/payments/{reference}/refunds"), key, &body).await
    }

    pub(crate) async fn post(&self, path: &str, key: &str, body: &Value) -> ProviderPayment {
        let (status, body) = self.try_post(path, key, body).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_value(body).unwrap()
    }

    pub(crate) async fn try_post(&self, path: &str, key: &str, body: &Value) -> (u16, Value) {
        self.request(self.http.post(format!("{}{path}", self.url)).header("Idempotency-Key", key).json(body)).await
    }

    pub(crate) async fn try_get(&self, path: &str) -> (u16, Value) {
        self.request(self.http.get(format!("{}{path}", self.url))).await
    }

    async fn request(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        let answer = request.bearer_auth(KEY).send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    }

    /// The same without the key.
    pub(crate) async fn unsigned_get(&self, path: &str) -> u16 {
        self.http.get(format!("{}{path}", self.url)).send().await.unwrap().status().as_u16()
    }
}
