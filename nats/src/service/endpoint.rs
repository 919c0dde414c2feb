//! One endpoint of an instance: takes requests from its queue group, works on a bounded number at once, and stops without
//! losing any.
//!
//! Trap: between our UNSUB and the moment the server has read it, requests are on the wire that nobody else will get. The
//! client forgets a subscription as it unsubscribes, and drops them. So we ask the server to end the subscription after a
//! number of further messages, which both sides count the same, and unsubscribe at once only where nobody asks.
//!
//! They count the same over one connection only: the next server begins at zero, the client goes on. So each connection
//! gets a subscription of its own, made while there is none, when nothing can be on the wire.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use async_nats::{Client, HeaderMap, Message, SubscribeError, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::BoxFuture};
use tokio::sync::{Semaphore, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{discovery::EndpointStats, link::Link, run::prove_reachable};
use crate::invoke::{EXPIRES, Responder, expired};

/// How many requests one endpoint of one instance works on at once; the next one is told that it is full.
const CONCURRENCY: usize = 512;
/// How many messages may be on the wire to us at once when we stop under load.
const ON_THE_WIRE: u64 = 64;
/// How long an endpoint that stops waits for so many.
const BUSY_WAIT: Duration = Duration::from_millis(100);
/// How long one that is asked less often waits for twice as many as came meanwhile.
const CALM_WAIT: Duration = Duration::from_millis(400);
/// How often it waits in all.
const LOOKS: usize = 4;
/// How long a message may take to the server and back, for an endpoint that stops to wait for it.
const CROSS_WITHIN: Duration = Duration::from_secs(1);
/// How long one that has unsubscribed waits for the last one.
const LAST_WAIT: Duration = Duration::from_millis(50);

/// What an overloaded endpoint answers.
type Overloaded = fn(Request) -> BoxFuture<'static, ()>;

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

/// An endpoint that answers on a subject.
pub(super) struct Endpoint {
    client: Client,
    pub(super) stats: Arc<EndpointStats>,
    /// The beginning of the reply subjects of those who may ask.
    inbox: &'static str,
    responder: Responder,
    overloaded: Overloaded,
    permits: Arc<Semaphore>,
    working: TaskTracker,
}

/// A subscription, and what both sides count of it.
pub(super) struct Subscription {
    requests: Subscriber,
    /// The connection that it counts on.
    link: u64,
    /// How many requests it has brought.
    taken: u64,
}

impl Subscription {
    /// The next request, once there is one.
    async fn next(&mut self) -> Option<Message> {
        let message = self.requests.next().await?;
        self.taken += 1;
        Some(message)
    }

    /// The next request, if it is here already.
    fn waiting(&mut self) -> Option<Message> {
        self.next().now_or_never().flatten()
    }
}

impl Endpoint {
    pub(super) fn new(
        client: &Client,
        stats: Arc<EndpointStats>,
        inbox: &'static str,
        (responder, overloaded): (Responder, Overloaded),
    ) -> Self {
        let permits = Arc::new(Semaphore::new(CONCURRENCY));
        Self { client: client.clone(), stats, inbox, responder, overloaded, permits, working: TaskTracker::new() }
    }

    /// Subscribes in the service's queue group.
    pub(super) async fn subscribe(&self) -> Result<Subscription, SubscribeError> {
        let link = Link::of(&self.client).number();
        let (subject, group) = (self.stats.subject.clone(), self.stats.queue_group.to_owned());
        let requests = self.client.queue_subscribe(subject, group).await?;
        Ok(Subscription { requests, link, taken: 0 })
    }

    /// Takes requests until `stop`, then those that the server has sent already, and finishes them all.
    pub(super) async fn serve(
        self,
        mut subscription: Subscription,
        mut links: watch::Receiver<Link>,
        stop: CancellationToken,
    ) {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                message = subscription.next() => match message {
                    Some(message) => self.take(message),
                    None => break,
                },
                _changed = links.changed() => {
                    links.mark_unchanged();
                    match self.renewed(subscription).await {
                        Ok(renewed) => subscription = renewed,
                        Err(error) => {
                            tracing::error!(%error, subject = self.stats.subject, "subscribing again failed");
                            return self.finish().await;
                        }
                    }
                }
            }
        }
        self.unsubscribe(subscription).await;
        self.finish().await;
    }

    /// The subscription that counts on the connection of now; on the next one, while there is none.
    async fn renewed(&self, mut old: Subscription) -> Result<Subscription, SubscribeError> {
        let link = Link::of(&self.client);
        if link.number() == old.link {
            return Ok(old);
        }
        while let Some(message) = old.waiting() {
            self.take(message);
        }
        if !link.up {
            // First gone, or the client would subscribe it again.
            drop(old);
            return self.subscribe().await;
        }
        // The next connection was there before anybody looked, and requests may be on the wire.
        let renewed = self.subscribe().await?;
        self.drain(old).await;
        Ok(renewed)
    }

    /// Has the server end a subscription, and takes what it has sent already.
    async fn unsubscribe(&self, mut subscription: Subscription) {
        let (mut further, mut wait) = (ON_THE_WIRE, BUSY_WAIT);
        for _ in 0..LOOKS {
            if Link::of(&self.client).number() != subscription.link {
                // The server does not count as we do.
                break;
            }
            let before = subscription.taken;
            if let Err(error) = subscription.requests.unsubscribe_after(before + further).await {
                tracing::debug!(%error, "unsubscribing failed");
            }
            let ended = async {
                while let Some(message) = subscription.next().await {
                    self.take(message);
                }
            };
            // Ended by the count: nothing is lost.
            if tokio::time::timeout(wait, ended).await.is_ok() {
                return;
            }
            // A count that is too low for what is on the wire loses it. After this, nothing is that was sent before.
            let crossed = prove_reachable(&self.client, self.stats.queue_group);
            let _crossed_or_not = tokio::time::timeout(CROSS_WITHIN, crossed).await;
            while let Some(message) = subscription.waiting() {
                self.take(message);
            }
            let came = subscription.taken - before;
            if came == 0 {
                // Nobody asks.
                break;
            }
            (further, wait) = (2 * came, CALM_WAIT);
        }
        if Link::of(&self.client).up {
            return self.drain(subscription).await;
        }
        // Nothing is on the wire, and what is dropped now the client does not subscribe again.
        while let Some(message) = subscription.waiting() {
            self.take(message);
        }
    }

    /// Unsubscribes at once, and takes what is here already.
    async fn drain(&self, mut subscription: Subscription) {
        if let Err(error) = subscription.requests.drain().await {
            tracing::debug!(%error, "unsubscribing failed");
        }
        while let Ok(Some(message)) = tokio::time::timeout(LAST_WAIT, subscription.next()).await {
            self.take(message);
        }
    }

    async fn finish(&self) {
        self.working.close();
        self.working.wait().await;
    }

    fn take(&self, message: Message) {
        if !trusted(&message, self.inbox) {
            return;
        }
        let late = is_late(&message);
        let stats = Arc::clone(&self.stats);
        let request =
            Request { message, client: self.client.clone(), stats: Arc::clone(&stats), since: Instant::now() };
        if late {
            self.working.spawn((self.overloaded)(request));
            return;
        }
        match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => {
                let work = (self.responder)(request);
                stats.working.fetch_add(1, Ordering::Relaxed);
                self.working.spawn(async move {
                    work.await;
                    stats.working.fetch_sub(1, Ordering::Relaxed);
                    drop(permit);
                });
            }
            Err(_full) => {
                if stats.shed.fetch_add(1, Ordering::Relaxed).is_multiple_of(1_000) {
                    tracing::warn!("shedding load: {CONCURRENCY} requests are being worked on");
                }
                self.working.spawn((self.overloaded)(request));
            }
        }
    }
}

/// Whether a request comes from somebody who waits for its answer.
///
/// Permissions say who may publish here, but a user of JetStream can have the server publish for it, by naming our subject
/// as its reply. Such a message has no inbox to answer to.
fn trusted(message: &Message, inbox: &str) -> bool {
    let trusted = message.reply.as_ref().is_some_and(|reply| reply.as_str().starts_with(inbox));
    if !trusted {
        tracing::error!(subject = %message.subject, reply = ?message.reply, "a request from nobody who may ask; dropped");
    }
    trusted
}

/// Whether a request has waited past its caller's patience (a client sends on reconnect what it queued while disconnected):
/// its caller was told that nothing is known, so nothing may be done. It is told so once more, because it may be our clock
/// that is wrong: then the caller hears that another instance should be asked.
fn is_late(message: &Message) -> bool {
    let expires = message.headers.as_ref().and_then(|headers| headers.get(EXPIRES)).map(|text| text.as_str());
    let late = expires.is_some_and(expired);
    if late {
        tracing::warn!(subject = %message.subject, "a request came too late, or the clocks differ; nothing is done");
    }
    late
}
