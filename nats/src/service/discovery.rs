//! The NATS service API (ADR-32): every instance answers who it is, what it serves and how that goes, so that
//! `nats service ls`, `info` and `stats` (older CLIs: `nats micro`) show it.
//!
//! | subject | answered with |
//! |---|---|
//! | `$SRV.PING`, `….<service>`, `….<service>.<instance>` | name, instance, version |
//! | `$SRV.INFO…` | the endpoints, with their subjects |
//! | `$SRV.STATS…` | per endpoint: requests, errors, the last error, times; as its data what it works on and what it shed |
//!
//! It is written here rather than taken from the client, because the client's endpoints lose the requests that are on the
//! wire while they unsubscribe (see [`super::endpoint`]).

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_nats::Client;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream::SelectAll};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// One endpoint of an instance, and how it goes.
#[derive(Debug)]
pub(crate) struct EndpointStats {
    name: String,
    pub(super) subject: String,
    pub(super) queue_group: &'static str,
    requests: AtomicU64,
    errors: AtomicU64,
    nanos: AtomicU64,
    last_error: Mutex<String>,
    /// Requests that were refused because the instance was full.
    pub(super) shed: AtomicU64,
    /// Requests that are being worked on.
    pub(super) working: AtomicUsize,
}

impl EndpointStats {
    pub(super) fn new(name: &str, subject: &str, queue_group: &'static str) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            subject: subject.to_owned(),
            queue_group,
            requests: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            nanos: AtomicU64::new(0),
            last_error: Mutex::default(),
            shed: AtomicU64::new(0),
            working: AtomicUsize::new(0),
        })
    }

    /// A request was answered, after so long; `failed` says why when it was answered with an error of ours.
    pub(crate) fn answered(&self, after: Duration, failed: Option<&str>) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        if let Some(reason) = failed {
            self.errors.fetch_add(1, Ordering::Relaxed);
            reason.clone_into(&mut self.last_error.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    fn info(&self) -> Value {
        json!({ "name": self.name, "subject": self.subject, "queue_group": self.queue_group, "metadata": {} })
    }

    fn stats(&self) -> Value {
        let (requests, nanos) = (self.requests.load(Ordering::Relaxed), self.nanos.load(Ordering::Relaxed));
        let last_error = self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        json!({
            "name": self.name,
            "subject": self.subject,
            "queue_group": self.queue_group,
            "num_requests": requests,
            "num_errors": self.errors.load(Ordering::Relaxed),
            "last_error": last_error,
            "processing_time": nanos,
            "average_processing_time": nanos.checked_div(requests).unwrap_or_default(),
            "data": {
                "working": self.working.load(Ordering::Relaxed),
                "shed": self.shed.load(Ordering::Relaxed),
            },
        })
    }
}

/// What an instance tells of itself.
pub(super) struct Instance {
    pub(super) name: &'static str,
    pub(super) id: String,
    pub(super) description: String,
    pub(super) started: DateTime<Utc>,
    pub(super) endpoints: Vec<Arc<EndpointStats>>,
}

impl Instance {
    fn answer(&self, verb: &str) -> Value {
        let version = env!("CARGO_PKG_VERSION");
        match verb {
            "PING" => json!({
                "type": "io.nats.micro.v1.ping_response",
                "name": self.name, "id": self.id, "version": version, "metadata": {},
            }),
            "INFO" => json!({
                "type": "io.nats.micro.v1.info_response",
                "name": self.name, "id": self.id, "version": version, "metadata": {},
                "description": self.description,
                "endpoints": self.endpoints.iter().map(|endpoint| endpoint.info()).collect::<Vec<_>>(),
            }),
            _ => json!({
                "type": "io.nats.micro.v1.stats_response",
                "name": self.name, "id": self.id, "version": version, "metadata": {},
                "started": self.started,
                "endpoints": self.endpoints.iter().map(|endpoint| endpoint.stats()).collect::<Vec<_>>(),
            }),
        }
    }

    /// Subscribes, and answers until `stop`.
    pub(super) async fn serve(
        self,
        client: &Client,
        stop: CancellationToken,
    ) -> Result<impl Future<Output = ()> + Send + 'static, async_nats::SubscribeError> {
        let mut questions = SelectAll::new();
        for verb in ["PING", "INFO", "STATS"] {
            for to in [String::new(), format!(".{}", self.name), format!(".{}.{}", self.name, self.id)] {
                let asked = client.subscribe(format!("$SRV.{verb}{to}")).await?;
                questions.push(asked.map(move |message| (verb, message)).boxed());
            }
        }
        let client = client.clone();
        Ok(async move {
            loop {
                let (verb, message) = tokio::select! {
                    () = stop.cancelled() => return,
                    asked = questions.next() => match asked {
                        Some(asked) => asked,
                        None => return,
                    }
                };
                let Some(reply) = message.reply else { continue };
                if let Err(error) = client.publish(reply, self.answer(verb).to_string().into()).await {
                    tracing::debug!(%error, verb, "a question about this instance could not be answered");
                }
            }
        })
    }
}
