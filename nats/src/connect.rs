//! The connection to NATS, as every process makes it.
//!
//! | setting | meaning | when unset |
//! |---|---|---|
//! | `NATS_URL` | `nats://host:port`, several separated by commas | `nats://127.0.0.1:4222` |
//! | `NATS_SEED` | the nkey seed of the process's own user | required |
//!
//! Trap: a publication or subscription that the user's permissions refuse is not an error of the call; it shows up as a
//! server error in the log, and a request on it times out.

use std::{sync::atomic::Ordering, time::Duration};

use async_nats::{Client, ConnectOptions, Event, jetstream};

use crate::config::{SettingError, Settings};

const PATIENCE: Duration = Duration::from_secs(60);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A setting is missing or wrong.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The server cannot be reached, or does not know the user.
    #[error("NATS cannot be reached at {url}; is it running, and is NATS_SEED the seed of a user it knows? ({reason})")]
    Unreachable {
        /// Where we tried.
        url: String,
        /// The client's own words.
        reason: String,
    },
}

/// Connects as `user`, waiting up to a minute for the server.
///
/// # Errors
/// See [`ConnectError`].
pub async fn connect(settings: &Settings, user: &str) -> Result<Client, ConnectError> {
    let url: String = settings.parse("NATS_URL", "nats://127.0.0.1:4222".to_owned())?;
    let seed = settings.require("NATS_SEED")?;
    let servers: Vec<String> = url.split(',').map(|part| part.trim().to_owned()).collect();
    let started = tokio::time::Instant::now();
    let mut delay = Duration::from_millis(50);
    loop {
        match options(user, &seed).connect(&servers).await {
            Ok(client) => return Ok(client),
            Err(error) if started.elapsed() > PATIENCE => {
                return Err(ConnectError::Unreachable { url, reason: error.to_string() });
            }
            Err(error) => {
                tracing::warn!(%error, "waiting for NATS");
                tokio::time::sleep(delay).await;
                delay = (delay * 2).min(Duration::from_secs(2));
            }
        }
    }
}

/// A JetStream context on `client`.
pub fn jetstream(client: &Client) -> jetstream::Context {
    jetstream::context::ContextBuilder::new()
        .timeout(Duration::from_secs(5))
        .ack_timeout(Duration::from_secs(5))
        .build(client.clone())
}

/// The prefix of a user's inboxes: what it may subscribe to, and where others may answer it.
pub fn inbox_prefix(user: &str) -> String {
    format!("_INBOX_{user}")
}

/// How often the client has connected so far.
pub(crate) fn connects(client: &Client) -> u64 {
    client.statistics().connects.load(Ordering::Relaxed)
}

fn options(user: &str, seed: &str) -> ConnectOptions {
    ConnectOptions::with_nkey(seed.to_owned())
        .name(user)
        .custom_inbox_prefix(inbox_prefix(user))
        // A half-open connection is noticed within ten seconds instead of minutes.
        .ping_interval(Duration::from_secs(5))
        .connection_timeout(Duration::from_secs(5))
        .reconnect_delay_callback(|attempt| {
            let doubled = Duration::from_millis(25).saturating_mul(1 << attempt.min(7));
            // Between half of it and all of it, so that a crowd of clients spreads out.
            doubled * rand::random_range(50..=100) / 100
        })
        .event_callback(|event| async move {
            match event {
                Event::Connected => tracing::info!("connected to NATS"),
                Event::Disconnected => tracing::warn!("disconnected from NATS"),
                Event::ServerError(error) => tracing::error!(%error, "NATS refused something"),
                Event::SlowConsumer(subscription) => {
                    tracing::error!(subscription, "a subscription overflowed; messages were lost")
                }
                other => tracing::debug!(event = %other, "NATS"),
            }
        })
}
