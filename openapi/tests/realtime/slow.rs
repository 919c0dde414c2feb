//! Whoever takes in too little is dropped, is told so, and holds up nobody.

use std::time::Duration;

use nats::contracts::notify::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::{
    client::BOUND,
    given::{Person, Realtime, SOCKET, STREAM, stream},
};
use crate::scene::Door;

/// Enough to fill what the system keeps for a connection, and the queue behind that.
const LONG: usize = 64 * 1024;
const SOME: usize = 40;
const MOST: usize = 1_000;
/// The gateway's patience with a client that takes in nothing is another matter.
const PATIENT: (&str, &str) = ("CLIENT_TIMEOUT_MS", "60000");

/// Asks for a stream, by a connection that takes in little.
async fn ask(door: &Door, person: &Person, path: &str, headers: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    let mut stream = socket.connect(door.gateway.address()).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {}\r\n{headers}\r\n", person.token);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.windows(5).any(|bytes| bytes == b"ready") {
        let mut some = [0; 256];
        let count = timeout(BOUND, stream.read(&mut some)).await.expect("an answer").unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&head));
        head.extend_from_slice(&some[..count]);
    }
    stream
}

/// Posts much to a person, until the one stream that they may have is dropped.
async fn flood(realtime: &Realtime, door: &Door, person: &Person) {
    for posted in 1..=MOST {
        let message: Message = realtime.write_long(person.user, LONG);
        realtime.tell(person.user, &message).await;
        if posted % SOME == 0 && stream(door, person).send().await.unwrap().status() == 200 {
            return;
        }
    }
    panic!("the slow stream is not dropped");
}

async fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let _reset = timeout(BOUND, stream.read_to_end(&mut all)).await.expect("the end");
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_of_events_is_dropped_and_told() {
    let realtime = Realtime::set().await;
    let door = realtime.gateway(&[("STREAMS_PER_USER", "1"), PATIENT]).await;
    let (slow, quick) = (realtime.somebody(), realtime.somebody());
    let mut of_quick = realtime.listen(&door, &quick, None).await;
    let connection = ask(&door, &slow, STREAM, "Connection: close\r\n").await;

    flood(&realtime, &door, &slow).await;

    let message = realtime.post(quick.user).await;
    of_quick.says(&message).await;
    let all = String::from_utf8(rest(connection).await).unwrap();
    let (_, end) = all.split_at(all.len() - 400);
    assert!(end.contains("event: dropped\ndata: {"), "{end}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_of_a_websocket_is_dropped_and_told() {
    let realtime = Realtime::set().await;
    let door = realtime.gateway(&[("STREAMS_PER_USER", "1"), PATIENT]).await;
    let slow = realtime.somebody();
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    let connection = ask(&door, &slow, SOCKET, upgrade).await;

    flood(&realtime, &door, &slow).await;

    let all = rest(connection).await;
    let [high, low] = 1013_u16.to_be_bytes();
    let end = &all[all.len().saturating_sub(200)..];
    assert!(end.windows(4).any(|bytes| bytes[0] == 0x88 && bytes[2..] == [high, low]), "{end:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_in_nothing_at_all_is_cut_off() {
    let realtime = Realtime::set().await;
    let door = realtime.gateway(&[("STREAMS_PER_USER", "1"), ("CLIENT_TIMEOUT_MS", "500")]).await;
    let slow = realtime.somebody();
    let connection = ask(&door, &slow, STREAM, "").await;

    flood(&realtime, &door, &slow).await;

    // What it gets is what the system had taken for it; the gateway has nothing more to do with it.
    let stopped = timeout(Duration::from_secs(5), door.gateway.stop()).await;
    assert!(stopped.is_ok(), "the gateway waits for a client that is gone");
    drop(connection);
}
