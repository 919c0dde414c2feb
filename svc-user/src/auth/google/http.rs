//! What the provider is asked over: HTTPS with the roots that browsers trust, bounded in time, size and number.
//!
//! Redirects are not followed: the provider's metadata say where things are, and nobody else does.

use std::{error::Error, pin::Pin, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse, http::Response};
use rustls::crypto::ring;
use tokio::sync::Semaphore;

/// How long one request may take, from the first packet of the connection to the last byte of the answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The most bytes that are read of an answer.
const LONGEST_ANSWER: usize = 128 * 1024;
/// How many requests there are at a time: a provider that is slow must not take the whole service with it.
const MOST_AT_ONCE: usize = 64;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    /// It did not come in time.
    #[error("no answer within {} ms", PATIENCE.as_millis())]
    Late,
    /// More wait for the provider than may.
    #[error("{MOST_AT_ONCE} requests wait for answers already")]
    Full,
    /// It is longer than any that one could want.
    #[error("the answer is longer than {LONGEST_ANSWER} bytes")]
    TooLong,
    /// Anything else between us.
    #[error("{0}")]
    Broken(String),
}

/// Asks one provider.
pub(super) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    places: Semaphore,
}

impl Http {
    /// By TLS only, unless the provider is on this machine.
    ///
    /// # Errors
    /// When there is no TLS to be had.
    pub(super) fn new(local: bool) -> Result<Self, rustls::Error> {
        let tls = HttpsConnectorBuilder::new().with_provider_and_webpki_roots(ring::default_provider())?;
        let schemes = if local { tls.https_or_http() } else { tls.https_only() };
        let connector = schemes.enable_http1().build();
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(4)
            .pool_timer(hyper_util::rt::TokioTimer::new())
            .build(connector);
        Ok(Self { client, places: Semaphore::new(MOST_AT_ONCE) })
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let _place = self.places.try_acquire().map_err(|_full| HttpError::Full)?;
        let answered = async {
            let answer = self.client.request(request.map(|body| Full::new(body.into()))).await;
            let (parts, body) = answer.map_err(|error| broken(&error))?.into_parts();
            let body = Limited::new(body, LONGEST_ANSWER)
                .collect()
                .await
                .map_err(|error| if error.is::<LengthLimitError>() { HttpError::TooLong } else { broken(&*error) })?;
            Ok(Response::from_parts(parts, body.to_bytes().to_vec()))
        };
        tokio::time::timeout(PATIENCE, answered).await.unwrap_or(Err(HttpError::Late))
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

/// With its causes: the outermost says little.
fn broken(error: &dyn Error) -> HttpError {
    HttpError::Broken(with_causes(error))
}

/// An error and what led to it, in one line.
pub(super) fn with_causes(error: &dyn Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// Asks somebody who answers with these bytes, and then nothing more.
    async fn asked(http: &Http, answer: Vec<u8>) -> Result<HttpResponse, HttpError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0, "a request");
            let _gone = stream.write_all(&answer).await;
            let _gone = stream.read(&mut [0; 1]).await;
        });
        http.call(openidconnect::http::Request::get(url).body(Vec::new()).unwrap()).await
    }

    fn of(length: usize) -> Vec<u8> {
        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{}", "x".repeat(length)).into_bytes()
    }

    #[tokio::test]
    async fn an_answer_is_as_long_as_one_could_want() {
        let http = Http::new(true).unwrap();
        assert_eq!(asked(&http, of(LONGEST_ANSWER)).await.unwrap().body().len(), LONGEST_ANSWER);
        assert!(matches!(asked(&http, of(LONGEST_ANSWER + 1)).await, Err(HttpError::TooLong)));
        let endless = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nmore\r\n";
        assert!(matches!(asked(&http, endless.to_vec()).await, Err(HttpError::Late)));
    }

    #[tokio::test]
    async fn who_does_not_answer_is_not_waited_for() {
        let http = Http::new(true).unwrap();
        assert!(matches!(asked(&http, Vec::new()).await, Err(HttpError::Late)));
        let error = asked(&http, b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()).await.unwrap_err();
        assert!(matches!(error, HttpError::Broken(_)), "{error}");
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_like_others() {
        let http = Http::new(true).unwrap();
        let elsewhere = b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(asked(&http, elsewhere.to_vec()).await.unwrap().status(), 302);
    }

    #[tokio::test]
    async fn without_tls_nobody_else_is_asked() {
        let http = Http::new(false).unwrap();
        let error = asked(&http, of(1)).await.unwrap_err();
        assert!(matches!(error, HttpError::Broken(_)), "{error}");
    }
}
