//! A delivered message, and what is said of it.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_nats::jetstream::{self, AckKind};

use crate::connect::Connection;

/// A message, and the connection it was delivered over.
///
/// Trap: an acknowledgement names the message by its sequence in the stream alone. A server that comes back with an older
/// store gives the same sequence to another message, and would take that one for handled. So nothing is said about a message
/// once its connection is known to be gone; it is delivered again, and the inbox knows it. What was queued in the moment in
/// which the connection broke, the client still sends as the first over the next one: to do harm, a store that was set back
/// would have to be filled up again before that.
pub(super) struct Delivered {
    pub(super) message: jetstream::Message,
    pub(super) connection: Connection,
    /// Whether it is settled: then it is not said any more that it is being worked on, which would put off its next delivery.
    settled: AtomicBool,
}

impl Delivered {
    pub(super) const fn new(message: jetstream::Message, connection: Connection) -> Self {
        Self { message, connection, settled: AtomicBool::new(false) }
    }

    pub(super) async fn answer(&self, ack: AckKind) {
        let progress = matches!(ack, AckKind::Progress);
        if progress && self.settled.load(Ordering::Relaxed) {
            return;
        }
        self.settled.store(!progress, Ordering::Relaxed);
        if !self.connection.lasts() {
            tracing::debug!("the connection it came over is gone; it will come again");
            return;
        }
        if let Err(error) = self.message.ack_with(ack).await {
            tracing::debug!(%error, "not acknowledged; it will come again");
        }
    }

    /// Which delivery of the message this is; 1 is the first.
    pub(super) fn attempt(&self) -> i64 {
        self.message.info().map_or(1, |info| info.delivered)
    }

    /// It was not begun: another instance may have it at once.
    pub(super) async fn give_back(&self) {
        self.answer(AckKind::Nak(Some(Duration::from_millis(100)))).await;
    }
}
