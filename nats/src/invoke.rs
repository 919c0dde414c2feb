//! Service invocation: typed request-reply over NATS, by the policy `call` ([`crate::resilience`]).
//!
//! A call goes to `svc.<service>.<verb_noun>`; one instance of the service's queue group answers. The remaining time
//! travels in `Argosy-Deadline`, so nobody works for a caller that has gone. "No responders" is [`CallError::Unavailable`]
//! after the policy's few tries, not a timeout. Only calls that their contract names idempotent are repeated after one.
//!
//! Trap: what a call carries does not survive a crash. What must happen is an event.

use std::{
    fmt,
    future::Future,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_nats::{Client, HeaderMap, client::RequestErrorKind};
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use serde::Serialize;

use crate::{
    connect::{Connection, Requests},
    contracts::Call,
    database::DatabaseError,
    problem::{Code, Problem},
    resilience::{Guards, Policy, Shut, Verdict, within},
    service::Request,
    telemetry::{REQUEST_ID, TRACEPARENT, Trace},
};

/// When the caller stops waiting, in milliseconds since 1970.
pub(crate) const EXPIRES: &str = "Argosy-Expires";
/// How much the clocks of two machines may differ, in milliseconds.
const SKEW_MS: i64 = 2_000;
/// Milliseconds that the caller will still wait.
pub(crate) const DEADLINE: &str = "Argosy-Deadline";
/// How a call was answered: `ok`, `refused`, `failed`, `busy`.
pub const OUTCOME: &str = "Argosy-Outcome";
/// The body is the reply.
pub const OK: &str = "ok";
/// The body is the refusal.
pub const REFUSED: &str = "refused";
const FAILED: &str = "failed";
const BUSY: &str = "busy";
const TIMED_OUT: &str = "timed_out";

/// Why a call brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError<R: fmt::Debug> {
    /// The service says no, in the contract's words.
    #[error("refused: {0:?}")]
    Refused(R),
    /// No instance is there, or all are full; nothing was done.
    #[error("{service} is unavailable")]
    Unavailable {
        /// Which service.
        service: &'static str,
    },
    /// No answer within the deadline; it is not known what was done.
    #[error("{service} did not answer in time")]
    TimedOut {
        /// Which service.
        service: &'static str,
    },
    /// The service broke over it, or its answer cannot be read.
    #[error("the call failed: {0}")]
    Failed(String),
}

impl<R: fmt::Debug> From<diesel::result::Error> for CallError<R> {
    fn from(error: diesel::result::Error) -> Self {
        DatabaseError::from(error).into()
    }
}

impl<R: fmt::Debug> From<DatabaseError> for CallError<R> {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Unreachable { .. } => Self::Unavailable { service: "database" },
            // The connection broke over a statement; it may have been the commit.
            DatabaseError::Query { .. } if error.is_unavailable() => Self::TimedOut { service: "database" },
            DatabaseError::Query { .. } => Self::Failed(error.to_string()),
        }
    }
}

impl<R: fmt::Debug> CallError<R> {
    /// The problem this is to an HTTP client, with `refused` for the contract's own refusals.
    pub fn problem(self, refused: impl FnOnce(R) -> Problem) -> Problem {
        match self {
            Self::Refused(refusal) => refused(refusal),
            Self::Unavailable { service } => {
                Problem::new(Code::Unavailable, format!("The {service} service cannot be reached. Nothing was done."))
            }
            Self::TimedOut { service } => {
                Problem::new(Code::Timeout, format!("The {service} service did not answer in time."))
            }
            Self::Failed(reason) => Problem::internal(reason),
        }
    }
}

/// Calls other services; cheap to clone.
#[derive(Clone)]
pub struct Caller {
    requests: Requests,
    guards: Guards,
}

impl Caller {
    /// Over this connection, by the policy `call`; the user's permissions decide which calls can be made.
    pub fn new(client: Client) -> Self {
        Self::over(Requests::over(client), Policy::CALL)
    }

    /// Over these connections, by this policy.
    pub fn over(requests: Requests, policy: Policy) -> Self {
        Self { requests, guards: Guards::new(policy) }
    }

