//! The gateway: the one origin that frontends and partners talk to.
//!
//! `openapi.json`, embedded at build time, is its routing table: an operation that is not in it does not exist from
//! outside. A request passes these gates, each a file: [`edge`] (request id, log, security headers, problems), [`route`]
//! (which operation), [`token`] (who asks), [`forward`] (to the service over NATS), [`download`] (large answers). What belongs
//! to no service it answers itself ([`operations`]).
//!
//! | setting | meaning | when unset |
//! |---|---|---|
//! | `LISTEN` | where to listen | `0.0.0.0:8080` |
//! | `OPS_ADDR` | only for `healthcheck`: where the instance listens | — |
//!
//! Rate limits, CORS and circuit breakers will stand between `route` and `forward`; the seam is [`forward::handle`].

pub mod docs;
pub mod download;
pub mod edge;
pub mod forward;
pub mod health;
pub mod operations;
pub mod route;
pub mod token;

use std::{sync::Arc, time::Duration};

use async_nats::Client;
use nats::{
    config::Settings,
    connect::{Requests, connect, jetstream},
    contracts::{Call, TRANSFER, invoice::DOCUMENTS, user::GetSigningKeys},
    http::Forwarder,
    invoke::Caller,
    manifest::{BucketEntry, Manifest},
    objects::Objects,
    resilience::Policy,
    service::StartError,
    topology::Topology,
};
use poem::{
    EndpointExt, Route, Server,
    endpoint::BoxEndpoint,
    get,
    listener::{Acceptor, Listener, TcpListener},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    operations::{GATEWAY, Operations},
    route::Routes,
    token::Tokens,
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
        calls: vec![format!("{}.{}", GetSigningKeys::SERVICE, GetSigningKeys::VERB)],
        buckets: vec![BucketEntry::of(TRANSFER, true), BucketEntry::of(DOCUMENTS, false)],
        ..Manifest::default()
    }
}

/// What every gate has at hand.
pub struct Shared {
    pub(crate) client: Client,
    pub(crate) forwarder: Forwarder,
    pub(crate) objects: Objects,
    pub(crate) routes: Routes,
    pub(crate) tokens: Tokens,
    /// What the gateway answers itself.
    pub(crate) own: BoxEndpoint<'static>,
}

/// A gateway that runs.
pub struct Gateway {
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
        let shared = Arc::new(Shared {
            objects: Objects::new(jetstream(&client)),
            routes: Routes::of(OPENAPI).map_err(|error| other(&error))?,
            tokens: Tokens::new(calls.clone()),
            own: operations::endpoint(Operations { calls, services }),
            forwarder: Forwarder::new(requests, Policy::FORWARD.with(&settings)?),
            client,
        });
        let listen: String = settings.parse("LISTEN", "0.0.0.0:8080".to_owned())?;
        let acceptor = TcpListener::bind(listen.clone()).into_acceptor().await.map_err(|error| {
            StartError::Other(format!("LISTEN {listen} cannot be listened on ({error}); choose another port"))
        })?;
        for address in acceptor.local_addr() {
            tracing::info!(%address, "listening");
        }
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let routes = Route::new()
            .at("/livez", get(health::livez))
            .at("/readyz", get(health::readyz))
            .at("/openapi.json", get(docs::document))
            .at("/docs", get(docs::Reference::new()))
            .at("/problems", get(docs::problems))
            .at("/problems/:code", get(docs::problem_page))
            .at("/*path", poem::endpoint::make(forward::handle))
            .data(shared)
            .around(edge::around);
        let stopping = stop.clone();
        tasks.spawn(async move {
            let server =
                Server::new_with_acceptor(acceptor).idle_timeout(Duration::from_secs(75)).run_with_graceful_shutdown(
                    routes,
                    async move { stopping.cancelled().await },
                    Some(Duration::from_secs(10)),
                );
            if let Err(error) = server.await {
                tracing::error!(%error, "the gateway ended");
            }
        });
        tasks.close();
        Ok(Self { stop, tasks })
    }

    /// Finishes the requests that are running, and returns.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}
