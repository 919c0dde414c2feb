//! Large and slow requests, and connections that bring none.

use std::time::{Duration, Instant};

use reqwest::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::scene::{Answer, Door, Scene};

/// A gateway does not wait long for these clients.
const IMPATIENT: (&str, &str) = ("CLIENT_TIMEOUT_MS", "300");
const BOUND: Duration = Duration::from_secs(20);

async fn connect(door: &Door) -> TcpStream {
    TcpStream::connect(door.gateway.address()).await.unwrap()
}

/// Everything that comes until the gateway closes the connection.
async fn rest(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    // A connection that is closed while we still send may end with a reset.
    let _reset = timeout(BOUND, stream.read_to_end(&mut all)).await.expect("the connection to be closed");
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operation_has_its_largest_body() {
    let scene = Scene::set().await;
    let door = scene.gateway(&[("LIMITS", "sign_in=100/60")]).await;
    let token = scene.token();
    let send = |path: &'static str, length: usize| {
        let request = door.request(Method::POST, path).bearer_auth(&token).header("Content-Type", "application/json");
        Answer::of(request.body("x".repeat(length)))
    };

    // Nobody runs the services of these paths: what is not too large is forwarded to nobody.
    for (path, most) in [
        ("/v1/auth/login", 16 * 1024),
        ("/v1/auth/logout", 1024),
        ("/v1/orders", 256 * 1024),
        ("/v1/invoices", 2 * 1024 * 1024),
    ] {
        assert_eq!(send(path, most).await.code(), (503, "unavailable".to_owned()), "{path}");
        let refused = send(path, most + 1).await;
        assert_eq!(refused.code(), (413, "payload_too_large".to_owned()), "{path}");
        assert!(refused.detail().contains(&most.to_string()), "{}", refused.detail());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_brings_no_request_is_closed() {
    let scene = Scene::set().await;
    let door = scene.gateway(&[IMPATIENT]).await;

    for beginning in ["", "GET /v1/products HT", "GET /v1/products HTTP/1.1\r\nHost: gateway\r\nX-Slow: "] {
        let mut stream = connect(&door).await;
        stream.write_all(beginning.as_bytes()).await.unwrap();
        assert_eq!(rest(&mut stream).await, "", "{beginning:?}");
    }
    assert_eq!(door.get("/v1/products").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let scene = Scene::set().await;
    let door = scene.gateway(&[IMPATIENT]).await;
    let head = "POST /v1/auth/login HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n";

    let mut silent = connect(&door).await;
    silent.write_all(format!("{head}{{").as_bytes()).await.unwrap();
    let answer = rest(&mut silent).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("malformed_request"), "{answer}");

    // Each part comes in time, the whole does not.
    let started = Instant::now();
    let (mut reader, mut writer) = connect(&door).await.into_split();
    writer.write_all(head.as_bytes()).await.unwrap();
    let trickle = tokio::spawn(async move {
        let mut pause = tokio::time::interval(Duration::from_millis(100));
        while writer.write_all(b" ").await.is_ok() {
            pause.tick().await;
        }
    });
    let mut answer = vec![0; 12];
    timeout(BOUND, reader.read_exact(&mut answer)).await.expect("an answer").unwrap();
    assert_eq!(answer, b"HTTP/1.1 400");
    assert!(started.elapsed() >= Duration::from_millis(1_800), "six times the patience: {:?}", started.elapsed());
    trickle.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_no_answer_in_is_cut_off() {
    let scene = Scene::set().await;
    let door = scene.gateway(&[IMPATIENT]).await;
    let mut stream = connect(&door).await;

    // More answers than the kernel holds, of which none is read.
    let request = "GET /docs HTTP/1.1\r\nHost: gateway\r\n\r\n";
    let asked = async {
        while stream.write_all(request.as_bytes()).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(BOUND, asked).await.expect("the connection to be closed");
    assert_eq!(door.get("/v1/products").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_running_are_finished_when_the_gateway_stops() {
    let scene = Scene::set().await;
    let door = scene.gateway(&[]).await;
    let mut stream = connect(&door).await;
    let (head, body) = ("POST /v1/auth/login HTTP/1.1\r\nHost: gateway\r\nContent-Length: 2\r\n\r\n", "{}");
    stream.write_all(head.as_bytes()).await.unwrap();
    // An idle connection does not hold the gateway up.
    let mut idle = connect(&door).await;
    let first = door.get("/v1/products").await;
    assert_eq!(first.status, 200);

    let stopping = tokio::spawn(door.gateway.stop());
    assert_eq!(rest(&mut idle).await, "");
    stream.write_all(body.as_bytes()).await.unwrap();

    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    timeout(BOUND, stopping).await.expect("the gateway to stop").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_is_not_spoken() {
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    let scene = Scene::set().await;
    let door = scene.gateway(&[]).await;

    let mut stream = connect(&door).await;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    stream.write_all(SETTINGS).await.unwrap();

    // Closed at once, with a word for it in HTTP/1.1 or without.
    let answer = rest(&mut stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 5"), "{answer}");
}