    /// Asks, within the contract's deadline. Tried again when nobody was there, or when the contract says that asking
    /// twice is harmless.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call<C: Call>(&self, question: &C) -> Result<C::Reply, CallError<C::Refusal>> {
        self.call_at(C::SERVICE, question).await
    }

    /// As [`Caller::call`], to a service of our choice: for calls that every service answers.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call_at<C: Call>(&self, service: &str, question: &C) -> Result<C::Reply, CallError<C::Refusal>> {
        let failed = |error: &dyn fmt::Display| CallError::Failed(error.to_string());
        let payload = Bytes::from(serde_json::to_vec(question).map_err(|error| failed(&error))?);
        // An earlier try may have had its effect: that a later one met nobody does not undo it.
        let doubtful = AtomicBool::new(false);
        let guard = self.guards.of(service);
        let answered = guard.run(C::DEADLINE, judge::<C>, |time| {
            let (payload, doubtful) = (payload.clone(), &doubtful);
            async move {
                let outcome = self.attempt::<C>(service, payload, time).await;
                if matches!(outcome, Err(CallError::TimedOut { .. })) {
                    doubtful.store(true, Ordering::Relaxed);
                }
                outcome
            }
        });
        match answered.await {
            Ok(Err(CallError::Unavailable { .. })) if doubtful.load(Ordering::Relaxed) => {
                Err(CallError::TimedOut { service: C::SERVICE })
            }
            Ok(outcome) => outcome,
            Err(Shut::Open | Shut::Full) => Err(CallError::Unavailable { service: C::SERVICE }),
            Err(Shut::TimeIsUp) => Err(CallError::TimedOut { service: C::SERVICE }),
        }
    }

    async fn attempt<C: Call>(
        &self,
        service: &str,
        payload: Bytes,
        time: Duration,
    ) -> Result<C::Reply, CallError<C::Refusal>> {
        let failed = |error: &dyn fmt::Display| CallError::Failed(error.to_string());
        let trace = Trace::current();
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, trace.traceparent().as_str());
        headers.insert(REQUEST_ID, trace.request_id());
        let subject = C::subject_at(service);
        let message = ask(&self.requests, subject.clone(), headers, payload, time).await;
        let message = message.map_err(|error| match error {
            AskError::Unavailable => CallError::Unavailable { service: C::SERVICE },
            AskError::TimedOut => CallError::TimedOut { service: C::SERVICE },
            AskError::Broken(reason) => CallError::Failed(reason),
        })?;
        let outcome = message.headers.as_ref().and_then(|headers| headers.get(OUTCOME)).map(|value| value.as_str());
        match outcome {
            Some(OK) => serde_json::from_slice(&message.payload).map_err(|error| failed(&error)),
            Some(REFUSED) => {
                Err(CallError::Refused(serde_json::from_slice(&message.payload).map_err(|error| failed(&error))?))
            }
            Some(BUSY) => Err(CallError::Unavailable { service: C::SERVICE }),
            Some(TIMED_OUT) => Err(CallError::TimedOut { service: C::SERVICE }),
            _ => Err(CallError::Failed(format!("{subject} could not answer"))),
        }
    }
}

/// What an outcome says about the service that was asked.
fn judge<C: Call>(outcome: &Result<C::Reply, CallError<C::Refusal>>) -> Verdict {
    match outcome {
        Err(CallError::Unavailable { .. }) => Verdict::Nobody,
        Err(CallError::TimedOut { .. }) => Verdict::Failed { again: C::IDEMPOTENT },
        Ok(_) | Err(CallError::Refused(_) | CallError::Failed(_)) => Verdict::Fine,
    }
}

/// Why a request message brought no reply.
pub(crate) enum AskError {
    /// Nobody is there, or we are not connected: nothing was sent.
    Unavailable,
    /// No reply in time.
    TimedOut,
    /// Anything else.
    Broken(String),
}

/// How long a reply may still take after the connection broke: a responder that lives sends what it had queued.
const GRACE: Duration = Duration::from_secs(1);

/// Counts a request that got no reply, also when whoever waited went away meanwhile.
struct Unanswered<'a>(Option<&'a Requests>);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(requests) = self.0 {
            requests.timed_out(1);
        }
    }
}

/// Sends a request message and waits for its reply, in all at most `time`; both sides know when that is over.
///
/// When the connection breaks meanwhile, the reply is most likely lost: that ends as a timeout, soon after.
pub(crate) async fn ask(
    requests: &Requests,
    subject: String,
    mut headers: HeaderMap,
    payload: Bytes,
    time: Duration,
) -> Result<async_nats::Message, AskError> {
    let client = requests.client();
    // While disconnected the client would queue the request, and send it when nobody waits any more.
    let connection = Connection::of(&client);
    if !connection.lasts() {
        return Err(AskError::Unavailable);
    }
    let expires = chrono::Utc::now() + time;
    headers.insert(EXPIRES, expires.timestamp_millis().to_string().as_str());
    headers.insert(DEADLINE, time.as_millis().to_string().as_str());
    let request = async_nats::Request::new().payload(payload).headers(headers).timeout(Some(time));
    let mut unanswered = Unanswered(Some(requests));
    let outcome = tokio::select! {
        outcome = tokio::time::timeout(time, client.send_request(subject, request)) => outcome,
        () = cut_off(&connection) => return Err(AskError::TimedOut),
    };
    let error = match outcome {
        Ok(Ok(message)) => {
            unanswered.0 = None;
            return Ok(message);
        }
        Ok(Err(error)) => error,
        Err(_elapsed) => return Err(AskError::TimedOut),
    };
    if error.kind() == RequestErrorKind::TimedOut {
        return Err(AskError::TimedOut);
    }
    unanswered.0 = None;
    Err(match error.kind() {
        RequestErrorKind::NoResponders => AskError::Unavailable,
        _ => AskError::Broken(error.to_string()),
    })
}

