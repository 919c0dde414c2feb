//! Logs and the trace context that runs through HTTP, calls, outbox rows and events.
//!
//! | setting | meaning | when unset |
//! |---|---|---|
//! | `LOG` | tracing filter, such as `info,svc_order=debug` | `info` |
//! | `LOG_FORMAT` | `json` or `human` | `human` on a terminal, else `json` |
//!
//! Trap: a spawned task has no context of its own; wrap it in [`Trace::scope`].

use std::{fmt, future::Future, io::IsTerminal};

use tracing::Instrument;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{SettingError, Settings};

/// The header of a trace's context (W3C Trace Context), in HTTP and in NATS messages alike.
pub const TRACEPARENT: &str = "traceparent";
/// The header of the request id, in HTTP and in NATS messages alike.
pub const REQUEST_ID: &str = "X-Request-Id";

tokio::task_local! {
    static CURRENT: Trace;
}

/// Which trace a piece of work belongs to, and which request began it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    trace_id: u128,
    span_id: u64,
    request_id: String,
}

impl Trace {
    /// A trace that begins here.
    pub fn root() -> Self {
        let id = uuid::Uuid::now_v7();
        Self {
            trace_id: uuid::Uuid::new_v4().as_u128(),
            span_id: rand::random(),
            request_id: format!("req_{}", id.simple()),
        }
    }

    /// Continues the trace of a `traceparent` and request id as they came; what is absent or malformed begins anew.
    pub fn continued(traceparent: Option<&str>, request_id: Option<&str>) -> Self {
        let mut trace = Self::root();
        if let Some((trace_id, _parent)) = traceparent.and_then(parse_traceparent) {
            trace.trace_id = trace_id;
        }
        if let Some(id) = request_id.filter(|id| is_request_id(id)) {
            id.clone_into(&mut trace.request_id);
        }
        trace
    }

    /// The trace of the running task, or a new one.
    pub fn current() -> Self {
        CURRENT.try_with(Clone::clone).unwrap_or_else(|_| Self::root())
    }

    /// The `traceparent` to send on.
    pub fn traceparent(&self) -> String {
        format!("00-{:032x}-{:016x}-01", self.trace_id, self.span_id)
    }

    /// The id of the request that began it.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Runs `work` as part of this trace, in `span`; its log lines carry the request id.
    pub async fn scope<F: Future>(self, span: tracing::Span, work: F) -> F::Output {
        CURRENT.scope(self, work.instrument(span)).await
    }
}

/// Writes the trace id in hexadecimal, as log lines carry it.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.trace_id)
    }
}

fn parse_traceparent(text: &str) -> Option<(u128, u64)> {
    let mut parts = text.split('-');
    let (version, trace_id, span_id) = (parts.next()?, parts.next()?, parts.next()?);
    if version.len() != 2 || version == "ff" || trace_id.len() != 32 || span_id.len() != 16 {
        return None;
    }
    let trace_id = u128::from_str_radix(trace_id, 16).ok().filter(|id| *id != 0)?;
    let span_id = u64::from_str_radix(span_id, 16).ok().filter(|id| *id != 0)?;
    Some((trace_id, span_id))
}

fn is_request_id(text: &str) -> bool {
    (8..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// Starts logging as the settings say. The first call of a process counts.
///
/// # Errors
/// When a setting does not parse.
pub fn start(settings: &Settings) -> Result<(), SettingError> {
    let filter: String = settings.parse("LOG", "info".to_owned())?;
    let default = if std::io::stderr().is_terminal() { "human" } else { "json" };
    let format: String = settings.parse("LOG_FORMAT", default.to_owned())?;
    let registry = tracing_subscriber::registry().with(EnvFilter::new(filter));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    // A second call (several services in one test process) keeps the first.
    let _ = if format == "json" {
        registry.with(lines.json().flatten_event(true).with_span_list(false)).try_init()
    } else {
        registry.with(lines.with_target(false)).try_init()
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_continued_and_a_malformed_one_begins_anew() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let trace = Trace::continued(Some(parent), Some("req_12345678"));
        assert!(trace.traceparent().starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{trace}");
        assert_eq!(trace.request_id(), "req_12345678");
        for bad in ["", "00-0-0-01", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-zz"] {
            let fresh = Trace::continued(Some(bad), Some("bad id\r\n"));
            assert!(!fresh.traceparent().contains("4bf92f35"), "{bad} was continued");
            assert!(fresh.request_id().starts_with("req_"));
        }
    }
}
