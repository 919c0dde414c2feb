//! Compression of answers (RFC 9110 section 12.5.3): zstd, br or gzip, what the client likes best.
//!
//! Only what shrinks (text, JSON, XML, SVG) and has more than 1 KiB; never a file with ranges, whose bytes are counted. Since
//! the services' entity tags name versions and not bytes, they become weak ones; the gateway takes those back as if they were
//! the service's own.

use std::io;

use async_compression::{
    Level,
    tokio::bufread::{BrotliEncoder, GzipEncoder, ZstdEncoder},
};
use bytes::Bytes;
use nats::problem::Problem;
use poem::{
    Body, Response,
    http::{HeaderMap, HeaderValue, StatusCode, header},
};
use tokio::io::{AsyncRead, AsyncReadExt, BufReader};

/// Less is not worth it: it fits into one packet.
const SMALLEST: u64 = 1024;
/// Up to here compressing takes two milliseconds.
const AT_ONCE: u64 = 128 * 1024;
/// What else is text.
const TEXTS: [&str; 5] =
    ["application/json", "application/javascript", "application/xml", "application/xhtml+xml", "image/svg+xml"];

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Zstd,
    Brotli,
    Gzip,
}

impl Coding {
    /// Best first, where the client does not mind.
    pub(crate) const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// The name in headers.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// What the client likes best; `None` for the bytes as they are.
    pub(crate) fn wanted(headers: &HeaderMap) -> Option<Self> {
        let accepted = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        let accepted: Vec<(&str, u16)> = accepted.flat_map(|value| value.split(',')).filter_map(weighed).collect();
        let weight = |name: &str| {
            let named = accepted.iter().find(|(one, _)| one.eq_ignore_ascii_case(name));
            named.or_else(|| accepted.iter().find(|(one, _)| *one == "*")).map_or(0, |(_, weight)| *weight)
        };
        // Of several best the last one is found, so the order is turned.
        let best = Self::ALL.into_iter().rev().max_by_key(|coding| weight(coding.as_str()))?;
        let plain =
            accepted.iter().find(|(one, _)| one.eq_ignore_ascii_case("identity")).map_or(0, |(_, weight)| *weight);
        (weight(best.as_str()) > 0 && weight(best.as_str()) >= plain).then_some(best)
    }

    /// A reader of what the other one reads, compressed. The levels are those at which a core writes some 50 MB in a second.
    fn reader(self, plain: impl AsyncRead + Unpin + Send + 'static) -> Box<dyn AsyncRead + Unpin + Send> {
        let plain = BufReader::with_capacity(32 * 1024, plain);
        match self {
            Self::Zstd => Box::new(ZstdEncoder::with_quality(plain, Level::Precise(3))),
            Self::Brotli => Box::new(BrotliEncoder::with_quality(plain, Level::Precise(4))),
            Self::Gzip => Box::new(GzipEncoder::with_quality(plain, Level::Precise(4))),
        }
    }

    /// All of it at once, for what is kept.
    pub(crate) async fn whole(self, plain: Bytes) -> io::Result<Bytes> {
        let mut coded = Vec::new();
        self.reader(io::Cursor::new(plain)).read_to_end(&mut coded).await?;
        Ok(coded.into())
    }
}

/// A part of `Accept-Encoding`: the coding and its weight in thousandths.
fn weighed(part: &str) -> Option<(&str, u16)> {
    let (name, parameter) = part.split_once(';').map_or((part, None), |(name, parameter)| (name, Some(parameter)));
    let weight = match parameter {
        None => 1000,
        Some(parameter) => thousandths(parameter.trim().strip_prefix("q=")?)?,
    };
    Some((name.trim(), weight))
}

/// A weight such as `0.25`.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction: u16 = match fraction.len() {
        0..=3 if fraction.bytes().all(|byte| byte.is_ascii_digit()) => format!("{fraction:0<3}").parse().ok()?,
        _ => return None,
    };
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1000),
        _ => None,
    }
}

