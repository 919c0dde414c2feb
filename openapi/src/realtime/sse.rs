//! A stream as server-sent events (the HTML standard, section 9.2).
//!
//! `id` is a message's sequence, which comes back as `Last-Event-ID`. Messages are of the default type; `ready` tells where
//! the stream begins, so that a client has an id before the first message. Between them are comment lines.

use std::{collections::VecDeque, time::Duration};

use futures_util::stream;
use nats::contracts::notify::Message;
use poem::{
    IntoResponse, Response,
    http::{HeaderValue, header},
    web::sse::{Event, SSE},
};
use serde_json::json;

use super::{
    feed::{Feed, Next},
    hub::End,
};

/// How long a client waits until it comes again, in milliseconds: all who were cut off at once do not come back at once.
const COME_AGAIN_MS: std::ops::Range<u64> = 1_000..5_000;

/// What is still to be said.
struct Saying {
    events: VecDeque<Event>,
    /// Where more comes from; `None` once it is over.
    feed: Option<Feed>,
}

/// The stream as an answer, alive with a comment line every so often.
pub(super) fn answer(feed: Feed, keep_alive: Duration) -> Response {
    let saying = Saying { events: VecDeque::from([come_again(), ready(feed.last())]), feed: Some(feed) };
    let events = stream::unfold(saying, |mut saying| async move {
        let event = saying.next().await?;
        Some((event, saying))
    });
    let mut response = SSE::new(events).keep_alive(keep_alive).into_response();
    // Nobody in between may keep it, nor gather it for compressing.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
    response
}

impl Saying {
    async fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        match self.feed.as_mut()?.next().await {
            Next::Message(message) => Some(said(&message)),
            Next::End(end) => {
                self.feed = None;
                self.events.push_back(farewell(end));
                Some(come_again())
            }
        }
    }
}

fn come_again() -> Event {
    Event::retry(rand::random_range(COME_AGAIN_MS))
}

fn ready(last: i64) -> Event {
    let id = last.to_string();
    Event::message(json!({ "last_event_id": id }).to_string()).id(id).event_type("ready")
}

fn said(message: &Message) -> Event {
    Event::message(serde_json::to_string(message).unwrap_or_default()).id(message.sequence.to_string())
}

fn farewell(end: End) -> Event {
    let (name, detail) = match end {
        End::TooSlow => ("dropped", "You took in too little, so the stream ends."),
        End::Unauthenticated => ("unauthenticated", "Your token, key or session has ended. Come again with another."),
        End::Restarting => ("restarting", "The gateway stops. Come again, and another one answers."),
        End::Interrupted => ("interrupted", "What you missed cannot be had at the moment. Come again later."),
    };
    Event::message(json!({ "detail": detail }).to_string()).event_type(name)
}

#[cfg(test)]
mod tests {
    use super::{super::hub::tests::message, *};

    #[test]
    fn a_message_has_its_sequence_as_its_id() {
        let message = message(17);
        let json = serde_json::to_string(&message).unwrap_or_default();
        assert_eq!(said(&message).to_string(), format!("id: 17\ndata: {json}\n\n"));
        assert_eq!(ready(0).to_string(), "id: 0\nevent: ready\ndata: {\"last_event_id\":\"0\"}\n\n");
    }

    #[test]
    fn an_end_has_no_id_so_that_the_last_messages_stays() {
        for (end, name) in [
            (End::TooSlow, "dropped"),
            (End::Unauthenticated, "unauthenticated"),
            (End::Restarting, "restarting"),
            (End::Interrupted, "interrupted"),
        ] {
            let text = farewell(end).to_string();
            assert!(text.starts_with(&format!("event: {name}\ndata: {{")), "{text}");
        }
    }
}
