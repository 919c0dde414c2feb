//! The connection to NATS, as every process makes it.
//!
//! | setting | meaning | when unset |
//! |---|---|---|
//! | `NATS_URL` | `nats://host:port`, several separated by commas | `nats://127.0.0.1:4222` |
//! | `NATS_SEED` | the nkey seed of the process's own user | required |
//!
//! Trap: a publication or subscription that the user's permissions refuse is not an error of the call; it shows up as a
//! server error in the log, and a request on it times out.

mod connection;

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::{Client, ConnectOptions, Event, jetstream};

use crate::config::{SettingError, Settings};

pub(crate) use connection::{Connection, connects};

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

/// How long JetStream may take over one request or acknowledgement. A server that died answers never, and who waits
/// tries again: the shorter, the shorter is the gap until the next one has taken over.
const JETSTREAM_WITHIN: Duration = Duration::from_secs(2);

/// A JetStream context on `client`.
pub fn jetstream(client: &Client) -> jetstream::Context {
    jetstream::context::ContextBuilder::new()
        .timeout(JETSTREAM_WITHIN)
        .ack_timeout(JETSTREAM_WITHIN)
        .build(client.clone())
}

/// How many requests may stay without a reply over one connection before it is replaced: the client never forgets them,
/// which costs some 360 bytes each.
const MOST_TIMEOUTS: u64 = 100_000;

/// The connection that requests are made over; cheap to clone.
///
/// Trap: the client keeps an entry for each request that timed out, for as long as it lives. So the connection is replaced
/// after a great many of them, and the old one goes with its last request.
#[derive(Clone)]
pub struct Requests(Arc<Inner>);

struct Inner {
    current: RwLock<Client>,
    timeouts: AtomicU64,
    renewing: AtomicBool,
    renewal: Option<Renewal>,
}

struct Renewal {
    settings: Settings,
    user: String,
    after: u64,
}

impl Requests {
    /// Over this connection, for as long as it lives: for commands and tests.
    pub fn over(client: Client) -> Self {
        Self::new(client, None)
    }

    /// Over this connection first, and over a new one as `user` whenever too many requests have timed out.
    pub fn renewed(client: Client, settings: &Settings, user: &str) -> Self {
        Self::renewed_after(MOST_TIMEOUTS, client, settings, user)
    }

    /// As [`Requests::renewed`], after so many timeouts.
    pub fn renewed_after(after: u64, client: Client, settings: &Settings, user: &str) -> Self {
        Self::new(client, Some(Renewal { settings: settings.clone(), user: user.to_owned(), after }))
    }

    fn new(client: Client, renewal: Option<Renewal>) -> Self {
        let current = RwLock::new(client);
        Self(Arc::new(Inner { current, timeouts: AtomicU64::new(0), renewing: AtomicBool::new(false), renewal }))
    }

    /// The connection of the moment.
    pub fn client(&self) -> Client {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// So many requests got no reply in time, or nobody waited for it any more.
    pub(crate) fn timed_out(&self, requests: u64) {
        let timeouts = self.0.timeouts.fetch_add(requests, Ordering::Relaxed).saturating_add(requests);
        let Some(renewal) = self.0.renewal.as_ref().filter(|renewal| timeouts >= renewal.after) else { return };
        if self.0.renewing.swap(true, Ordering::AcqRel) {
            return;
        }
        tracing::warn!(timeouts, user = renewal.user, "so many requests timed out; the connection is replaced");
        let this = self.clone();
        tokio::spawn(async move {
            if let Some(Renewal { settings, user, .. }) = &this.0.renewal {
                match connect(settings, user).await {
                    Ok(client) => {
                        *this.0.current.write().unwrap_or_else(PoisonError::into_inner) = client;
                        this.0.timeouts.store(0, Ordering::Relaxed);
                    }
                    Err(error) => tracing::warn!(%error, "the connection could not be replaced yet"),
                }
            }
            this.0.renewing.store(false, Ordering::Release);
        });
    }
}

/// The prefix of a user's inboxes: what it may subscribe to, and where others may answer it.
pub fn inbox_prefix(user: &str) -> String {
    format!("_INBOX_{user}")
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
