//! `/livez` and `/readyz` of the gateway.

use std::sync::Arc;

use poem::{Response, handler, http::StatusCode, web::Data};
use serde_json::json;

use crate::Shared;

/// The process runs.
#[handler]
pub(crate) fn livez() -> StatusCode {
    StatusCode::OK
}

/// NATS answers, and what ended before we started is known. Services may be away: their operations then say so themselves.
#[handler]
pub(crate) async fn readyz(Data(shared): Data<&Arc<Shared>>) -> Response {
    let check = tokio::time::timeout(std::time::Duration::from_secs(2), shared.client.flush()).await;
    let connected = shared.client.connection_state() == async_nats::connection::State::Connected;
    let nats = connected && matches!(check, Ok(Ok(())));
    let revocations = shared.following.is_ready();
    let ready = nats && revocations;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let checks = json!({ "nats": { "ok": nats }, "revocations": { "ok": revocations } });
    let body = json!({ "ready": ready, "checks": checks });
    Response::builder().status(status).content_type("application/json").body(body.to_string())
}
