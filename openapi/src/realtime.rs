//! Realtime: what happens to a person's things, told while they look, as server-sent events or over a WebSocket.
//!
//! svc-notify writes the messages, numbers each person's without a gap, and publishes each on that person's own subject.
//! The gateway follows all of them at once ([`nats::follow`]) and hands each to the connections of that person ([`hub`]).
//! Nothing is stored here: whoever comes says which message they had last, and gets those after it from svc-notify
//! ([`feed`]), also whenever a number is missing or following had to begin anew. So a message may come late; it is never
//! passed over and never comes twice.
//!
//! | end of a stream | server-sent event | WebSocket |
//! |---|---|---|
//! | the client takes in too little | `dropped` | 1013 |
//! | the token or key has ended, or its session | `unauthenticated` | 4401 |
//! | the gateway stops | `restarting` | 1012 |
//! | svc-notify cannot be asked for what is missing | `interrupted` | 1013 |
//! | the client answers no ping | — | 4408 |
//! | the client sends something | — | 1003 |
//!
//! After each of them a client comes again, with the id of the last message it had.
//!
//! | setting | meaning | when unset |
//! |---|---|---|
//! | `STREAM_KEEP_ALIVE_MS` | how often a client hears that the stream is alive, and how long it may take to answer a ping | 15000 |
//! | `STREAMS_PER_USER` | how many streams one person may have at this gateway | 8 |
//!
//! Trap: a browser's own `EventSource` and `WebSocket` send no `Authorization`. A token in their URL would stand in logs and
//! histories; so they bring a ticket ([`ticket`]), which is worth nothing once it was used.

mod api;
mod feed;
mod hub;
mod socket;
mod sse;
mod ticket;

use std::{num::NonZeroU64, sync::Arc, time::Duration};

use async_nats::Client;
use nats::{
    config::Settings,
    connect::jetstream,
    consume::Received,
    contracts::notify::{MessagePosted, STREAM_TICKETS, StreamTicket},
    follow::follow,
    invoke::Caller,
    manifest::{BucketEntry, FollowEntry},
    problem::{Code, Problem},
    service::StartError,
    state::State,
    types::{ApiKeyId, SessionId, UserId},
};
use poem::{Endpoint, EndpointExt, Request, Response, Route, endpoint::BoxEndpoint, http::Method};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use api::{StreamApi, describe};
pub(crate) use hub::Hub;
pub(crate) use ticket::{TICKET, brought};

use crate::{cors::Origins, revoked::Revoked, route::Operation};
use feed::Feeds;
use ticket::Tickets;

/// How far is looked back when following begins anew: longer than a message takes from its transaction to the stream.
/// Whatever is older is asked for.
const LOOKED_BACK: Duration = Duration::from_secs(30);

/// Who listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) user: UserId,
    /// In which session, by an access token.
    pub(crate) session: Option<SessionId>,
    /// By which key.
    pub(crate) api_key: Option<ApiKeyId>,
    /// When the token or key ends, in seconds since 1970.
    pub(crate) until: u64,
}

impl Listener {
    /// Whether what they came with has ended before its time.
    fn has_ended(&self, revoked: &Revoked) -> bool {
        self.session.is_some_and(|session| revoked.session(session))
            || self.api_key.is_some_and(|key| revoked.api_key(key))
    }
}

impl From<StreamTicket> for Listener {
    fn from(ticket: StreamTicket) -> Self {
        let StreamTicket { user_id, session_id, api_key_id, credential_ends_at } = ticket;
        Self { user: user_id, session: session_id, api_key: api_key_id, until: credential_ends_at }
    }
}

/// What the endpoints have at hand.
struct Streams {
    feeds: Feeds,
    tickets: Tickets,
    /// Whose pages may open a WebSocket.
    origins: Origins,
    keep_alive: Duration,
    /// Who is waited for when the gateway stops.
    tasks: TaskTracker,
}

/// Streams of messages.
pub(crate) struct Realtime {
    streams: Arc<Streams>,
    endpoint: BoxEndpoint<'static>,
}

/// What is followed, for the gateway's list.
pub(crate) fn follows() -> FollowEntry {
    FollowEntry::of::<MessagePosted>()
}

/// The bucket that is used, for the gateway's list.
pub(crate) fn state() -> BucketEntry {
    BucketEntry::of_state(&STREAM_TICKETS, true)
}

impl Realtime {
    /// As the settings say. Hands on what is posted, until `stop`.
    ///
    /// # Errors
    /// When a setting does not parse.
    pub(crate) fn start(
        settings: &Settings,
        (client, calls): (&Client, Caller),
        (hub, revoked): (Arc<Hub>, Arc<Revoked>),
        (tasks, stop): (&TaskTracker, &CancellationToken),
    ) -> Result<Self, StartError> {
        let keep_alive: NonZeroU64 = settings.parse("STREAM_KEEP_ALIVE_MS", NonZeroU64::MIN.saturating_add(14_999))?;
        let streams = Arc::new(Streams {
            tickets: Tickets::new(State::new(jetstream(client), STREAM_TICKETS.name)),
            origins: settings.parse("CORS_ORIGINS", Origins::default())?,
            keep_alive: Duration::from_millis(keep_alive.get()),
            tasks: tasks.clone(),
            feeds: Feeds::new(Arc::clone(&hub), calls, revoked, stop.clone()),
        });
        let posted = Arc::clone(&hub);
        let take = move |Received { event, .. }: Received<MessagePosted>| posted.hand_on(event.user_id, event.message);
        let (mut caught_up, following) = follow(client, LOOKED_BACK, take, stop.clone());
        tasks.spawn(following);
        tasks.spawn(async move {
            while caught_up.again().await {
                hub.look_again();
            }
        });
        let endpoint = Route::new().nest("/", api::service()).data(Arc::clone(&streams)).map_to_response().boxed();
        Ok(Self { streams, endpoint })
    }

    /// Whom a ticket lets in. It is used up by that.
    ///
    /// # Errors
    /// `unauthenticated` when it is none, or no more; `unavailable` when that cannot be looked up.
    pub(crate) async fn redeem(&self, ticket: &str) -> Result<Listener, Problem> {
        let listener: Listener = self.streams.tickets.take(ticket).await?.into();
        self.streams.feeds.still_good(&listener)?;
        Ok(listener)
    }

    /// Answers one of the operations of this module: not as the others, for what comes back may go on for hours.
    ///
    /// # Errors
    /// What the operation says.
    pub(crate) async fn answer(&self, mut request: Request, listener: Listener) -> Result<Response, Problem> {
        if request.method() == Method::HEAD {
            return Err(Problem::method_not_allowed("GET".to_owned()));
        }
        request.set_data(listener);
        self.endpoint.call(request).await.map_err(|error| match error.downcast_ref::<Problem>() {
            Some(problem) => problem.clone(),
            None if error.status().is_client_error() => Problem::new(Code::MalformedRequest, error.to_string()),
            None => Problem::internal(error.to_string()),
        })
    }
}

/// Whether an operation is one of this module's.
pub(crate) fn has(operation: &Operation) -> bool {
    api::OPERATIONS.contains(&operation.id.as_str())
}
