//! One connection of a client, which makes a new one whenever it loses the last.

use std::{sync::atomic::Ordering, time::Duration};

use async_nats::{Client, connection::State};

/// How often it is looked at: the client tells of a loss only to the callback that it was made with.
const LOOK: Duration = Duration::from_millis(100);

/// The connection that something came over, as long as it lasts; cheap to clone.
#[derive(Clone)]
pub(crate) struct Connection {
    client: Client,
    connects: u64,
}

impl Connection {
    /// That of now.
    pub(crate) fn of(client: &Client) -> Self {
        Self { client: client.clone(), connects: connects(client) }
    }

    /// Whether it is still there.
    pub(crate) fn lasts(&self) -> bool {
        is_there(&self.client) && connects(&self.client) == self.connects
    }

    /// Waits until it is gone.
    pub(crate) async fn ends(&self) {
        while self.lasts() {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until there is one.
    pub(crate) async fn begins(client: &Client) {
        while !is_there(client) {
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn is_there(client: &Client) -> bool {
    client.connection_state() == State::Connected
}

/// How often the client has connected so far.
pub(crate) fn connects(client: &Client) -> u64 {
    client.statistics().connects.load(Ordering::Relaxed)
}
