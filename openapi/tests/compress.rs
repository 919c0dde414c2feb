//! Compressed answers.

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZstdDecoder};
use reqwest::Method;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::scene::{Answer, Door, Scene};

async fn ask(door: &Door, path: &str, accepted: &str) -> Answer {
    Answer::of(door.request(Method::GET, path).header("Accept-Encoding", accepted)).await
}

async fn plain(answer: &Answer) -> Vec<u8> {
    let bytes = answer.bytes.as_slice();
    let mut reader: Box<dyn AsyncRead + Unpin + Send> = match answer.header("content-encoding") {
        "zstd" => Box::new(ZstdDecoder::new(bytes)),
        "br" => Box::new(BrotliDecoder::new(bytes)),
        "gzip" => Box::new(GzipDecoder::new(bytes)),
        _ => return bytes.to_vec(),
    };
    let mut plain = Vec::new();
    reader.read_to_end(&mut plain).await.unwrap();
    plain
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_compressed_as_the_client_likes_best() {
    let scene = Scene::set().await;
    let door = scene.gateway(&[]).await;
    let (long, large) = ("/v1/products?search=5000", "/v1/products?search=700000");

    for (path, accepted, expected) in [
        (long, "gzip, deflate, br, zstd", "zstd"),
        (long, "gzip, br", "br"),
        (long, "gzip", "gzip"),
        (long, "br;q=0.1, gzip", "gzip"),
        (long, "identity", ""),
        (large, "gzip, br, zstd", "zstd"),
        ("/openapi.json", "gzip", "gzip"),
        ("/openapi.json", "br", "br"),
        ("/docs", "zstd", "zstd"),
        ("/v1/products?search=5", "gzip", ""),
    ] {
        let (uncoded, coded) = (door.get(path).await, ask(&door, path, accepted).await);
        assert_eq!((coded.status, coded.header("content-encoding")), (200, expected), "{path} {accepted}");
        assert_eq!(plain(&coded).await, uncoded.bytes, "{path} {accepted}");
        if !expected.is_empty() {
            assert!(coded.bytes.len() < uncoded.bytes.len() / 2, "{path} {accepted}: {} bytes", coded.bytes.len());
            let vary = coded.headers.get_all("vary").iter().any(|value| value == "Accept-Encoding");
            assert!(vary, "{path}: caches tell codings apart");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_compressed_form_is_told_that_nothing_changed() {
    let scene = Scene::set().await;
    let door = scene.gateway(&[]).await;

    let first = ask(&door, "/v1/products/5000", "gzip").await;
    assert_eq!((first.header("content-encoding"), first.header("etag")), ("gzip", "W/\"7.ff\""));
    for tag in [first.header("etag"), "\"7.ff\""] {
        let again = door.request(Method::GET, "/v1/products/5000").header("Accept-Encoding", "gzip");
        let again = Answer::of(again.header("If-None-Match", tag)).await;
        assert_eq!((again.status, again.bytes.len()), (304, 0), "{tag}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_head_has_no_body() {
    let scene = Scene::set().await;
    let door = scene.gateway(&[]).await;

    for accepted in ["gzip", "identity"] {
        let request = door.request(Method::HEAD, "/v1/products?search=5000").header("Accept-Encoding", accepted);
        let answer = Answer::of(request).await;
        assert_eq!((answer.status, answer.bytes.len()), (200, 0), "{accepted}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_requests_are_refused() {
    let scene = Scene::set().await;
    let door = scene.gateway(&[]).await;
    let send = |coding: &str| {
        let request = door.request(Method::POST, "/v1/auth/login").header("Content-Encoding", coding.to_owned());
        Answer::of(request.header("Content-Type", "application/json").body("{}"))
    };

    for coding in ["gzip", "zstd", "gzip, identity"] {
        assert_eq!(send(coding).await.code(), (415, "unsupported_media_type".to_owned()), "{coding}");
    }
    // Nobody runs svc-user here: it was forwarded.
    assert_eq!(send("identity").await.code(), (503, "unavailable".to_owned()));
}
