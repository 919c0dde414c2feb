//! One endpoint of an instance: takes requests from its queue group, works on a bounded number at once, and stops without
//! losing any.
//!
//! Trap: between our UNSUB and the moment the server has read it, requests are on the wire that nobody else will get. The
//! client forgets a subscription as it unsubscribes, and drops them. So we ask the server to end the subscription after a
//! number of further messages, which both sides count the same, and unsubscribe at once only where nobody asks.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use async_nats::{Client, HeaderMap, Message, Subscriber};
use bytes::Bytes;
use futures_util::{StreamExt, future::BoxFuture};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::discovery::EndpointStats;
use crate::invoke::{EXPIRES, Responder, expired};

/// How many requests one endpoint of one instance works on at once; the next one is told that it is full.
const CONCURRENCY: usize = 512;
/// How many messages may be on the wire to us at once when we stop under load.
const ON_THE_WIRE: u64 = 64;
/// How long an endpoint that stops waits for so many.
const BUSY_WAIT: Duration = Duration::from_millis(100);
/// How long one that is asked rarely waits for the last two.
const CALM_WAIT: Duration = Duration::from_millis(400);

/// What an overloaded endpoint answers.
pub(super) type Overloaded = fn(Request) -> BoxFuture<'static, ()>;

/// A request message, to be answered.
pub(crate) struct Request {
    /// The message.
    pub(crate) message: Message,
    client: Client,
    stats: Arc<EndpointStats>,
    since: Instant,
}

impl Request {
    /// Answers; `failed` says why when it is an error of ours.
    pub(crate) async fn respond(self, headers: HeaderMap, payload: Bytes, failed: Option<&str>) {
        self.stats.answered(self.since.elapsed(), failed);
        let Some(reply) = self.message.reply else { return };
        if let Err(error) = self.client.publish_with_headers(reply, headers, payload).await {
            tracing::warn!(%error, "the answer could not be sent");
        }
    }
}

/// An endpoint that is subscribed.
pub(super) struct Endpoint {
    pub(super) requests: Subscriber,
    pub(super) client: Client,
    pub(super) stats: Arc<EndpointStats>,
    /// The beginning of the reply subjects of those who may ask.
    pub(super) inbox: &'static str,
    pub(super) responder: Responder,
    pub(super) overloaded: Overloaded,
}

impl Endpoint {
    /// Takes requests until `stop`, then those that the server has sent already, and finishes them all.
    pub(super) async fn serve(mut self, stop: CancellationToken) {
        let permits = Arc::new(Semaphore::new(CONCURRENCY));
        let working = TaskTracker::new();
        let mut taken = 0_u64;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                message = self.requests.next() => match message {
                    Some(message) => {
                        taken += 1;
                        self.take(message, &permits, &working);
                    }
                    None => break,
                }
            }
        }
        for (further, wait) in [(ON_THE_WIRE, BUSY_WAIT), (2, CALM_WAIT)] {
            let before = taken;
            if let Err(error) = self.requests.unsubscribe_after(taken + further).await {
                tracing::debug!(%error, "unsubscribing failed");
            }
            let ended = async {
                while let Some(message) = self.requests.next().await {
                    taken += 1;
                    self.take(message, &permits, &working);
                }
            };
            // Ended by the count: nothing is lost. Or nobody asked: then there is nothing on the wire.
            if tokio::time::timeout(wait, ended).await.is_ok() || taken == before {
                break;
            }
        }
        if let Err(error) = self.requests.drain().await {
            tracing::debug!(%error, "unsubscribing failed");
        }
        while let Ok(Some(message)) = tokio::time::timeout(Duration::from_millis(50), self.requests.next()).await {
            self.take(message, &permits, &working);
        }
        working.close();
        working.wait().await;
    }

    fn take(&self, message: Message, permits: &Arc<Semaphore>, working: &TaskTracker) {
        if !trusted(&message, self.inbox) {
            return;
        }
        let stats = Arc::clone(&self.stats);
        let request =
            Request { message, client: self.client.clone(), stats: Arc::clone(&stats), since: Instant::now() };
        match Arc::clone(permits).try_acquire_owned() {
            Ok(permit) => {
                let work = (self.responder)(request);
                stats.working.fetch_add(1, Ordering::Relaxed);
                working.spawn(async move {
                    work.await;
                    stats.working.fetch_sub(1, Ordering::Relaxed);
                    drop(permit);
                });
            }
            Err(_full) => {
                if stats.shed.fetch_add(1, Ordering::Relaxed).is_multiple_of(1_000) {
                    tracing::warn!("shedding load: {CONCURRENCY} requests are being worked on");
                }
                working.spawn((self.overloaded)(request));
            }
        }
    }
}

/// Whether a request comes from somebody who waits for its answer.
///
/// Permissions say who may publish here, but a user of JetStream can have the server publish for it, by naming our subject
/// as its reply. Such a message has no inbox to answer to. What has waited past its caller's patience (a client sends on
/// reconnect what it queued while disconnected) is dropped as well: its caller was told that nothing is known.
fn trusted(message: &Message, inbox: &str) -> bool {
    if !message.reply.as_ref().is_some_and(|reply| reply.as_str().starts_with(inbox)) {
        tracing::error!(subject = %message.subject, reply = ?message.reply, "a request from nobody who may ask; dropped");
        return false;
    }
    let expires = message.headers.as_ref().and_then(|headers| headers.get(EXPIRES)).map(|text| text.as_str());
    if expires.is_some_and(expired) {
        tracing::warn!(subject = %message.subject, "a request came too late; dropped");
        return false;
    }
    true
}
