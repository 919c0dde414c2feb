//! The endpoints of streams, and what is said of them in the document.

use std::sync::Arc;

use nats::{
    contracts::notify::{Message, STREAM_TICKET_LASTS},
    http::Body,
    identity::User,
    problem::{Code, Problem},
};
use poem::{
    IntoResponse, Request, RequestBody, Response,
    web::{Data, websocket::WebSocket},
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions, Object, OpenApi, OpenApiService, Tags,
    param::{Header, Query},
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, MetaSecurityScheme, Registry},
    types::Type,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Listener, Streams, socket, sse, ticket};
use crate::{operations::GATEWAY, server::Place};

/// The operations below.
pub(super) const OPERATIONS: [&str; 3] =
    ["stream_notifications", "open_notification_socket", "create_notification_ticket"];

/// Says what the gateway's document would say wrongly of them: they show what svc-notify has, and change nothing.
pub(crate) fn describe(document: &mut Value) {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    let operations = paths.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut);
    for operation in operations.flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
        let id = operation.get("operationId").and_then(Value::as_str);
        if id.is_some_and(|id| OPERATIONS.contains(&id)) {
            operation.insert("x-argosy-scope".to_owned(), json!("notify:read"));
            operation.insert("x-argosy-audit".to_owned(), json!("none"));
        }
    }
}

/// The endpoints.
pub(super) fn service() -> OpenApiService<StreamApi, ()> {
    OpenApiService::new(StreamApi, GATEWAY, env!("CARGO_PKG_VERSION"))
}

#[derive(Tags)]
enum Tag {
    /// What was told to whom.
    Notifications,
}

/// A ticket for one stream.
#[derive(Serialize, Deserialize, Object)]
struct NotificationTicket {
    /// To be sent as `?ticket=…`. It lets in once.
    ticket: String,
    /// For how many seconds it can be used.
    expires_in: u64,
}

pub(crate) struct StreamApi;

#[OpenApi(prefix_path = "/v1/notifications", tag = "Tag::Notifications")]
impl StreamApi {
    /// Listen to your messages as server-sent events
    ///
    /// First comes an event `ready`, then each message as the `data` of an event of the default type, with its sequence as
    /// `id`. Whoever names the last id they had gets what came since, for a week; whoever names none gets what comes.
    /// Comment lines keep the stream alive. Before it ends comes an event that says why: `dropped` (you took in too little),
    /// `unauthenticated` (your token, key or session has ended), `restarting`, `interrupted`. Then come again, with the last
    /// id; with a new ticket, if that is how you come.
    #[oai(path = "/stream", method = "get", operation_id = "stream_notifications")]
    async fn stream(
        &self,
        request: &Request,
        Data(streams): Data<&Arc<Streams>>,
        Listening(listener): Listening,
        /// The id of the last message you had.
        #[oai(name = "Last-Event-ID")]
        last: Header<Option<i64>>,
        /// The same, for whoever cannot send the header; the header has precedence.
        last_event_id: Query<Option<i64>>,
    ) -> Result<Events, Problem> {
        let feed = streams.feeds.open(listener, last.0.or(last_event_id.0), place(request)).await?;
        Ok(Events(sse::answer(feed, streams.keep_alive)))
    }

    /// Listen to your messages over a WebSocket
    ///
    /// Text frames of JSON: `{"event": "ready", "id": …}` first, then `{"event": "message", "id": …, "data": …}` for each
    /// message; `id` and `data` as of the server-sent events. Answer pings, and send nothing. The close code says why it ends:
    /// 4401 your token, key or session has ended; 4408 no ping was answered; 1003 you sent something; 1012 the gateway stops;
    /// 1013 you took in too little, or what you missed cannot be had at the moment. Then come again, with the last id.
    #[oai(path = "/ws", method = "get", operation_id = "open_notification_socket")]
    async fn socket(
        &self,
        request: &Request,
        Data(streams): Data<&Arc<Streams>>,
        Listening(listener): Listening,
        socket: Result<WebSocket, poem::Error>,
        /// The id of the last message you had.
        last_event_id: Query<Option<i64>>,
    ) -> Result<Upgraded, Problem> {
        if !streams.origins.admit(request) {
            let detail = "Pages of this origin may not open a WebSocket here.";
            return Err(Problem::new(Code::Forbidden, detail));
        }
        let socket = socket.map_err(|_other| {
            let detail = "Open a WebSocket here (RFC 6455, version 13, over HTTP/1.1).";
            Problem::new(Code::MalformedRequest, detail)
        })?;
        let feed = streams.feeds.open(listener, last_event_id.0, place(request)).await?;
        let (keep_alive, waited_for) = (streams.keep_alive, streams.tasks.token());
        let upgraded = socket.config(socket::config()).on_upgrade(move |socket| async move {
            socket::run(socket, feed, keep_alive).await;
            drop(waited_for);
        });
        Ok(Upgraded(upgraded.into_response()))
    }

