//! The dead letters: messages that could not be handled, kept until someone redrives them.

use async_nats::{HeaderMap, HeaderValue, jetstream};

use super::Failure;

/// Puts a copy of `message` on `dead.<service>.<durable>`, with the reason and where it came from.
pub(super) async fn bury(
    jetstream: &jetstream::Context,
    service: &str,
    durable: &str,
    message: &jetstream::Message,
    failure: &Failure,
) -> Result<(), String> {
    let mut headers = HeaderMap::new();
    for (name, values) in message.headers.iter().flat_map(HeaderMap::iter) {
        // The server's own headers would deduplicate the copy against the original, or refuse it.
        let renamed = if name.to_string().starts_with("Nats-") { format!("Dead-{name}") } else { name.to_string() };
        for value in values {
            headers.append(renamed.as_str(), value.clone());
        }
    }
    let info = message.info().map_err(|error| error.to_string())?;
    let reason: String = failure.to_string().chars().filter(|c| !c.is_control()).take(500).collect();
    headers.insert("Dead-Reason", reason.parse::<HeaderValue>().map_err(|error| error.to_string())?);
    headers.insert("Dead-Subject", message.subject.as_str());
    headers.insert("Dead-Stream", info.stream);
    headers.insert("Dead-Sequence", info.stream_sequence.to_string().as_str());
    headers.insert("Dead-Attempts", info.delivered.to_string().as_str());
    // Burying twice (an acknowledgement lost) keeps one.
    headers.insert("Nats-Msg-Id", format!("{durable}:{}:{}", info.stream, info.stream_sequence).as_str());
    jetstream
        .publish_with_headers(format!("dead.{service}.{durable}"), headers, message.payload.clone())
        .await
        .map_err(|error| error.to_string())?
        .await
        .map(drop)
        .map_err(|error| error.to_string())
}
