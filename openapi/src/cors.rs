//! Cross-origin requests (the Fetch standard): which other origins' pages may use the API.
//!
//! | setting | meaning | when unset |
//! |---|---|---|
//! | `CORS_ORIGINS` | origins, exactly as browsers send them: `https://shop.example https://admin.example:8443` | none but the gateway's own |
//!
//! Preflights are answered here and cost no service anything. Credentials are not allowed: the API takes tokens. The one
//! cookie that there is, of a browser that signs in with Google, is for pages of the gateway's own origin.
//!
//! Trap: this protects no data, it only lets pages read answers; who may do what is decided by the token.

use std::str::FromStr;

use poem::{
    Request, Response,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};

/// What a page may send.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
/// The headers that a page may set.
const SENT: &str = "Authorization, Content-Type, Accept-Language, If-Match, If-None-Match, Range, Idempotency-Key, \
    Cart-Token, Last-Event-ID, X-Request-Id, Traceparent";
/// The headers of an answer that a page may read, besides those it always may.
const READ: &str = "ETag, Location, Link, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id, Idempotency-Replayed, \
    Accept-Ranges, Content-Range, Content-Disposition, WWW-Authenticate";
/// How long a browser may remember what a preflight said, in seconds; Chromium keeps it for two hours at most.
const REMEMBERED: &str = "7200";

/// The origins whose pages may use the API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(Vec<String>);

impl Origins {
    /// The request's origin, when it is one of these.
    pub(crate) fn of(&self, request: &Request) -> Option<HeaderValue> {
        let origin = request.headers().get(header::ORIGIN)?;
        self.0.iter().any(|one| one.as_bytes() == origin.as_bytes()).then(|| origin.clone())
    }

    /// Whether a page of the request's origin may open a WebSocket. Browsers let any page do so, and read what comes: so it is
    /// not enough to keep quiet. Our own pages may; programs send no origin.
    pub(crate) fn admit(&self, request: &Request) -> bool {
        let headers = request.headers();
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        let own = || {
            let (_scheme, authority) = origin.to_str().ok()?.split_once("://")?;
            Some(authority.eq_ignore_ascii_case(headers.get(header::HOST)?.to_str().ok()?))
        };
        self.of(request).is_some() || own() == Some(true)
    }

    /// The answer to a preflight; `None` for what is none. What is not allowed is told by the headers that are missing.
    pub(crate) fn preflight(request: &Request, origin: Option<&HeaderValue>) -> Option<Response> {
        let headers = request.headers();
        let asks = headers.contains_key(header::ORIGIN) && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if request.method() != Method::OPTIONS || !asks {
            return None;
        }
        let mut response = Response::builder().status(StatusCode::NO_CONTENT).finish();
        if origin.is_some() {
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(SENT));
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(REMEMBERED));
        }
        Some(response)
    }

    /// Lets pages of the origin read an answer.
    pub(crate) fn write(&self, origin: Option<HeaderValue>, headers: &mut HeaderMap) {
        if self.0.is_empty() {
            return;
        }
        // Also without an allowed origin: a cache must not give one origin's answer to another.
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(READ));
        }
    }
}

impl FromStr for Origins {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split([' ', ',']).filter(|part| !part.is_empty());
        let read = |part: &str| match is_origin(part) {
            true => Ok(part.to_owned()),
            false => Err(format!(
                "`{part}` is no origin; write scheme://host or scheme://host:port in small letters, and no path"
            )),
        };
        parts.map(read).collect::<Result<_, _>>().map(Self)
    }
}

/// Whether a browser would write an origin like this.
fn is_origin(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else { return false };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._[]:".contains(&byte);
    matches!(scheme, "https" | "http")
        && !host.is_empty()
        && host.bytes().all(letter)
        // The scheme's own port is left out.
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != if scheme == "https" { 443 } else { 80 }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_browser_would_send_is_an_origin() {
        for good in ["https://shop.example", "http://localhost:5173", "https://[::1]:8443", "http://127.0.0.1:3000"] {
            assert!(is_origin(good), "{good}");
        }
        for wrong in [
            "*",
            "null",
            "shop.example",
            "https://",
            "https://shop.example/",
            "https://Shop.example",
            "https://*.example",
            "https://shop.example:443",
            "http://shop.example:80",
            "https://shop.example:x",
            "ftp://shop.example",
            "https://user@shop.example",
        ] {
            assert!(!is_origin(wrong), "{wrong}");
            assert!(wrong.parse::<Origins>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn our_own_pages_and_those_of_the_list_may_open_a_websocket() {
        let origins: Origins = "https://shop.example".parse().unwrap();
        for (origin, host, admitted) in [
            ("https://shop.example", "api.example", true),
            ("https://api.example", "api.example", true),
            ("http://127.0.0.1:8080", "127.0.0.1:8080", true),
            ("http://127.0.0.1:8081", "127.0.0.1:8080", false),
            ("https://evil.example", "api.example", false),
            ("https://api.example.evil", "api.example", false),
            ("null", "api.example", false),
            ("", "api.example", false),
        ] {
            let request = Request::builder().header("Origin", origin).header("Host", host).finish();
            assert_eq!(origins.admit(&request), admitted, "{origin} at {host}");
        }
        assert!(origins.admit(&Request::builder().header("Host", "api.example").finish()), "a program");
    }

    #[test]
    fn an_origin_is_compared_as_a_whole() {
        let origins: Origins = "https://shop.example, http://localhost:5173".parse().unwrap();
        let of = |origin: &str| origins.of(&Request::builder().header("Origin", origin).finish());
        assert_eq!(of("https://shop.example").unwrap(), "https://shop.example");
        assert!(of("http://localhost:5173").is_some());
        for other in ["https://shop.example.evil", "https://shop.example:8443", "http://shop.example", "null", ""] {
            assert!(of(other).is_none(), "{other}");
        }
    }
}
