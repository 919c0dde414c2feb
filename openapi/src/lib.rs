//! The gateway: the one origin that frontends and partners talk to.
//!
//! `openapi.json`, embedded at build time, is its routing table: an operation that is not in it does not exist from
//! outside. A request passes these gates, each a file: [`server`] (connections, slow clients), [`edge`] (request id, log,
//! security headers, problems), [`cors`] (other origins' pages), [`compress`] (shorter answers), [`route`] (which
//! operation), [`token`], [`api_key`] and [`revoked`] (who asks), [`limit`] (how often), `trail` (written down), [`forward`] (to
//! the service over NATS, by the policy `forward` of [`nats::resilience`]), `last_good` (what is told while the service is
//! away), [`download`] (large answers). What belongs to no service it
//! answers itself ([`operations`]); so does it with streams of messages (`realtime`).
//!
//! | setting | meaning | when unset |
//! |---|---|---|
//! | `LISTEN`, `CLIENT_TIMEOUT_MS`, `CONNECTIONS_PER_ADDRESS` | see `server.rs` | `0.0.0.0:8080`, 10000, 256 |
//! | `LIMITS`, `REDIS_URL`, `REDIS_TIMEOUT_MS`, `TRUSTED_PROXIES` | see `limit.rs` | see there |
//! | `CORS_ORIGINS`, `PUBLIC_URL` | see `edge.rs` | see there |
//! | `STREAM_KEEP_ALIVE_MS`, `STREAMS_PER_USER` | see `realtime.rs` | 15000, 8 |
//! | `OPS_ADDR` | only for `healthcheck`: where the instance listens | — |

pub mod api_key;
pub mod compress;
pub mod cors;
pub mod credential;
pub mod docs;
pub mod download;
pub mod edge;
mod expiring;
pub mod forward;
pub mod health;
mod last_good;
pub mod limit;
pub mod operations;
mod outdated;
mod realtime;
pub mod revoked;
pub mod route;
pub mod server;
pub mod token;
mod trail;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_nats::Client;
use nats::{
    config::Settings,
    connect::{Requests, connect, jetstream},
    contracts::{
        Call, TRANSFER,
        invoice::DOCUMENTS,
        notify::GetMessages,
        trail::RecordTrail,
        user::{GetSigningKeys, VerifyApiKey, company::COMPANY_DOCUMENTS},
    },
    http::Forwarder,
    invoke::Caller,
    manifest::{BucketEntry, Manifest},
    objects::Objects,
    resilience::Policy,
    service::StartError,
    topology::Topology,
};
use poem::{EndpointExt, Route, endpoint::BoxEndpoint, get};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    api_key::ApiKeys,
    edge::Edge,
    last_good::LastGood,
    limit::Limiter,
    operations::{GATEWAY, Operations},
    realtime::{Hub, Realtime},
    revoked::{Following, Revoked},
    route::Routes,
    token::Tokens,
    trail::{Store, Trail},
};

/// The document that this build serves and routes by.
pub const OPENAPI: &str = include_str!("../openapi.json");

/// What the gateway may do on NATS.
pub fn manifest() -> Manifest {
    Manifest {
        service: GATEWAY.to_owned(),
        description: "The one origin: routes HTTP to the services by the OpenAPI document.".to_owned(),
        openapi: operations::document(),
        forwards: true,
        calls: vec![name::<GetMessages>(), name::<GetSigningKeys>(), name::<VerifyApiKey>(), name::<RecordTrail>()],
        publishes: vec![trail::publishes()],
        follows: revoked::follows().into_iter().chain([realtime::follows()]).collect(),
        buckets: vec![
            BucketEntry::of(TRANSFER, true),
            BucketEntry::of(DOCUMENTS, false),
            BucketEntry::of(COMPANY_DOCUMENTS, false),
        ],
        states: vec![realtime::state()],
        ..Manifest::default()
    }
}

/// A call, as lists name it.
fn name<C: Call>() -> String {
    format!("{}.{}", C::SERVICE, C::VERB)
}

/// What every gate has at hand.
pub struct Shared {
    pub(crate) client: Client,
    pub(crate) forwarder: Forwarder,
    pub(crate) objects: Objects,
    pub(crate) routes: Routes,
    pub(crate) tokens: Tokens,
    pub(crate) api_keys: ApiKeys,
    pub(crate) following: Following,
    pub(crate) limiter: Limiter,
    pub(crate) last_good: LastGood,
    pub(crate) realtime: Realtime,
    pub(crate) trail: Trail,
    /// How long a client may take between two parts of a body.
    pub(crate) patience: Duration,
    /// What the gateway answers itself.
    pub(crate) own: BoxEndpoint<'static>,
}

/// A gateway that runs.
pub struct Gateway {
    address: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Gateway {
    /// Connects, listens, and returns once it can be reached.
    ///
    /// # Errors
    /// A sentence for whoever starts it.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let client = connect(&settings, GATEWAY).await?;
        let requests = Requests::renewed(client.clone(), &settings, GATEWAY);
        let other = |error: &dyn std::fmt::Display| StartError::Other(error.to_string());
        let calls = Caller::over(requests.clone(), Policy::CALL.with(&settings)?);
        let topology = Topology::embedded().map_err(|error| other(&error))?;
        let services = topology.services().map(str::to_owned).collect();
        let manners = server::Manners::of(&settings)?;
        let edge = Arc::new(Edge::of(&settings)?);
        let hub = Arc::new(Hub::of(&settings)?);
        let (stop, tasks, revoked) = (CancellationToken::new(), TaskTracker::new(), Arc::new(Revoked::new()));
        let unless_started = stop.clone().drop_guard();
        let shared = Arc::new(Shared {
            objects: Objects::new(jetstream(&client)),
            routes: Routes::of(OPENAPI).map_err(|error| other(&error))?,
            tokens: Tokens::new(calls.clone(), Arc::clone(&revoked)),
            api_keys: ApiKeys::new(calls.clone(), Arc::clone(&revoked)),
            following: revoked.follow(&client, &hub, &tasks, &stop),
            realtime: Realtime::start(&settings, (&client, calls.clone()), (hub, revoked), (&tasks, &stop))?,
            limiter: Limiter::of(&settings)?,
            last_good: LastGood::new(),
            trail: Trail::start(Store::new(requests.clone(), calls.clone()), &tasks, &stop),
            patience: manners.patience,
            own: operations::endpoint(Operations { calls, services }),
            forwarder: Forwarder::new(requests, Policy::FORWARD.with(&settings)?),
            client,
        });
        let listen: String = settings.parse("LISTEN", "0.0.0.0:8080".to_owned())?;
        let refused = |error: std::io::Error| {
            StartError::Other(format!("LISTEN {listen} cannot be listened on ({error}); choose another port"))
        };
        let listener = TcpListener::bind(&listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        tracing::info!(%address, "listening");
        let routes = Route::new()
            .at("/livez", get(health::livez))
            .at("/readyz", get(health::readyz))
            .at("/openapi.json", get(docs::Page::document()))
            .at("/docs", get(docs::Page::reference()))
            .at("/problems", get(docs::problems))
            .at("/problems/:code", get(docs::problem_page))
            .at("/*path", poem::endpoint::make(forward::handle))
            .data(shared)
            .around(move |inner, request| {
                let edge = Arc::clone(&edge);
                async move { Ok(edge.around(inner, request).await) }
            });
        tasks.spawn(server::serve(listener, routes, manners, stop.clone()));
        tasks.close();
        unless_started.disarm();
        Ok(Self { address, stop, tasks })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Finishes the requests that are running, and returns.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}
