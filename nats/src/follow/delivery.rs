//! What the server delivers to an inbox: messages one after the other, that it is still there, and whether we keep up.
//!
//! Trap: an inbox takes what anybody sends who may answer us. Only what has the consumer's own numbers counts as delivered;
//! whether that is an event is seen afterwards.

use std::time::Duration;

use async_nats::{
    StatusCode, Subscriber,
    jetstream::{Context, Message, consumer},
};
use futures_util::StreamExt;

use super::HEARTBEAT;

/// When nothing came for so long, not even a heartbeat, the consumer is gone.
const PATIENCE: Duration = HEARTBEAT.saturating_mul(4);
/// Where the server hears that we keep up.
const FLOW_CONTROL: &str = "$JS.FC.";

/// What a consumer delivers.
pub(super) struct Deliveries {
    jetstream: Context,
    subscription: Subscriber,
    /// How many messages have come.
    came: u64,
    /// How many there were when the consumer was made.
    were_there: u64,
}

impl Deliveries {
    /// Of the consumer that delivers to this subscription, as it was when it was made.
    pub(super) fn new(jetstream: Context, subscription: Subscriber, made: &consumer::Info) -> Self {
        // It may have begun to deliver before it was described.
        let were_there = made.delivered.consumer_sequence.saturating_add(made.num_pending);
        Self { jetstream, subscription, came: 0, were_there }
    }

    /// Whether all have come that were there when the consumer was made.
    pub(super) const fn are_all(&self) -> bool {
        self.came >= self.were_there
    }

    /// The next message; waits for it.
    ///
    /// # Errors
    /// That one is missing, or that the consumer is gone, as a sentence.
    pub(super) async fn next(&mut self) -> Result<Message, String> {
        loop {
            let came = tokio::time::timeout(PATIENCE, self.subscription.next()).await;
            let came = came.map_err(|_elapsed| format!("nothing came within {PATIENCE:?}, not even a heartbeat"))?;
            let message = came.ok_or("the subscription ended")?;
            let delivered = Message { message, context: self.jetstream.clone() };
            // First of all: a stored message may look like a heartbeat.
            let Some(number) = delivered.info().ok().map(|info| info.consumer_sequence) else {
                self.heed(&delivered).await?;
                continue;
            };
            self.came += 1;
            if number != self.came {
                return Err(format!("the message {} is missing", self.came));
            }
            return Ok(delivered);
        }
    }

    /// Heeds what the server has to say besides messages.
    async fn heed(&self, word: &Message) -> Result<(), String> {
        match word.status {
            Some(StatusCode::IDLE_HEARTBEAT) => {}
            None => {
                tracing::error!(subject = %word.subject, "a message that was not delivered by the stream is passed over");
                return Ok(());
            }
            Some(status) => {
                return Err(format!("the server says {status} {}", word.description.as_deref().unwrap_or_default()));
            }
        }
        let header = |name: &str| word.headers.as_ref()?.get(name).map(|value| value.as_str());
        let last: Option<u64> = header("Nats-Last-Consumer").and_then(|number| number.parse().ok());
        if last.is_some_and(|last| last > self.came) {
            return Err(format!("the message {} is missing", self.came + 1));
        }
        let asked = [word.reply.as_deref(), header("Nats-Consumer-Stalled")].into_iter().flatten();
        for subject in asked.filter(|subject| subject.starts_with(FLOW_CONTROL)) {
            let answer = self.jetstream.client().publish(subject.to_owned(), "".into()).await;
            answer.map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}