    /// Get a ticket for a stream
    ///
    /// For browsers, whose `EventSource` and `WebSocket` cannot send a token: open the stream with `?ticket=…` within
    /// thirty seconds. A ticket lets in once, as whoever asked for it. No token belongs into a URL.
    #[oai(path = "/tickets", method = "post", operation_id = "create_notification_ticket")]
    async fn ticket(
        &self,
        Data(streams): Data<&Arc<Streams>>,
        Coming(listener): Coming,
    ) -> Result<Body<NotificationTicket>, Problem> {
        let ticket = streams.tickets.make(&listener).await?;
        Ok(Body(NotificationTicket { ticket, expires_in: STREAM_TICKET_LASTS.as_secs() }))
    }
}

fn place(request: &Request) -> Option<Place> {
    request.data::<Place>().cloned()
}

/// A stream of server-sent events, each with a message.
struct Events(Response);

/// A connection that is no longer one of HTTP.
struct Upgraded(Response);

impl IntoResponse for Events {
    fn into_response(self) -> Response {
        self.0
    }
}

impl IntoResponse for Upgraded {
    fn into_response(self) -> Response {
        self.0
    }
}

impl ApiResponse for Events {
    fn meta() -> MetaResponses {
        let schema = MetaSchema { items: Some(Box::new(Message::schema_ref())), ..MetaSchema::new("array") };
        let content =
            MetaMediaType { content_type: "text/event-stream", schema: MetaSchemaRef::Inline(Box::new(schema)) };
        MetaResponses { responses: vec![response(200, "The messages, one after the other", vec![content])] }
    }

    fn register(registry: &mut Registry) {
        Message::register(registry);
    }
}

impl ApiResponse for Upgraded {
    fn meta() -> MetaResponses {
        MetaResponses { responses: vec![response(101, "The connection is a WebSocket", vec![])] }
    }

    fn register(registry: &mut Registry) {
        Message::register(registry);
    }
}

fn response(status: u16, description: &'static str, content: Vec<MetaMediaType>) -> MetaResponse {
    MetaResponse { description, status: Some(status), status_range: None, content, headers: vec![] }
}

/// Whoever listens, by token, key or ticket.
struct Listening(Listener);

/// Whoever wants to listen soon, by token or key.
struct Coming(Listener);

/// Whom the gateway has let in.
fn let_in(request: &Request) -> poem::Result<Listener> {
    let none = || Problem::new(Code::Unauthenticated, "This needs an access token or a ticket.").into();
    request.data::<Listener>().cloned().ok_or_else(none)
}

impl<'a> ApiExtractor<'a> for Listening {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        User::register(registry);
        registry.create_security_scheme(ticket::TICKET, by_ticket());
    }

    fn security_schemes() -> Vec<&'static str> {
        let mut schemes = User::security_schemes();
        schemes.push(ticket::TICKET);
        schemes
    }

    async fn from_request(request: &'a Request, _: &mut RequestBody, _: ExtractParamOptions<()>) -> poem::Result<Self> {
        let_in(request).map(Self)
    }
}

impl<'a> ApiExtractor<'a> for Coming {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        User::register(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        User::security_schemes()
    }

    async fn from_request(request: &'a Request, _: &mut RequestBody, _: ExtractParamOptions<()>) -> poem::Result<Self> {
        let_in(request).map(Self)
    }
}

fn by_ticket() -> MetaSecurityScheme {
    MetaSecurityScheme {
        ty: "apiKey",
        description: Some("A ticket from /v1/notifications/tickets, which lets in once within thirty seconds."),
        name: Some(ticket::TICKET),
        key_in: Some("query"),
        scheme: None,
        bearer_format: None,
        flows: None,
        openid_connect_url: None,
    }
}