/// The answer, compressed when that is wanted and worth it.
///
/// Shorter ones at once: what waits for a client to take it is then their bytes, and not an encoder with its window.
pub(crate) async fn compressed(mut response: Response, wanted: Option<Coding>) -> Response {
    if !shrinks(&response) {
        return response;
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    let Some(coding) = wanted else { return response };
    let (plain, length) = (response.take_body(), length(&response));
    if plain.is_empty() {
        // The answer to HEAD: the length that it names would be another one.
        response.headers_mut().remove(header::CONTENT_LENGTH);
        return response;
    }
    let coded = if length > AT_ONCE {
        Body::from_async_read(coding.reader(plain.into_async_read()))
    } else {
        let whole = async { coding.whole(plain.into_bytes().await.map_err(io::Error::other)?).await };
        match whole.await {
            Ok(coded) => Body::from_bytes(coded),
            Err(error) => return Problem::internal(error).response("", ""),
        }
    };
    response.set_body(coded);
    mark(response.headers_mut(), coding);
    response
}

/// How long the answer says that it is.
fn length(response: &Response) -> u64 {
    let length = response.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    length.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Says that the body is compressed.
pub(crate) fn mark(headers: &mut HeaderMap, coding: Coding) {
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
    let weak = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()).filter(|tag| tag.starts_with('"'));
    if let Some(Ok(weak)) = weak.map(|tag| HeaderValue::try_from(format!("W/{tag}"))) {
        headers.insert(header::ETAG, weak);
    }
}

/// Entity tags as the service gave them, of those that the client got.
pub(crate) fn strong(tags: &str) -> String {
    let tags = tags.split(',').map(str::trim);
    tags.map(|tag| tag.strip_prefix("W/").unwrap_or(tag)).collect::<Vec<_>>().join(", ")
}

/// Whether compressing is worth it, and allowed.
fn shrinks(response: &Response) -> bool {
    let headers = response.headers();
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = text(header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    // Events are to arrive one by one.
    let is_text = (kind.starts_with("text/") && kind != "text/event-stream")
        || TEXTS.contains(&kind.as_str())
        || kind.ends_with("+json")
        || kind.ends_with("+xml");
    is_text
        && length(response) > SMALLEST
        && response.status() != StatusCode::PARTIAL_CONTENT
        && text(header::ACCEPT_RANGES) != "bytes"
        && !headers.contains_key(header::CONTENT_ENCODING)
        && !text(header::CACHE_CONTROL).contains("no-transform")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_client_says_which_coding() {
        for (accepted, expected) in [
            ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
            ("gzip, deflate, br", Some(Coding::Brotli)),
            ("gzip", Some(Coding::Gzip)),
            ("GZIP", Some(Coding::Gzip)),
            ("deflate", None),
            ("", None),
            ("identity", None),
            ("*", Some(Coding::Zstd)),
            ("zstd;q=0, *", Some(Coding::Brotli)),
            ("gzip;q=0.8, br;q=0.85", Some(Coding::Brotli)),
            ("gzip;q=1.0, zstd;q=0.5", Some(Coding::Gzip)),
            ("gzip;q=0.5, identity", None),
            ("gzip; q=0.001", Some(Coding::Gzip)),
            ("gzip;q=0", None),
            ("gzip;q=nonsense", None),
            ("gzip;q=2", None),
        ] {
            let headers = [(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted))].into_iter().collect();
            assert_eq!(Coding::wanted(&headers), expected, "{accepted:?}");
        }
        assert_eq!(Coding::wanted(&HeaderMap::new()), None);
    }

    fn answer(kind: &str, length: usize) -> poem::ResponseBuilder {
        Response::builder().content_type(kind).header(header::CONTENT_LENGTH, length)
    }

    #[tokio::test]
    async fn only_long_texts_are_compressed() {
        let coded = async |response: poem::ResponseBuilder| {
            let response = compressed(response.body("x"), Some(Coding::Gzip)).await;
            response.headers().contains_key(header::VARY)
        };
        assert!(coded(answer("application/json", 1025)).await);
        assert!(coded(answer("application/problem+json; charset=utf-8", 2000)).await);
        assert!(coded(answer("text/csv", 2000)).await);
        for plain in [
            answer("application/json", 1024),
            answer("application/pdf", 2000),
            answer("text/event-stream", 2000),
            answer("text/csv", 2000).header("Accept-Ranges", "bytes"),
            answer("text/csv", 2000).status(StatusCode::PARTIAL_CONTENT),
            answer("text/csv", 2000).header("Content-Encoding", "gzip"),
            answer("text/csv", 2000).header("Cache-Control", "private, no-transform"),
            Response::builder().content_type("text/csv"),
        ] {
            assert!(!coded(plain).await);
        }
    }

    #[tokio::test]
    async fn the_entity_tag_of_other_bytes_is_weak_and_is_taken_back() {
        let response =
            compressed(answer("text/csv", 2000).header("ETag", "\"3.f\"").body("x"), Some(Coding::Brotli)).await;
        assert_eq!(response.headers()["etag"], "W/\"3.f\"");
        assert_eq!(response.headers()["vary"], "Accept-Encoding");
        assert!(!response.headers().contains_key("content-length"));
        assert_eq!(strong("W/\"3.f\""), "\"3.f\"");
        assert_eq!(strong("W/\"3.f\", \"4\",W/\"5\""), "\"3.f\", \"4\", \"5\"");
        assert_eq!(strong("*"), "*");
    }
}
