//! Following: a stream's events from some time ago on, for what a process has to know rather than to do.
//!
//! Nothing is stored and nothing is acknowledged: whoever starts reads the last minutes again. So it is for what only
//! matters for minutes, such as a session that ended while access tokens of it are still good; what must be done goes to a
//! durable consumer ([`crate::consume`]). Events are believed as there: subject, type and ids must agree.
//!
//! Each kind of event is followed by a short-lived consumer of its own, which the server delivers to an inbox of ours and
//! forgets soon after we are gone. It is made anew, from the same time ago on, whenever the connection broke, a message is
//! missing, heartbeats stay out, or the stream was lost and filled again.
//!
//! A process lists what it follows ([`crate::manifest::Manifest::follows`]): the server then permits a consumer of just these
//! subjects. That is why it is named, filtered and pushed to us: an unnamed one could read the whole stream, and whoever may
//! pull may pull for every consumer there is.
//!
//! Trap: an event comes again after each beginning, and after a stream was filled again there are some from days ago. Look at
//! [`Received::time`], and bear repeats.

mod delivery;

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant, SystemTime},
};

use async_nats::{
    Client,
    jetstream::{
        self,
        consumer::{AckPolicy, DeliverPolicy, push},
    },
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use delivery::Deliveries;

use crate::{
    connect::{Connection, jetstream},
    consume::{Received, envelope::Message},
    contracts::Event,
};

/// How often the server says that there is nothing to say.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long the server keeps a consumer that nobody listens to.
const ABANDONED: Duration = Duration::from_secs(5);
/// The pause before it is tried again, doubled with each time that it came to nothing.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Tells whether everything has been seen that was there at the beginning; cheap to clone. Once it is so, it stays so.
#[derive(Debug, Clone)]
pub struct CaughtUp(watch::Receiver<u64>);

impl CaughtUp {
    /// Whether it is so now.
    pub fn now(&self) -> bool {
        *self.0.borrow() > 0
    }

    /// Waits until it is so, at most for `bound`; whether it is.
    pub async fn within(&self, bound: Duration) -> bool {
        let mut told = self.0.clone();
        let waiting = tokio::time::timeout(bound, told.wait_for(|times| *times > 0));
        matches!(waiting.await, Ok(Ok(_)))
    }

    /// Waits until it is so once more, for each beginning that this one has not told of yet: whoever has to know what may have
    /// happened before the time that is looked back to asks for it now. Whether there will be another one.
    pub async fn again(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}

/// Follows the events of type `E`, from so long `ago` on: `take` gets each of them, for as long as the future runs, which is
/// until `stop`.
pub fn follow<E, F>(
    client: &Client,
    ago: Duration,
    take: F,
    stop: CancellationToken,
) -> (CaughtUp, impl Future<Output = ()> + Send + 'static)
where
    E: Event,
    F: Fn(Received<E>) + Send + Sync + 'static,
{
    let (sender, receiver) = watch::channel(0);
    let follower = Follower { client: client.clone(), jetstream: jetstream(client), ago, caught_up: sender };
    let run = async move {
        stop.run_until_cancelled(follower.run::<E>(take)).await;
    };
    (CaughtUp(receiver), run)
}

struct Follower {
    client: Client,
    jetstream: jetstream::Context,
    ago: Duration,
    /// How many beginnings have caught up.
    caught_up: watch::Sender<u64>,
}

impl Follower {
    /// Follows over one connection after the other.
    async fn run<E: Event>(self, take: impl Fn(Received<E>) + Send + Sync) {
        let mut pause = FIRST_PAUSE;
        loop {
            Connection::begins(&self.client).await;
            let (connection, began) = (Connection::of(&self.client), Instant::now());
            let reason = tokio::select! {
                reason = self.over_one::<E>(&take) => reason,
                () = connection.ends() => "the connection to NATS changed".to_owned(),
            };
            tracing::warn!(event = E::event_type(), reason, "following begins anew");
            if began.elapsed() > LONGEST_PAUSE {
                pause = FIRST_PAUSE;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Follows by one consumer for as long as nothing is missing: why that is over.
    async fn over_one<E: Event>(&self, take: &(impl Fn(Received<E>) + Send + Sync)) -> String {
        let mut deliveries = match self.begin::<E>().await {
            Ok(deliveries) => deliveries,
            Err(reason) => return reason,
        };
        let mut behind = true;
        loop {
            if behind && deliveries.are_all() {
                behind = false;
                self.caught_up.send_modify(|times| *times += 1);
            }
            match deliveries.next().await {
                Ok(delivered) => hand_on::<E>(&Message::of(&delivered), take),
                Err(reason) => return reason,
            }
        }
    }

    /// Makes the consumer. Its inbox is listened to before, so that nothing is delivered to nobody.
    async fn begin<E: Event>(&self) -> Result<Deliveries, String> {
        let inbox = self.client.new_inbox();
        let subscription = self.client.subscribe(inbox.clone()).await.map_err(|error| error.to_string())?;
        let since = SystemTime::now().checked_sub(self.ago).unwrap_or(SystemTime::UNIX_EPOCH);
        let config = push::Config {
            deliver_subject: inbox,
            name: Some(format!("follow-{}", uuid::Uuid::new_v4().simple())),
            deliver_policy: DeliverPolicy::ByStartTime { start_time: since.into() },
            filter_subject: E::subject_filter(),
            ack_policy: AckPolicy::None,
            flow_control: true,
            idle_heartbeat: HEARTBEAT,
            inactive_threshold: ABANDONED,
            num_replicas: 1,
            memory_storage: true,
            ..push::Config::default()
        };
        // The jetstream context bounds the wait.
        let made = self.jetstream.create_consumer_on_stream(config, E::stream()).await;
        let made = made.map_err(|error| format!("the stream {} cannot be followed: {error}", E::stream()))?;
        Ok(Deliveries::new(self.jetstream.clone(), subscription, made.cached_info()))
    }
}

/// Hands on one message, when it is an event.
fn hand_on<E: Event>(message: &Message, take: impl Fn(Received<E>)) {
    let subject = message.subject.as_str();
    match message.open::<E>() {
        Ok(received) => {
            // A panic is a failure of this message alone.
            if std::panic::catch_unwind(AssertUnwindSafe(|| take(received))).is_err() {
                tracing::error!(subject, "an event that is followed could not be taken");
            }
        }
        Err(reason) => tracing::error!(subject, reason, "a message that is no event is passed over"),
    }
}
