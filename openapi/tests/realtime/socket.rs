//! WebSocket: the same messages, pings, and who may open one.

use std::time::Duration;

use futures_util::SinkExt;
use reqwest::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::tungstenite::{Message as Frame, http::StatusCode};

use super::{
    client::{BOUND, Socket, try_open},
    given::{Realtime, SOCKET},
};
use crate::scene::Answer;

#[tokio::test(flavor = "multi_thread")]
async fn messages_come_as_texts_after_the_one_that_was_had_last() {
    let realtime = Realtime::set().await;
    let door = realtime.gateway(&[]).await;
    let (ada, eve) = (realtime.somebody(), realtime.somebody());
    let had = realtime.post(ada.user).await;
    let missed = realtime.post(ada.user).await;
    let mut of_eve = Socket::open(&door, &eve, "").await;

    let mut socket = Socket::open(&door, &ada, &format!("?last_event_id={}", had.sequence)).await;
    socket.says(&missed).await;
    for _ in 0..3 {
        let message = realtime.post(ada.user).await;
        socket.says(&message).await;
    }
    let own = realtime.post(eve.user).await;
    of_eve.says(&own).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_answers_pings_stays() {
    let realtime = Realtime::set().await;
    let door = realtime.gateway(&[("STREAM_KEEP_ALIVE_MS", "100"), ("CLIENT_TIMEOUT_MS", "300")]).await;
    let ada = realtime.somebody();
    let mut socket = Socket::open(&door, &ada, "").await;

    while socket.pings < 10 {
        assert!(socket.frame().await.is_some_and(|frame| frame.is_ping()));
    }

    let message = realtime.post(ada.user).await;
    socket.says(&message).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_answers_no_ping_is_told_to_go() {
    let realtime = Realtime::set().await;
    let door = realtime.gateway(&[("STREAM_KEEP_ALIVE_MS", "200")]).await;
    let ada = realtime.somebody();
    let mut stream = TcpStream::connect(door.gateway.address()).await.unwrap();
    let request = format!(
        "GET {SOCKET} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        ada.token
    );
    stream.write_all(request.as_bytes()).await.unwrap();

    // It reads, and says nothing.
    let mut came = Vec::new();
    let _reset = timeout(BOUND, stream.read_to_end(&mut came)).await.expect("the connection to be closed");

    assert!(came.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&came));
    let ping = [0x89, 0];
    assert!(came.windows(2).any(|bytes| bytes == ping), "{came:?}");
    let [high, low] = 4408_u16.to_be_bytes();
    assert!(came.windows(4).any(|bytes| bytes[0] == 0x88 && bytes[2..] == [high, low]), "{came:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sends_something_is_told_to_go() {
    let realtime = Realtime::set().await;
    let door = realtime.gateway(&[]).await;
    let ada = realtime.somebody();
    for frame in [Frame::text("hello"), Frame::binary(vec![7])] {
        let mut socket = Socket::open(&door, &ada, "").await;
        socket.inner.send(frame).await.unwrap();
        socket.closes_with(1003).await;
    }
    // So much is not even read.
    let mut socket = Socket::open(&door, &ada, "").await;
    let _reset = socket.inner.send(Frame::binary(vec![7; 1 << 20])).await;
    let gone =
        async { while timeout(BOUND, futures_util::StreamExt::next(&mut socket.inner)).await.unwrap().is_some() {} };
    timeout(Duration::from_secs(5), gone).await.expect("the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_open_none() {
    let realtime = Realtime::set().await;
    let door = realtime.gateway(&[("CORS_ORIGINS", "https://shop.example")]).await;
    let ada = realtime.somebody();
    let own = door.url.clone();

    for (origin, let_in) in [("https://shop.example", true), (own.as_str(), true), ("https://evil.example", false)] {
        let opened = try_open(&door, Some(&ada), "", &[("origin", origin)]).await;
        assert_eq!(opened.err(), (!let_in).then_some(StatusCode::FORBIDDEN), "{origin}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_opens_no_websocket_is_told_how() {
    let realtime = Realtime::set().await;
    let door = realtime.gateway(&[]).await;
    let ada = realtime.somebody();

    let plain = Answer::of(door.request(Method::GET, SOCKET).bearer_auth(&ada.token)).await;
    assert_eq!(plain.code(), (400, "malformed_request".to_owned()));
    assert!(plain.detail().contains("WebSocket"), "{}", plain.detail());
    assert_eq!(try_open(&door, None, "", &[]).await.err(), Some(StatusCode::UNAUTHORIZED));
    // None of them counts as a stream of theirs.
    for _ in 0..20 {
        assert_eq!(Answer::of(door.request(Method::GET, SOCKET).bearer_auth(&ada.token)).await.status, 400);
    }
    Socket::open(&door, &ada, "").await;
}
