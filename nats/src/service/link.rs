//! Which connection to NATS there is, told to whoever subscribes.
//!
//! The client tells of it only to the callback that it was made with, so one task of the process looks. It looks more often
//! than the client can lose a connection and have the next one, which takes it 25 ms at least.

use std::time::Duration;

use async_nats::{Client, connection::State};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::connect::connects;

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// The connection of the moment, or that there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    /// Whether there is one.
    pub(super) up: bool,
    /// How often the client has connected so far.
    connects: u64,
}

impl Link {
    /// That of now.
    pub(super) fn of(client: &Client) -> Self {
        Self { up: client.connection_state() == State::Connected, connects: connects(client) }
    }

    /// The number of the connection that a subscription made now is first delivered over: this one, or the next.
    pub(super) fn number(self) -> u64 {
        self.connects + u64::from(!self.up)
    }
}

/// Tells of every change, as long as the future runs: until `stop`.
pub(super) fn watch(
    client: &Client,
    stop: CancellationToken,
) -> (watch::Receiver<Link>, impl Future<Output = ()> + Send + 'static) {
    let (sender, receiver) = watch::channel(Link::of(client));
    let client = client.clone();
    let look = async move {
        while !stop.is_cancelled() {
            tokio::time::sleep(LOOK).await;
            let now = Link::of(&client);
            sender.send_if_modified(|known| std::mem::replace(known, now) != now);
        }
        // Those who listen are stopping; without a sender they would hear of a change at once, for ever.
        sender.closed().await;
    };
    (receiver, look)
}
