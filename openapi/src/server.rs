//! Listening: connections are bounded, and so is the time that a slow client may take.
//!
//! | setting | meaning | when unset |
//! |---|---|---|
//! | `LISTEN` | where to listen | `0.0.0.0:8080` |
//! | `CLIENT_TIMEOUT_MS` | how long a client may take for its first request's head, between two parts of a body, and to take in more of an answer | 10000 |
//!
//! | `CONNECTIONS_PER_ADDRESS` | how many connections one client may have at once; 0: as many as it likes | 256; 0 behind `TRUSTED_PROXIES` |
//!
//! A connection that has brought its first request may be without a new one for 75 seconds: longer than the proxies in front
//! keep theirs, so that these never send a request into one that is just being closed. Then it is told to end, and what it is
//! still taking in may last for another ten minutes; a stream of events (`realtime.rs`) lasts until it ends itself.
//!
//! HTTP/1.1 only: browsers speak HTTP/2 over TLS alone, so with the proxy that ends it; and a client of HTTP/2 can take in
//! nothing of its answers for ever, without the socket ever standing still.
//!
//! Trap: heads over 64 KiB are refused by hyper itself, with a bare 431; the limits of [`crate::edge`] are smaller.

mod guests;
mod place;
mod stall;

use std::{convert::Infallible, net::SocketAddr, num::NonZeroU64, sync::Arc, time::Duration};

use hyper::{
    Request as Incoming, Response as Outgoing, body::Incoming as IncomingBody, server::conn::http1::Builder,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use nats::config::{SettingError, Settings};
use poem::{
    Addr, Endpoint, Request,
    http::uri::Scheme,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use guests::Guests;
pub(crate) use place::Place;
use stall::Stalling;

/// Connections at once; further ones wait in the kernel's queue.
const MOST_CONNECTIONS: usize = 10_000;
/// The largest head of a request that is read at all.
const MOST_HEAD: usize = 64 * 1024;
/// How long a connection may be idle, and a later request's head may take.
const IDLE: Duration = Duration::from_secs(75);
/// How long answers may go on that were begun before a connection was told to end.
const LONGEST_ANSWER: Duration = Duration::from_secs(600);
/// How long requests may go on when the gateway stops.
const FAREWELL: Duration = Duration::from_secs(10);
/// The pause when the system has no more file handles.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// What every connection has at hand.
struct Serving<E> {
    endpoint: E,
    /// How long a client may take.
    patience: Duration,
    /// No more requests are begun.
    stop: CancellationToken,
    /// Nothing is waited for any more.
    cut: CancellationToken,
}

/// How clients may behave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manners {
    /// How long each may take.
    pub(crate) patience: Duration,
    /// How many connections each may have at once; `None`: as many as it likes.
    pub(crate) connections: Option<usize>,
}

impl Manners {
    /// As the settings say.
    ///
    /// # Errors
    /// When a setting does not parse.
    pub(crate) fn of(settings: &Settings) -> Result<Self, SettingError> {
        let patience: NonZeroU64 = settings.parse("CLIENT_TIMEOUT_MS", NonZeroU64::MIN.saturating_add(9_999))?;
        // Behind a proxy all clients have its address.
        let usual = if settings.parse("TRUSTED_PROXIES", 0_usize)? == 0 { 256 } else { 0 };
        let connections: usize = settings.parse("CONNECTIONS_PER_ADDRESS", usual)?;
        let connections = (connections > 0).then_some(connections);
        Ok(Self { patience: Duration::from_millis(patience.get()), connections })
    }
}

/// Serves until `stop`, then finishes the requests that are running.
pub(crate) async fn serve<E>(listener: TcpListener, endpoint: E, manners: Manners, stop: CancellationToken)
where
    E: Endpoint + 'static,
{
    let (patience, guests) = (manners.patience, Guests::new(manners.connections));
    let (cut, connections) = (CancellationToken::new(), TaskTracker::new());
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let serving = Arc::new(Serving { endpoint, patience, stop: stop.clone(), cut: cut.clone() });
    while let Some((stream, remote, place)) = stop.run_until_cancelled(next(&listener, &places)).await {
        match guests.enter(remote.ip()) {
            Some(guest) => {
                let place = Place::new(place, guest);
                connections.spawn(connection(Arc::clone(&serving), stream, remote, place));
            }
            None => tracing::debug!("a client has too many connections; one more is closed"),
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(FAREWELL, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "connections are cut off");
        cut.cancel();
        connections.wait().await;
    }
}

/// The next connection, once there is a place for it.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    // Never closed, so there always is a place in the end.
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => return (stream, remote, place),
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(EXHAUSTED).await;
            }
        }
    }
}

/// No request came on a connection for too long.
#[derive(PartialEq, Eq)]
enum Quiet {
    FromTheFirst,
    Since,
}

/// Serves one connection to its end.
async fn connection<E: Endpoint + 'static>(
    serving: Arc<Serving<E>>,
    stream: TcpStream,
    remote: SocketAddr,
    place: Place,
) {
    // Answers are written whole; waiting for more to send with them costs 40 ms.
    let _best_effort = stream.set_nodelay(true);
    let local = stream.local_addr().map(Addr::SocketAddr).unwrap_or_default();
    let (patience, began) = (serving.patience, Arc::new(Notify::new()));
    let service = service_fn({
        let (serving, began, place) = (Arc::clone(&serving), Arc::clone(&began), place.clone());
        move |request: Incoming<IncomingBody>| {
            began.notify_one();
            let addresses = (LocalAddr(local.clone()), RemoteAddr(Addr::SocketAddr(remote)));
            let mut request = Request::from((request, addresses.0, addresses.1, Scheme::HTTP));
            request.set_data(place.clone());
            let serving = Arc::clone(&serving);
            async move { Ok::<Outgoing<_>, Infallible>(serving.endpoint.get_response(request).await.into()) }
        }
    });
    let mut builder = Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(IDLE).max_buf_size(MOST_HEAD);
    let stream = TokioIo::new(Stalling::new(stream, patience));
    let mut serve = std::pin::pin!(builder.serve_connection(stream, service).with_upgrades());
    let quiet = async {
        if tokio::time::timeout(patience, began.notified()).await.is_err() {
            return Quiet::FromTheFirst;
        }
        while tokio::time::timeout(IDLE, began.notified()).await.is_ok() {}
        Quiet::Since
    };
    tokio::select! {
        // How it ended is the client's affair, and logged with its requests.
        _ended = &mut serve => return,
        quiet = quiet => if quiet == Quiet::FromTheFirst { return },
        () = serving.stop.cancelled() => {}
    }
    serve.as_mut().graceful_shutdown();
    let long_enough = async {
        tokio::time::sleep(LONGEST_ANSWER).await;
        while place.is_kept() {
            tokio::time::sleep(IDLE).await;
        }
    };
    tokio::select! {
        _ended = serve => {}
        () = long_enough => {}
        () = serving.cut.cancelled() => {}
    }
}
