//! A gateway as it listens, with one service behind it, and people who ask.

use std::time::Duration;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use nats::{
    config::Settings,
    contracts::user::{AccessClaims, GetSigningKeys, JsonWebKey, JsonWebKeySet, TOKEN_AUDIENCE, TOKEN_ISSUER},
    http::Body,
    identity::Role,
    problem::Problem,
    service::{Running, Runtime, Service, StartError},
    types::{SessionId, UserId},
};
use openapi::Gateway;
use p256::{
    SecretKey,
    elliptic_curve::rand_core::OsRng,
    pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding},
};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Header as HeaderParam, Path, Query},
};
use reqwest::{Client, Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stack::Bed;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../nats/tests/migrations");

/// Stands where the catalogue's paths lead, so that requests have somewhere to go.
pub(crate) fn catalog() -> Service<()> {
    Service::new("catalog", "Answers of any length.", MIGRATIONS, async |_: Runtime| Ok::<_, StartError>(()))
        .http(CatalogApi)
}

/// A text, as long as was asked for.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
struct Long {
    text: String,
}

/// A thing with a version.
#[derive(ApiResponse)]
enum Found {
    /// Here it is.
    #[oai(status = 200)]
    Found(Body<Long>, #[oai(header = "ETag")] String),
    /// The caller has it.
    #[oai(status = 304)]
    NotModified(#[oai(header = "ETag")] String),
}

struct CatalogApi;

#[OpenApi]
impl CatalogApi {
    /// Answer with so many letters
    #[oai(path = "/v1/products", method = "get", operation_id = "list_products")]
    async fn list(
        &self,
        /// How many.
        search: Query<Option<usize>>,
    ) -> Result<Body<Long>, Problem> {
        Ok(Body(Long { text: "x".repeat(search.0.unwrap_or(1)) }))
    }

    /// Answer with a version
    #[oai(path = "/v1/products/:length", method = "get", operation_id = "get_product")]
    async fn get(
        &self,
        /// How many letters.
        length: Path<usize>,
        /// What the caller has.
        #[oai(name = "If-None-Match")]
        known: HeaderParam<Option<String>>,
    ) -> Result<Found, Problem> {
        let etag = "\"7.ff\"".to_owned();
        Ok(match known.0 {
            Some(known) if known == etag => Found::NotModified(etag),
            _ => Found::Found(Body(Long { text: "x".repeat(length.0) }), etag),
        })
    }
}

/// A world for gateways.
pub(crate) struct Scene {
    key: SecretKey,
    _catalog: Running,
    pub(crate) bed: Bed,
}

impl Scene {
    pub(crate) async fn set() -> Self {
        Self::on(Bed::start().await).await
    }

    pub(crate) async fn on(bed: Bed) -> Self {
        // What changes something is written into its stream first.
        bed.let_in(&openapi::manifest()).await;
        let catalog = bed.run(catalog()).await;
        let key = SecretKey::random(&mut OsRng);
        let keys = JsonWebKeySet { keys: vec![public_half(&key)] };
        bed.answer::<GetSigningKeys>(move |_| Ok(keys.clone())).await;
        Self { key, _catalog: catalog, bed }
    }

    /// A gateway with these settings besides those that it needs.
    pub(crate) async fn gateway(&self, settings: &[(&str, &str)]) -> Door {
        self.gateway_as("bed", settings).await
    }

    /// As [`Scene::gateway`], with the rights of this user.
    pub(crate) async fn gateway_as(&self, user: &str, settings: &[(&str, &str)]) -> Door {
        let mut all: Settings = self.bed.settings(user).with("LISTEN", "127.0.0.1:0");
        for (name, value) in settings {
            all = all.with(name, *value);
        }
        let gateway = Gateway::start(all).await.unwrap_or_else(|error| panic!("{error}"));
        Door { http: Client::new(), url: format!("http://{}", gateway.address()), gateway }
    }

    /// A token of somebody new.
    pub(crate) fn token(&self) -> String {
        self.token_for(600)
    }

    /// As [`Scene::token`], good for so many seconds.
    pub(crate) fn token_for(&self, seconds: i64) -> String {
        self.token_of(SessionId::new(), seconds)
    }

    /// As [`Scene::token_for`], of this session.
    pub(crate) fn token_of(&self, session: SessionId, seconds: i64) -> String {
        self.token_saying(session, seconds, |_| ())
    }

    /// As [`Scene::token_of`], with claims that are changed first.
    pub(crate) fn token_saying(&self, session: SessionId, seconds: i64, change: impl Fn(&mut AccessClaims)) -> String {
        let now = chrono::Utc::now().timestamp();
        let mut claims = AccessClaims {
            iss: TOKEN_ISSUER.to_owned(),
            aud: TOKEN_AUDIENCE.to_owned(),
            sub: UserId::new(),
            sid: session,
            client_id: "test".to_owned(),
            roles: vec![Role::CUSTOMER],
            permissions: Vec::new(),
            roles_revision: 1,
            iat: now,
            exp: now + seconds,
            jti: "token".to_owned(),
        };
        change(&mut claims);
        let header =
            Header { typ: Some("at+jwt".to_owned()), kid: Some("key".to_owned()), ..Header::new(Algorithm::ES256) };
        encode(&header, &claims, &self.signing_key()).unwrap()
    }

    /// What tokens are signed with.
    pub(crate) fn signing_key(&self) -> EncodingKey {
        let pem = self.key.to_pkcs8_pem(LineEnding::LF).unwrap();
        EncodingKey::from_ec_pem(pem.as_bytes()).unwrap()
    }

    /// What everybody may know of the key, in every form in which it is told: the file, and the two numbers.
    pub(crate) fn public_forms(&self) -> Vec<Vec<u8>> {
        let jwk = public_half(&self.key);
        let pem = self.key.public_key().to_public_key_pem(LineEnding::LF).unwrap();
        vec![pem.trim().into(), pem.into_bytes(), jwk.x.into_bytes(), jwk.y.into_bytes()]
    }
}

fn public_half(key: &SecretKey) -> JsonWebKey {
    let jwk: Value = serde_json::from_str(&key.public_key().to_jwk_string()).unwrap();
    let text = |name: &str| jwk[name].as_str().unwrap().to_owned();
    JsonWebKey {
        kty: text("kty"),
        crv: text("crv"),
        x: text("x"),
        y: text("y"),
        kid: "key".to_owned(),
        alg: "ES256".to_owned(),
        key_use: "sig".to_owned(),
    }
}

/// A gateway that listens, and a client that knows where.
pub(crate) struct Door {
    pub(crate) gateway: Gateway,
    pub(crate) url: String,
    http: Client,
}

impl Door {
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).timeout(Duration::from_secs(20))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    /// Somebody at this address reads, behind a proxy that the gateway trusts.
    pub(crate) async fn read_from(&self, address: &str) -> Answer {
        Answer::of(self.request(Method::GET, "/v1/products").header("X-Forwarded-For", address)).await
    }

    /// Tries to sign in.
    pub(crate) async fn sign_in(&self) -> Answer {
        let body = serde_json::json!({ "email": "ines@example.com", "password": "correct horse" });
        Answer::of(self.request(Method::POST, "/v1/auth/login").json(&body)).await
    }

    /// Reads with a token.
    pub(crate) async fn read_as(&self, token: &str) -> Answer {
        Answer::of(self.request(Method::GET, "/v1/products").bearer_auth(token)).await
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await.expect("a body").to_vec();
        if status.is_client_error() || status == StatusCode::SERVICE_UNAVAILABLE {
            assert_eq!(headers["content-type"], "application/problem+json", "{status}");
        }
        Self { status: status.as_u16(), headers, bytes }
    }

    /// The header, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The status, and the code of a problem.
    pub(crate) fn code(&self) -> (u16, String) {
        let document: Value = serde_json::from_slice(&self.bytes).unwrap_or_default();
        (self.status, document["code"].as_str().unwrap_or_default().to_owned())
    }

    /// What a problem says about this occurrence.
    pub(crate) fn detail(&self) -> String {
        let document: Value = serde_json::from_slice(&self.bytes).unwrap_or_default();
        document["detail"].as_str().unwrap_or_default().to_owned()
    }
}
