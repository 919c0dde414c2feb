//! What passes on NATS, and what is refused there.

use std::time::Duration;

use futures_util::StreamExt;

/// What the server refuses a user.
pub struct Refusals(pub(super) tokio::sync::mpsc::UnboundedReceiver<String>);

impl Refusals {
    /// The next refusal, or `None` when there is none within `bound`.
    pub async fn next(&mut self, bound: Duration) -> Option<String> {
        tokio::time::timeout(bound, self.0.recv()).await.ok().flatten()
    }
}

/// Everything that passes on a subject.
pub struct Listening {
    pub(super) client: async_nats::Client,
    pub(super) messages: async_nats::Subscriber,
}

#[expect(clippy::expect_used, reason = "a test that cannot set up its world has failed")]
impl Listening {
    /// The next message's body, or `None` when there is none within `bound`.
    pub async fn next(&mut self, bound: Duration) -> Option<String> {
        let message = tokio::time::timeout(bound, self.messages.next()).await.ok().flatten()?;
        Some(String::from_utf8_lossy(&message.payload).into_owned())
    }

    /// Whether nothing has passed on `subject` by now: everything up to a message of our own is looked at.
    pub async fn never(&mut self, subject: &str) -> bool {
        let end = format!("bed.end.{}", uuid::Uuid::new_v4().simple());
        self.client.publish(end.clone(), "".into()).await.expect("the server");
        while let Some(message) = self.messages.next().await {
            if message.subject.as_str() == subject {
                return false;
            }
            if message.subject.as_str() == end {
                break;
            }
        }
        true
    }
}
