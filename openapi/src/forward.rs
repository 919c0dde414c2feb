//! The last gate: the request goes to the service that owns the operation, and its answer comes back.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use nats::{
    contracts::TRANSFER,
    http::{Answered, Forward, ForwardError, INTERNAL, LARGEST_BODY},
    problem::{Code, Problem},
};
use poem::{
    Body, Request, Response,
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
};

use crate::{
    Shared, compress,
    credential::Credential,
    docs, download,
    limit::Counted,
    operations::GATEWAY,
    realtime,
    route::{Access, Operation},
    trail::Deed,
};

/// How much of a body that is too large is read and dropped.
const MOST_DROPPED: usize = 8 * LARGEST_BODY;
/// A whole body may take so many times as long as one part of it.
const PARTS: u32 = 6;
/// The request headers that services read.
const PASSED_ON: [HeaderName; 11] = [
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_TYPE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::USER_AGENT,
    HeaderName::from_static("cart-token"),
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("webhook-id"),
    HeaderName::from_static("webhook-signature"),
    HeaderName::from_static("webhook-timestamp"),
];

/// The one cookie that a service reads: of a browser that signs in with Google. All others are nobody's business.
const COOKIE: &str = "__Host-argosy-sign-in=";

/// Finds the operation, checks token or API key, counts the request, writes it into the audit trail, and forwards it.
///
/// # Errors
/// A [`Problem`]: no such operation, no or a bad token, a key without the scope, too many requests, a body that is too large, a
/// service that is away.
pub async fn handle(request: Request) -> poem::Result<Response> {
    let shared = request.data::<Arc<Shared>>().cloned().ok_or_else(|| Problem::internal("the gateway has no state"))?;
    if request.uri().path() == "/" {
        // poem's catch-all route takes the root as well, whatever else stands there.
        return Ok(docs::home());
    }
    let operation = shared.routes.find(request.method(), request.uri().path())?;
    tracing::Span::current().record("operation", operation.id.as_str());
    let credential = match operation.access {
        // Whoever refreshes an expired token sends it along; that must not be held against them.
        Access::Public => Ok(None),
        Access::Optional | Access::Required => Credential::of(&request, operation, &shared).await,
    };
    let known = credential.as_ref().ok().and_then(Option::as_ref);
    let counted = count(&shared, &request, operation, known).await;
    let answer = if counted.taken() {
        let address = shared.limiter.whoever(&request).address();
        let mut deed = shared.trail.deed(&request, operation, known, address);
        let answer = forward(&shared, request, operation, credential, deed.as_mut()).await;
        if let Some(deed) = deed {
            deed.end(&answer);
        }
        answer
    } else {
        Err(counted.refusal())
    };
    // Told to the caller by the outermost gate, whatever came of the request.
    match answer {
        Ok(mut response) => {
            response.set_data(counted);
            Ok(response)
        }
        Err(problem) => {
            let mut error = poem::Error::from(problem);
            error.set_data(counted);
            Err(error)
        }
    }
}

/// Counts the request for its user or API key, or else for the address: a bad token counts there as well.
async fn count(shared: &Shared, request: &Request, operation: &Operation, credential: Option<&Credential>) -> Counted {
    let who = credential.map_or_else(|| shared.limiter.whoever(request), Credential::who);
    let span = tracing::Span::current();
    span.record("caller", who.kind());
    if let Some(credential) = credential {
        span.record("user", tracing::field::display(credential.identity().user));
    }
    shared.limiter.count(operation.class, who).await
}

/// Forwards a request to the operation's service, and brings back its answer.
async fn forward(
    shared: &Shared,
    mut request: Request,
    operation: &Operation,
    credential: Result<Option<Credential>, Problem>,
    mut deed: Option<&mut Deed<'_>>,
) -> Result<Response, Problem> {
    let credential = credential?;
    match &credential {
        Some(credential) => credential.permits(operation)?,
        None if operation.access == Access::Required => {
            let detail = "This needs an access token: `Authorization: Bearer …`.";
            return Err(Problem::new(Code::Unauthenticated, detail));
        }
        None => {}
    }
    uncompressed(&request)?;
    let body = read(request.take_body(), operation.largest_body, shared.patience).await?;
    if realtime::has(operation)
        && let Some(credential) = &credential
    {
        return shared.realtime.answer(request, credential.listener()).await;
    }
    let head = request.method() == Method::HEAD;
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let forward = Forward {
        service: &operation.service,
        method: if head { "GET" } else { request.method().as_str() },
        target,
        headers: passed_on(&request)?,
        identity: credential.as_ref().map(Credential::identity),
        client: shared.limiter.whoever(&request).address(),
        body,
    };
    if let Some(deed) = &mut deed {
        deed.begin().await?;
    }
    let answered = if operation.service == GATEWAY {
        forward.answer(&shared.own).await
    } else if operation.access != Access::Required && (head || request.method() == Method::GET) {
        shared.last_good.or_last(target, forward.send(&shared.forwarder, &shared.objects)).await
    } else {
        forward.send(&shared.forwarder, &shared.objects).await
    };
    let answered = answered.map_err(problem)?;
    if let Some(deed) = &mut deed {
        deed.answered(&answered.headers);
    }
    let mut response = answer(shared, &request, answered).await?;
    if head {
        response.set_body(Body::empty());
    }
    Ok(response)
}

