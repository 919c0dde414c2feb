//! The ops endpoint: `/livez` and `/readyz` on a port of its own, never public.
//!
//! | setting | meaning | when unset |
//! |---|---|---|
//! | `OPS_ADDR` | where to listen, such as `127.0.0.1:9101` | no ops endpoint |

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::ExitCode,
    time::{Duration, Instant},
};

use diesel_async::SimpleAsyncConnection;
use poem::{
    EndpointExt, IntoResponse, Response, Route, Server, get, handler, http::StatusCode, listener::TcpListener,
    web::Data,
};
use serde_json::{Value, json};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Runtime, StartError};
use crate::config::Settings;

/// Listens, when the setting says where.
pub(super) async fn serve(runtime: &Runtime, stop: &CancellationToken, tasks: &TaskTracker) -> Result<(), StartError> {
    let Some(address) = runtime.settings.get("OPS_ADDR")? else { return Ok(()) };
    let routes = Route::new().at("/livez", get(livez)).at("/readyz", get(readyz)).data(runtime.clone());
    let listener =
        poem::listener::Listener::into_acceptor(TcpListener::bind(address.clone())).await.map_err(|error| {
            StartError::Other(format!("OPS_ADDR {address} cannot be listened on ({error}); choose another port"))
        })?;
    let stopping = stop.clone();
    tasks.spawn(async move {
        let server = Server::new_with_acceptor(listener).run_with_graceful_shutdown(
            routes,
            async move { stopping.cancelled().await },
            Some(Duration::from_secs(1)),
        );
        if let Err(error) = server.await {
            tracing::error!(%error, "the ops endpoint ended");
        }
    });
    Ok(())
}

/// The process runs.
#[handler]
fn livez() -> StatusCode {
    StatusCode::OK
}

/// The process can do its work: every dependency answers.
#[handler]
async fn readyz(Data(runtime): Data<&Runtime>) -> Response {
    let database = timed(async {
        let mut connection = runtime.database.connection().await.map_err(|error| error.to_string())?;
        connection.batch_execute("select 1").await.map_err(|error| error.to_string())
    })
    .await;
    let nats = timed(async {
        match runtime.client.connection_state() {
            async_nats::connection::State::Connected => runtime.client.flush().await.map_err(|error| error.to_string()),
            other => Err(format!("{other}")),
        }
    })
    .await;
    let ready = [&database, &nats].iter().all(|check| check["ok"] == json!(true));
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({ "ready": ready, "checks": { "database": database, "nats": nats } });
    Response::builder().status(status).content_type("application/json").body(body.to_string()).into_response()
}

async fn timed(check: impl Future<Output = Result<(), String>>) -> Value {
    let started = Instant::now();
    let outcome = tokio::time::timeout(Duration::from_secs(2), check)
        .await
        .unwrap_or_else(|_| Err("no answer in 2 s".to_owned()));
    let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    match outcome {
        Ok(()) => json!({ "ok": true, "micros": micros }),
        Err(reason) => json!({ "ok": false, "micros": micros, "reason": reason }),
    }
}

/// Asks the instance at `OPS_ADDR` whether it is ready (for container health checks).
pub(super) fn check(settings: &Settings) -> ExitCode {
    let ready = || -> Option<bool> {
        let address = settings.get("OPS_ADDR").ok()??.replace("0.0.0.0", "127.0.0.1");
        let mut stream = TcpStream::connect(&address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(3))).ok()?;
        write!(stream, "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer.starts_with("HTTP/1.1 200"))
    };
    if ready() == Some(true) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