/// Returns some time after the connection broke, whether or not there is another one by then.
async fn cut_off(connection: &Connection) {
    connection.ends().await;
    tokio::time::sleep(GRACE).await;
}

/// What the caller of a request still waits, by its own header; `otherwise` when it does not say.
pub(crate) fn patience(headers: Option<&HeaderMap>, otherwise: Duration) -> Duration {
    let header = headers.and_then(|headers| headers.get(DEADLINE));
    header.and_then(|text| text.as_str().parse().ok()).map_or(otherwise, Duration::from_millis)
}

/// Whether the time in an [`EXPIRES`] header is over; one that cannot be read is not.
pub(crate) fn expired(expires: &str) -> bool {
    expires.parse::<i64>().is_ok_and(|at| chrono::Utc::now().timestamp_millis() > at.saturating_add(SKEW_MS))
}

/// A function that answers calls of type `C`.
///
/// Implemented for `async fn(S, C) -> Result<C::Reply, CallError<C::Refusal>>`.
pub trait Answer<S, C: Call>: Clone + Send + Sync + 'static {
    /// Answers one call.
    fn answer(&self, state: S, question: C) -> BoxFuture<'static, Result<C::Reply, CallError<C::Refusal>>>;
}

impl<S, C, F, Fut> Answer<S, C> for F
where
    C: Call,
    F: Fn(S, C) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<C::Reply, CallError<C::Refusal>>> + Send + 'static,
{
    fn answer(&self, state: S, question: C) -> BoxFuture<'static, Result<C::Reply, CallError<C::Refusal>>> {
        self(state, question).boxed()
    }
}

/// What happens with each request of an endpoint; it must always respond.
pub(crate) type Responder = Arc<dyn Fn(Request) -> BoxFuture<'static, ()> + Send + Sync>;

/// Reads the question, asks the handler within the time that the caller waits and the contract allows, and responds.
pub(crate) fn responder<S, C, A>(state: S, handler: A) -> Responder
where
    S: Clone + Send + Sync + 'static,
    C: Call,
    A: Answer<S, C>,
{
    Arc::new(move |request| {
        let (state, handler) = (state.clone(), handler.clone());
        async move {
            let header = |name: &str| request.message.headers.as_ref().and_then(|headers| headers.get(name));
            let trace = Trace::continued(
                header(TRACEPARENT).map(|value| value.as_str()),
                header(REQUEST_ID).map(|value| value.as_str()),
            );
            let deadline = patience(request.message.headers.as_ref(), C::DEADLINE).min(C::DEADLINE);
            let span =
                tracing::info_span!("answer", call = C::VERB, request_id = trace.request_id(), trace_id = %trace);
            let question = serde_json::from_slice::<C>(&request.message.payload);
            let work = async {
                match question {
                    Ok(question) => {
                        let answering = AssertUnwindSafe(handler.answer(state, question)).catch_unwind();
                        match within(deadline, answering).await {
                            Some(Ok(outcome)) => outcome,
                            Some(Err(_panic)) => Err(CallError::Failed("the handler panicked".to_owned())),
                            None => Err(CallError::TimedOut { service: C::SERVICE }),
                        }
                    }
                    Err(error) => Err(CallError::Failed(format!("the question is no {}: {error}", C::VERB))),
                }
            };
            let outcome = trace.scope(span.clone(), work).await;
            match outcome {
                Ok(reply) => respond(request, OK, &reply).await,
                Err(CallError::Refused(refusal)) => respond(request, REFUSED, &refusal).await,
                Err(error) => {
                    tracing::error!(parent: &span, %error, "a call could not be answered");
                    let outcome = match error {
                        CallError::Unavailable { .. } => BUSY,
                        CallError::TimedOut { .. } => TIMED_OUT,
                        _ => FAILED,
                    };
                    respond(request, outcome, &()).await;
                }
            }
        }
        .boxed()
    })
}

/// Tells the caller at once that this instance is full.
pub(crate) fn refuse_busy(request: Request) -> BoxFuture<'static, ()> {
    respond(request, BUSY, &())
}

fn respond(request: Request, outcome: &'static str, body: &impl Serialize) -> BoxFuture<'static, ()> {
    let payload = serde_json::to_vec(body);
    async move {
        let mut headers = HeaderMap::new();
        headers.insert(OUTCOME, outcome);
        match (payload, outcome) {
            (Ok(payload), OK | REFUSED) => request.respond(headers, payload.into(), None).await,
            _ => {
                // As the service API has it, so that the nats CLI shows it as an error.
                headers.insert("Nats-Service-Error", outcome);
                headers.insert("Nats-Service-Error-Code", "500");
                request.respond(headers, Bytes::new(), Some(outcome)).await;
            }
        }
    }
    .boxed()
}
