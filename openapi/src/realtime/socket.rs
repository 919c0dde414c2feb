//! A stream over a WebSocket (RFC 6455): text frames of JSON, with the same names as the server-sent events'.
//!
//! The client is asked by a ping, every so often, whether it is there; whoever is silent until the next one is not. It may
//! send nothing else.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use nats::contracts::notify::Message;
use poem::web::websocket::{CloseCode, Message as Frame, WebSocketConfig, WebSocketStream};
use serde::Serialize;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::{
    feed::{Feed, Next},
    hub::End,
};

/// Pings, pongs and closes are all that is read.
const LARGEST_FRAME: usize = 1024;
/// How long a client may take to take in one message, or the end.
const TAKES: Duration = Duration::from_secs(20);
const TAKES_THE_END: Duration = Duration::from_secs(5);
/// Codes of our own, after the HTTP statuses 401 and 408.
const UNAUTHENTICATED: CloseCode = CloseCode::Reserved(4401);
const SILENT: CloseCode = CloseCode::Reserved(4408);

/// Small buffers: there may be thousands of streams.
pub(super) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(4 * LARGEST_FRAME)
        .write_buffer_size(0)
        .max_message_size(Some(LARGEST_FRAME))
        .max_frame_size(Some(LARGEST_FRAME))
}

/// What is said in a text frame.
#[derive(Serialize)]
struct Said<'a, T> {
    event: &'a str,
    id: String,
    data: T,
}

/// Why a client is told to go.
type Farewell = (CloseCode, &'static str);

/// Says what comes until the stream, or the client, is gone.
pub(super) async fn run(mut socket: WebSocketStream, mut feed: Feed, keep_alive: Duration) {
    let mut pings = interval_at(Instant::now() + keep_alive, keep_alive);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut frame, mut heard) = (Some(ready(feed.last())), true);
    let farewell = loop {
        if let Some(frame) = frame.take() {
            match say(&mut socket, &mut feed, frame).await {
                Spoken::Said => {}
                Spoken::Gone => return,
                Spoken::Over(end) => break farewell(end),
            }
        }
        tokio::select! {
            next = feed.next() => match next {
                Next::Message(message) => frame = Some(said(&message)),
                Next::End(end) => break farewell(end),
            },
            came = socket.next() => match came {
                Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => heard = true,
                Some(Ok(Frame::Text(_) | Frame::Binary(_))) => {
                    break (CloseCode::Unsupported, "Nothing is taken here.");
                }
                Some(Ok(Frame::Close(_)) | Err(_)) | None => return,
            },
            _ = pings.tick() => {
                if !std::mem::replace(&mut heard, false) {
                    break (SILENT, "No ping was answered.");
                }
                frame = Some(Frame::Ping(Vec::new()));
            }
        }
    };
    close(socket, farewell).await;
}

/// What came of saying something.
enum Spoken {
    Said,
    /// The client is not there any more.
    Gone,
    /// The stream is over, and the client may not have taken in all that was said.
    Over(End),
}

/// Says one thing. A client that does not take it in is not waited for once the stream is over.
async fn say(socket: &mut WebSocketStream, feed: &mut Feed, frame: Frame) -> Spoken {
    tokio::select! {
        biased;
        said = timeout(TAKES, socket.send(frame)) => match said {
            Ok(Ok(())) => Spoken::Said,
            Ok(Err(_gone)) => Spoken::Gone,
            Err(_elapsed) => Spoken::Over(End::TooSlow),
        },
        end = feed.ended() => Spoken::Over(end),
    }
}

/// Tells the client why it is to go, and waits a little for it to have heard that.
async fn close(mut socket: WebSocketStream, (code, reason): Farewell) {
    let told = async {
        socket.send(Frame::close_with(code, reason)).await?;
        while socket.next().await.transpose()?.is_some() {}
        Ok::<_, std::io::Error>(())
    };
    if !matches!(timeout(TAKES_THE_END, told).await, Ok(Ok(()))) {
        tracing::debug!(reason, "a client was gone before it was told to go");
    }
}

fn ready(last: i64) -> Frame {
    let id = last.to_string();
    text(&Said { event: "ready", data: json!({ "last_event_id": id }), id })
}

fn said(message: &Message) -> Frame {
    text(&Said { event: "message", id: message.sequence.to_string(), data: message })
}

fn text(said: &impl Serialize) -> Frame {
    Frame::Text(serde_json::to_string(said).unwrap_or_default())
}

fn farewell(end: End) -> Farewell {
    match end {
        End::TooSlow => (CloseCode::Again, "You took in too little."),
        End::Unauthenticated => (UNAUTHENTICATED, "Your token, key or session has ended."),
        End::Restarting => (CloseCode::Restart, "The gateway stops."),
        End::Interrupted => (CloseCode::Again, "What you missed cannot be had at the moment."),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::{super::hub::tests::message, *};

    #[test]
    fn a_frame_has_the_events_name_id_and_data() {
        let message = message(17);
        let (Frame::Text(said), Frame::Text(ready)) = (said(&message), ready(16)) else { unreachable!("texts") };
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(said, json!({ "event": "message", "id": "17", "data": message }));
        assert_eq!(ready, r#"{"event":"ready","id":"16","data":{"last_event_id":"16"}}"#);
    }

    #[test]
    fn what_a_close_says_fits_into_its_frame() {
        for end in [End::TooSlow, End::Unauthenticated, End::Restarting, End::Interrupted] {
            let (code, reason) = farewell(end);
            assert!(reason.len() <= 123, "{code:?} {reason}");
        }
    }
}
