//! The gateway's side: a request goes to the service that owns it, and its answer comes back.

use std::net::IpAddr;

use async_nats::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use poem::endpoint::BoxEndpoint;

use super::{INLINE, INTERNAL, METHOD, OBJECT, STATUS, TARGET, address::CLIENT, endpoint::answer_here, subject};
use crate::{
    connect::Requests,
    contracts::TRANSFER,
    identity::Identity,
    invoke::{AskError, ask},
    objects::{ObjectError, Objects},
    resilience::{Guards, Policy, Shut, Verdict},
    telemetry::{REQUEST_ID, TRACEPARENT, Trace},
};

/// Headers that are the hop's own and never taken over from a client.
const RESERVED: [&str; 4] = ["http-", INTERNAL, "nats-", "ce-"];

/// A request on its way to a service.
#[derive(Debug, Clone)]
pub struct Forward<'a> {
    /// The service that owns the operation.
    pub service: &'a str,
    /// The HTTP method.
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// The client's headers; only those that services read, without hop-by-hop headers.
    pub headers: Vec<(String, String)>,
    /// Who asks, as the gateway has verified it.
    pub identity: Option<&'a Identity>,
    /// From where ([`ClientAddress`](super::ClientAddress)).
    pub client: Option<IpAddr>,
    /// The body.
    pub body: Bytes,
}

/// A service's answer.
#[derive(Debug, Clone)]
pub struct Answered {
    /// The HTTP status.
    pub status: u16,
    /// The answer's headers.
    pub headers: Vec<(String, String)>,
    /// The body, unless `object` names it.
    pub body: Bytes,
    /// `(bucket, object)` of a body that lies in the object store.
    pub object: Option<(String, String)>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// No instance is there.
    #[error("no instance of {0} is running")]
    Unavailable(String),
    /// No answer in time.
    #[error("{0} did not answer in time")]
    TimedOut(String),
    /// The large body could not be stored.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// Anything else between us and the broker.
    #[error("the request could not be forwarded: {0}")]
    Broken(String),
}

/// Sends requests to services, by the policy `forward` ([`crate::resilience`]); cheap to clone.
#[derive(Clone)]
pub struct Forwarder {
    requests: Requests,
    guards: Guards,
}

impl Forwarder {
    /// Over these connections, by this policy.
    pub fn new(requests: Requests, policy: Policy) -> Self {
        Self { requests, guards: Guards::new(policy) }
    }
}

/// Where nobody was there, nothing was done, and it is tried again. What timed out is left to the client: it has the key.
fn judge(answered: &Result<async_nats::Message, AskError>) -> Verdict {
    match answered {
        Err(AskError::Unavailable) => Verdict::Nobody,
        Err(AskError::TimedOut) => Verdict::Failed { again: false },
        Ok(_) | Err(AskError::Broken(_)) => Verdict::Fine,
    }
}

impl Forward<'_> {
    /// Sends the request and waits for the answer.
    ///
    /// # Errors
    /// See [`ForwardError`].
    pub async fn send(self, forwarder: &Forwarder, objects: &Objects) -> Result<Answered, ForwardError> {
        let mut headers = self.headers()?;
        let (mut body, mut stored) = (self.body, None);
        if body.len() > INLINE {
            let name = uuid::Uuid::now_v7().simple().to_string();
            objects.put(TRANSFER, &name, std::mem::take(&mut body)).await?;
            headers.insert(OBJECT, format!("{}/{name}", TRANSFER.name).as_str());
            stored = Some(name);
        }
        let guard = forwarder.guards.of(self.service);
        let answered = guard.run(guard.policy().deadline, judge, |time| {
            ask(&forwarder.requests, subject(self.service), headers.clone(), body.clone(), time)
        });
        let answered = match answered.await {
            Ok(answered) => answered,
            Err(Shut::Open | Shut::Full) => Err(AskError::Unavailable),
            Err(Shut::TimeIsUp) => Err(AskError::TimedOut),
        };
        let answered = answered.map_err(|error| match error {
            AskError::Unavailable => ForwardError::Unavailable(self.service.to_owned()),
            AskError::TimedOut => ForwardError::TimedOut(self.service.to_owned()),
            AskError::Broken(reason) => ForwardError::Broken(reason),
        });
        let answered = answered.and_then(|message| {
            read(message).ok_or_else(|| ForwardError::Broken(format!("{} gave no HTTP answer", self.service)))
        });
        if let (Some(name), Err(_) | Ok(Answered { status: 503, .. })) = (stored, &answered) {
            // Nobody took it.
            objects.delete(TRANSFER, &name).await;
        }
        answered
    }

    /// Has an endpoint of this process answer, as a service's would.
    ///
    /// # Errors
    /// [`ForwardError::Broken`] for what cannot travel in a header.
    pub async fn answer(self, endpoint: &BoxEndpoint<'static>) -> Result<Answered, ForwardError> {
        let response = answer_here(endpoint, &self.headers()?, self.body).await;
        let (parts, body) = response.into_parts();
        let text = |value: &poem::http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let body = body.into_bytes().await.map_err(|error| ForwardError::Broken(error.to_string()))?;
        Ok(Answered { status: parts.status.as_u16(), headers, body, object: None })
    }

    /// The request as headers: the client's, ours, and who asks.
    fn headers(&self) -> Result<HeaderMap, ForwardError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let reserved = RESERVED.iter().any(|prefix| name.to_ascii_lowercase().starts_with(prefix));
            if let (false, Ok(name), Ok(value)) = (reserved, name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
                headers.append(name, value);
            }
        }
        let broken = |error: &dyn std::fmt::Display| ForwardError::Broken(error.to_string());
        headers.insert(METHOD, self.method.parse::<HeaderValue>().map_err(|error| broken(&error))?);
        headers.insert(TARGET, self.target.parse::<HeaderValue>().map_err(|error| broken(&error))?);
        let trace = Trace::current();
        headers.insert(TRACEPARENT, trace.traceparent().as_str());
        headers.insert(REQUEST_ID, trace.request_id());
        if let Some(identity) = self.identity {
            identity.write(&mut headers);
        }
        if let Some(client) = self.client {
            headers.insert(CLIENT, client.to_string().as_str());
        }
        Ok(headers)
    }
}

fn read(message: async_nats::Message) -> Option<Answered> {
    let headers = message.headers?;
    let status = headers.get(STATUS)?.as_str().parse().ok()?;
    let object = headers
        .get(OBJECT)
        .and_then(|object| object.as_str().split_once('/'))
        .map(|(bucket, name)| (bucket.to_owned(), name.to_owned()));
    let headers = headers
        .iter()
        .filter(|(name, _)| ![STATUS, OBJECT].contains(&name.to_string().as_str()))
        .flat_map(|(name, values)| values.iter().map(move |value| (name.to_string(), value.as_str().to_owned())))
        .collect();
    Some(Answered { status, headers, body: message.payload, object })
}
