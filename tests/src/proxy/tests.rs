use std::io::ErrorKind;

use tokio::{
    net::TcpListener,
    sync::oneshot,
    time::{Instant, timeout},
};

use super::*;

/// What should happen at once is given this long.
const BOUND: Duration = Duration::from_secs(10);
/// What should not happen is given this long to happen all the same.
const QUIET: Duration = Duration::from_millis(60);

/// A server that says everything back.
async fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _over = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    port
}

async fn connected(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap()
}

async fn says(stream: &mut TcpStream, text: &str) -> String {
    stream.write_all(text.as_bytes()).await.unwrap();
    heard(stream, text.len()).await
}

async fn heard(stream: &mut TcpStream, length: usize) -> String {
    let mut answer = vec![0; length];
    timeout(BOUND, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn what_is_said_passes_both_ways_whole_and_in_order() {
    let proxy = Proxy::start(echo().await).await.unwrap();
    let mut stream = connected(&proxy).await;
    let long: String = (0..200_000).map(|n| char::from(b'a' + u8::try_from(n % 26).unwrap())).collect();

    let (mut from, mut to) = stream.split();
    let (sent, wanted) = (long.clone(), long.len());
    let write = async { to.write_all(sent.as_bytes()).await.unwrap() };
    let read = async {
        let mut answer = vec![0; wanted];
        timeout(BOUND, from.read_exact(&mut answer)).await.unwrap().unwrap();
        String::from_utf8(answer).unwrap()
    };
    let ((), answer) = tokio::join!(write, read);

    assert!(answer == long, "the same text comes back");
    assert_eq!(proxy.toxic(), Toxic::None);
}

#[tokio::test]
async fn the_end_of_one_side_is_passed_on_and_the_other_may_still_speak() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap().port()).await.unwrap();
    let mut client = connected(&proxy).await;
    client.write_all(b"the question").await.unwrap();
    client.shutdown().await.unwrap();

    let (mut server, _) = timeout(BOUND, listener.accept()).await.unwrap().unwrap();
    let mut question = String::new();
    timeout(BOUND, server.read_to_string(&mut question)).await.unwrap().unwrap();
    server.write_all(b"the answer").await.unwrap();
    drop(server);

    let mut answer = String::new();
    timeout(BOUND, client.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert_eq!((question.as_str(), answer.as_str()), ("the question", "the answer"));
}

#[tokio::test]
async fn latency_delays_each_direction_and_keeps_the_order() {
    let proxy = Proxy::start(echo().await).await.unwrap();
    let mut stream = connected(&proxy).await;
    assert_eq!(says(&mut stream, "warm").await, "warm");

    let (delay, jitter) = (Duration::from_millis(40), Duration::from_millis(20));
    proxy.set(Toxic::Latency { delay, jitter });
    let started = Instant::now();
    assert_eq!(says(&mut stream, "one").await, "one");
    assert!(started.elapsed() >= (delay - jitter) * 2, "there and back: {:?}", started.elapsed());
    for text in ["a", "b", "c", "d"] {
        stream.write_all(text.as_bytes()).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(heard(&mut stream, 4).await, "abcd");

    proxy.heal();
    let started = Instant::now();
    assert_eq!(says(&mut stream, "two").await, "two");
    assert!(started.elapsed() < BOUND);
}

#[tokio::test]
async fn resets_tear_connections_down_and_new_ones_are_taken() {
    let proxy = Proxy::start(echo().await).await.unwrap();
    let mut stream = connected(&proxy).await;
    assert_eq!(says(&mut stream, "fine").await, "fine");

    proxy.set(Toxic::Resets { probability: 1.0 });
    stream.write_all(b"the last word").await.unwrap();
    let error = timeout(BOUND, stream.read_u8()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");

    proxy.set(Toxic::Resets { probability: 0.0 });
    assert_eq!(says(&mut connected(&proxy).await, "again").await, "again");
}

#[tokio::test]
async fn what_hangs_is_held_and_arrives_when_it_is_healed() {
    let proxy = Proxy::start(echo().await).await.unwrap();
    let mut old = connected(&proxy).await;
    assert_eq!(says(&mut old, "fine").await, "fine");

    proxy.set(Toxic::Hang);
    old.write_all(b"old").await.unwrap();
    let mut new = connected(&proxy).await;
    new.write_all(b"new").await.unwrap();
    assert!(timeout(QUIET, old.read_u8()).await.is_err(), "nothing comes back on an old connection");
    assert!(timeout(QUIET, new.read_u8()).await.is_err(), "nor on one that was accepted since");

    proxy.heal();
    assert_eq!((heard(&mut old, 3).await, heard(&mut new, 3).await), ("old".to_owned(), "new".to_owned()));
}

#[tokio::test]
async fn while_it_hangs_nobody_learns_that_the_other_has_gone() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap().port()).await.unwrap();
    let mut client = connected(&proxy).await;
    let (mut server, _) = timeout(BOUND, listener.accept()).await.unwrap().unwrap();
    client.write_all(b"!").await.unwrap();
    assert_eq!(timeout(BOUND, server.read_u8()).await.unwrap().unwrap(), b'!');

    proxy.set(Toxic::Hang);
    server.set_zero_linger().unwrap();
    drop(server);
    assert!(timeout(QUIET, client.read_u8()).await.is_err(), "the connection is half open");

    proxy.heal();
    assert!(timeout(BOUND, client.read_u8()).await.unwrap().is_err(), "now it is known");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_connection_that_ends() {
    let proxy = Proxy::start(ports::free().unwrap()).await.unwrap();
    // The reset may be faster than the connection.
    let ended = async { TcpStream::connect(("127.0.0.1", proxy.port())).await?.read_u8().await };
    assert!(timeout(BOUND, ended).await.unwrap().is_err());
}

#[tokio::test]
async fn dropping_a_proxy_ends_its_connections_and_its_port() {
    let proxy = Proxy::start(echo().await).await.unwrap();
    let (mut stream, port) = (connected(&proxy).await, proxy.port());
    assert_eq!(says(&mut stream, "fine").await, "fine");

    drop(proxy);

    assert!(timeout(BOUND, stream.read_u8()).await.unwrap().is_err());
    let closed = crate::wait::wait_for("the port to be free", BOUND, async || {
        Ok::<_, String>(TcpStream::connect(("127.0.0.1", port)).await.is_err().then_some(()))
    });
    closed.await.unwrap();
}

/// A test's runtime ends before the proxies that other tests share.
#[test]
fn a_proxy_outlives_the_runtime_that_started_it() {
    let (sender, receiver) = oneshot::channel();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let upstream = server.block_on(echo());
    runtime().block_on(async { sender.send(Proxy::start(upstream).await.unwrap()).unwrap() });
    runtime().block_on(async {
        let proxy = receiver.await.unwrap();
        assert_eq!(says(&mut connected(&proxy).await, "still").await, "still");
    });
}
