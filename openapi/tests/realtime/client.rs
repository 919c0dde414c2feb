//! Who listens: a client of server-sent events, and one of WebSocket.

use std::time::Duration;

use futures_util::StreamExt;
use nats::contracts::notify::Message;
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{
        Error, Message as Frame,
        client::IntoClientRequest,
        http::{HeaderValue, StatusCode},
    },
};

use super::given::{Person, SOCKET};
use crate::scene::Door;

pub(super) const BOUND: Duration = Duration::from_secs(20);

/// An event, as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) data: String,
    pub(super) retry: String,
    /// It was a comment.
    pub(super) comment: bool,
}

impl Event {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A stream of server-sent events.
pub(super) struct Events {
    pub(super) response: Response,
    read: String,
    /// The sequence that the stream began after.
    pub(super) began_after: String,
}

impl Events {
    /// Opens it and reads its first event.
    pub(super) async fn open(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut events = Self { response, read: String::new(), began_after: String::new() };
        let ready = events.next().await.unwrap();
        assert_eq!((ready.name.as_str(), &ready.json()["last_event_id"]), ("ready", &Value::from(ready.id.as_str())));
        events.began_after = ready.id;
        events
    }

    /// The next block of lines, whatever it is; `None` at the end.
    pub(super) async fn block(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.read.split_once("\n\n") {
                let event = parse(block);
                self.read = rest.to_owned();
                return Some(event);
            }
            let more = timeout(BOUND, self.response.chunk()).await.expect("something to come").ok()??;
            self.read.push_str(std::str::from_utf8(&more).expect("UTF-8 in whole characters"));
        }
    }

    /// The next event that is no comment and no hint; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Event> {
        loop {
            let event = self.block().await?;
            if !event.comment && event.retry.is_empty() {
                return Some(event);
            }
        }
    }

    /// The next event is this message.
    pub(super) async fn says(&mut self, message: &Message) {
        let event = self.next().await.expect("a message");
        assert_eq!((event.name.as_str(), event.id), ("", message.sequence.to_string()));
        assert_eq!(serde_json::from_str::<Message>(&event.data).unwrap(), *message);
    }

    /// The stream ends now, and says so by this event.
    pub(super) async fn ends_with(&mut self, name: &str) {
        let event = self.next().await.expect("an event");
        assert_eq!((event.name.as_str(), event.id.as_str()), (name, ""));
        assert!(event.json()["detail"].is_string(), "{event:?}");
        assert_eq!(self.next().await, None);
    }
}

fn parse(block: &str) -> Event {
    let mut event = Event::default();
    for line in block.lines() {
        let (field, value) = line.split_once(':').expect("a field");
        let value = value.trim_start().to_owned();
        match field {
            "" => event.comment = true,
            "id" => event.id = value,
            "event" => event.name = value,
            "data" => event.data = value,
            "retry" => event.retry = value,
            other => panic!("the field {other}"),
        }
    }
    event
}

/// A WebSocket.
pub(super) struct Socket {
    pub(super) inner: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// How many pings have come.
    pub(super) pings: usize,
}

/// A request for a WebSocket: with a token, if somebody is signed in, and these headers.
pub(super) async fn try_open(
    door: &Door,
    person: Option<&Person>,
    query: &str,
    headers: &[(&'static str, &str)],
) -> Result<Socket, StatusCode> {
    let url = format!("{}{SOCKET}{query}", door.url.replace("http://", "ws://"));
    let mut request = url.into_client_request().unwrap();
    let token = person.map(|person| format!("Bearer {}", person.token));
    let bearer = token.as_deref().map(|token| ("authorization", token));
    for (name, value) in headers.iter().copied().chain(bearer) {
        request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
    }
    match timeout(BOUND, connect_async(request)).await.expect("an answer") {
        Ok((inner, _)) => Ok(Socket { inner, pings: 0 }),
        Err(Error::Http(response)) => Err(response.status()),
        Err(error) => panic!("{error}"),
    }
}

impl Socket {
    pub(super) async fn open(door: &Door, person: &Person, query: &str) -> Self {
        let mut socket = try_open(door, Some(person), query, &[]).await.unwrap();
        assert_eq!(socket.next().await["event"], "ready");
        socket
    }

    /// What comes next. Pings are answered meanwhile.
    pub(super) async fn frame(&mut self) -> Option<Frame> {
        let came = timeout(BOUND, self.inner.next()).await.expect("something to come")?;
        let frame = came.unwrap_or_else(|error| panic!("{error}"));
        self.pings += usize::from(frame.is_ping());
        Some(frame)
    }

    /// The next text.
    pub(super) async fn next(&mut self) -> Value {
        loop {
            match self.frame().await.expect("a text") {
                Frame::Text(text) => return serde_json::from_str(text.as_str()).unwrap(),
                Frame::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next text is this message.
    pub(super) async fn says(&mut self, message: &Message) {
        let expected = serde_json::json!({ "event": "message", "id": message.sequence.to_string(), "data": message });
        assert_eq!(self.next().await, expected);
    }

    /// It is closed now, with this code.
    pub(super) async fn closes_with(&mut self, code: u16) {
        loop {
            match self.frame().await {
                Some(Frame::Close(Some(close))) => {
                    assert_eq!(u16::from(close.code), code, "{close:?}");
                    assert!(!close.reason.is_empty());
                    return;
                }
                Some(Frame::Ping(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}