/// A compressed body is refused: a small one could become a very large one.
fn uncompressed(request: &Request) -> Result<(), Problem> {
    let mut codings = request.headers().get_all(header::CONTENT_ENCODING).iter();
    if codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Ok(());
    }
    Err(Problem::new(Code::UnsupportedMediaType, "Send the body as it is, without `Content-Encoding`."))
}

/// Reads the body, up to the limit. A little of what is too much is read and dropped: a client that is still sending when
/// the connection closes would not see the answer.
async fn read(body: Body, largest: usize, patience: Duration) -> Result<Bytes, Problem> {
    let slow = |time: Duration| {
        let detail = format!("The body did not come within {} ms.", time.as_millis());
        Problem::new(Code::MalformedRequest, detail)
    };
    let parts = async {
        let (mut content, mut dropped) = (BytesMut::new(), 0);
        let mut incoming = Box::pin(body.into_bytes_stream());
        while let Some(part) =
            tokio::time::timeout(patience, incoming.next()).await.map_err(|_elapsed| slow(patience))?
        {
            let part =
                part.map_err(|error| Problem::new(Code::MalformedRequest, format!("The body broke off: {error}.")))?;
            if dropped > 0 || content.len() + part.len() > largest {
                dropped += part.len();
            } else {
                content.extend_from_slice(&part);
            }
            if dropped > MOST_DROPPED {
                break;
            }
        }
        if dropped > 0 {
            let detail = format!("The body is larger than {largest} bytes, the most that this operation takes.");
            return Err(Problem::new(Code::PayloadTooLarge, detail));
        }
        Ok(content.freeze())
    };
    let whole = patience * PARTS;
    tokio::time::timeout(whole, parts).await.unwrap_or_else(|_elapsed| Err(slow(whole)))
}

/// The headers that services read. One that cannot be read is refused: without its key, a request would be another one.
fn passed_on(request: &Request) -> Result<Vec<(String, String)>, Problem> {
    let headers = request.headers().iter().filter(|(name, _)| PASSED_ON.contains(name));
    let read = |(name, value): (&HeaderName, &HeaderValue)| match value.to_str() {
        Ok(tags) if [header::IF_MATCH, header::IF_NONE_MATCH].contains(name) => {
            Ok((name.to_string(), compress::strong(tags)))
        }
        Ok(text) => Ok((name.to_string(), text.to_owned())),
        Err(_) => Err(Problem::new(
            Code::MalformedRequest,
            format!("The header `{name}` has other than visible ASCII characters."),
        )),
    };
    headers.map(read).chain(sign_in_cookies(request).map(Ok)).collect()
}

/// What of the request's cookies is passed on.
fn sign_in_cookies(request: &Request) -> impl Iterator<Item = (String, String)> {
    let values = request.headers().get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let ours = values.flat_map(|value| value.split(';')).map(str::trim).filter(|pair| pair.starts_with(COOKIE));
    ours.map(|pair| (header::COOKIE.to_string(), pair.to_owned()))
}

async fn answer(shared: &Shared, request: &Request, answered: Answered) -> Result<Response, Problem> {
    let status = StatusCode::from_u16(answered.status).map_err(Problem::internal)?;
    let mut response = Response::builder().status(status).finish();
    for (name, value) in answered.headers.iter().filter(|(name, _)| !is_internal(name)) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    match answered.object {
        // A body on its way is taken out of the store; a file that a service keeps stays and is streamed.
        Some((bucket, object)) if bucket == TRANSFER.name => {
            Ok(filled(response, shared.objects.take(TRANSFER, &object).await.map_err(Problem::internal)?))
        }
        Some((bucket, object)) => download::stream(shared, request, response, &bucket, &object).await,
        None => Ok(filled(response, answered.body)),
    }
}

/// Whether a header of an answer is for the gateway alone.
fn is_internal(name: &str) -> bool {
    name.get(..INTERNAL.len()).is_some_and(|start| start.eq_ignore_ascii_case(INTERNAL))
}

/// The response with this body; its length tells whether compressing is worth it.
fn filled(mut response: Response, body: Bytes) -> Response {
    if !body.is_empty() {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    response.set_body(body);
    response
}

fn problem(error: ForwardError) -> Problem {
    match error {
        ForwardError::Unavailable(service) => Problem::new(
            Code::Unavailable,
            format!("The {service} service cannot be reached at the moment. Nothing was done."),
        ),
        ForwardError::TimedOut(service) => Problem::new(
            Code::Timeout,
            format!("The {service} service did not answer in time; repeat with the same Idempotency-Key."),
        ),
        ForwardError::Object(cause) => {
            Problem::new(Code::Unavailable, "The body could not be stored at the moment. Nothing was done.")
                .because(cause)
        }
        other => Problem::internal(other),
    }
}
