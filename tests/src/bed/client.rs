//! Clients that act as the gateway does, for one caller.

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use nats::{
    connect::Requests,
    http::{Answered, Forward, Forwarder},
    identity::Identity,
    manifest::Manifest,
    objects::Objects,
    problem::PROBLEM_JSON,
    resilience::Policy,
    types::UserId,
};
use serde::Serialize;
use serde_json::Value;

/// Sends requests for one caller.
#[derive(Clone)]
pub struct Client {
    forwarder: Forwarder,
    objects: Objects,
    manifests: Arc<Mutex<Vec<Manifest>>>,
    identity: Option<Identity>,
    address: Option<IpAddr>,
}

/// A request that is being put together.
pub struct Request<'a> {
    client: &'a Client,
    method: &'static str,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as it came, from the object store when it lay there.
    pub bytes: Vec<u8>,
    /// The body as JSON; null when it is none.
    pub json: Value,
}

#[expect(clippy::panic, clippy::expect_used, reason = "a test whose request cannot be made has failed")]
impl Client {
    pub(super) fn new(
        client: async_nats::Client,
        objects: Objects,
        manifests: Arc<Mutex<Vec<Manifest>>>,
        identity: Option<Identity>,
    ) -> Self {
        let forwarder = Forwarder::new(Requests::over(client), Policy::FORWARD);
        Self { forwarder, objects, manifests, identity, address: None }
    }

    /// The same caller, at this address.
    #[must_use]
    pub fn at(mut self, address: &str) -> Self {
        self.address = Some(address.parse().expect("an address"));
        self
    }

    /// Who this client is.
    pub fn user_id(&self) -> UserId {
        self.identity.as_ref().expect("a client with an identity").user
    }

    /// `GET target`
    pub fn get(&self, target: &str) -> Request<'_> {
        self.request("GET", target)
    }

    /// `DELETE target`
    pub fn delete(&self, target: &str) -> Request<'_> {
        self.request("DELETE", target)
    }

    /// `POST target` with a JSON body.
    pub fn post(&self, target: &str, body: &impl Serialize) -> Request<'_> {
        self.request("POST", target).json(body)
    }

    /// `PUT target` with a JSON body.
    pub fn put(&self, target: &str, body: &impl Serialize) -> Request<'_> {
        self.request("PUT", target).json(body)
    }

    /// `PATCH target` with a JSON body.
    pub fn patch(&self, target: &str, body: &impl Serialize) -> Request<'_> {
        self.request("PATCH", target).json(body)
    }

    /// A request without a body yet.
    pub fn request(&self, method: &'static str, target: &str) -> Request<'_> {
        Request { client: self, method, target: target.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    /// The running service whose document has the path.
    fn service_of(&self, method: &str, target: &str) -> String {
        let path = target.split('?').next().unwrap_or_default();
        let manifests = self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        let owns = |manifest: &&Manifest| {
            let paths = manifest.openapi.as_ref().and_then(|document| document.get("paths")).and_then(Value::as_object);
            paths
                .into_iter()
                .flatten()
                .any(|(template, item)| matches(template, path) && item.get(method.to_lowercase()).is_some())
        };
        let found = manifests.iter().find(owns).or_else(|| manifests.first());
        found.unwrap_or_else(|| panic!("no service runs that could answer {method} {path}")).service.clone()
    }
}

fn matches(template: &str, path: &str) -> bool {
    let (template, path): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len() && template.iter().zip(&path).all(|(one, other)| one.starts_with('{') || one == other)
}

#[expect(clippy::panic, clippy::expect_used, reason = "a test whose request cannot be made has failed")]
impl Request<'_> {
    /// With an `Idempotency-Key`.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        self.header("Idempotency-Key", key)
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(self, body: &impl Serialize) -> Self {
        self.raw(serde_json::to_vec(body).expect("JSON"), "application/json")
    }

    /// With these bytes as the body.
    #[must_use]
    pub fn raw(mut self, body: impl Into<Vec<u8>>, content_type: &str) -> Self {
        self.body = body.into();
        self.header("Content-Type", content_type)
    }

    /// Sends it and waits for the answer.
    pub async fn send(self) -> Answer {
        let service = self.client.service_of(self.method, &self.target);
        let forward = Forward {
            service: &service,
            method: self.method,
            target: &self.target,
            headers: self.headers,
            identity: self.client.identity.as_ref(),
            client: self.client.address,
            body: self.body.into(),
        };
        let answered = forward.send(&self.client.forwarder, &self.client.objects).await;
        let Answered { status, headers, body, object } =
            answered.unwrap_or_else(|error| panic!("{} {}: {error}", self.method, self.target));
        let bytes = match object {
            None => body.to_vec(),
            Some((bucket, name)) => {
                let mut reader =
                    self.client.objects.open(&bucket, &name).await.expect("the object that the answer names");
                let mut bytes = Vec::new();
                tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut bytes).await.expect("the object's content");
                bytes
            }
        };
        let headers = headers.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
        let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer { status, headers, bytes, json }
    }
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(one, _)| one.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// A value of the body, by JSON Pointer; null when there is none.
    pub fn at(&self, pointer: &str) -> &Value {
        self.json.pointer(pointer).unwrap_or(&Value::Null)
    }

    /// A text of the body, by JSON Pointer.
    #[expect(clippy::panic, reason = "an assertion")]
    pub fn text(&self, pointer: &str) -> String {
        self.at(pointer).as_str().unwrap_or_else(|| panic!("expected a text at {pointer} in {self}")).to_owned()
    }

    /// Asserts that this is a problem document of this code; with a pointer, that a field error points there.
    pub fn problem(&self, code: &str, pointer: &str) {
        let kind = self.header("content-type").unwrap_or_default();
        assert_eq!(kind, PROBLEM_JSON, "expected a problem document, got {self}");
        assert_eq!(self.at("/code"), code, "expected the problem {code}, got {self}");
        assert_eq!(self.at("/status"), self.status, "the document's status is the answer's: {self}");
        let pointers: Vec<&str> =
            self.at("/errors").as_array().into_iter().flatten().filter_map(|e| e.get("pointer")?.as_str()).collect();
        assert!(pointer.is_empty() || pointers.contains(&pointer), "expected an error at {pointer}, got {self}");
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, String::from_utf8_lossy(&self.bytes))
    }
}
