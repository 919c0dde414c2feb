//! The last gate: the request goes to the service that owns the operation, and its answer comes back.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use nats::{
    contracts::TRANSFER,
    http::{Answered, Forward, ForwardError, LARGEST_BODY},
    problem::{Code, Problem},
};
use poem::{
    Body, Request, Response,
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
};

use crate::{Shared, docs, download, operations::GATEWAY, route::Access};

/// How much of a body that is too large is read and dropped.
const MOST_DROPPED: usize = 8 * LARGEST_BODY;
/// How long a client may take between two parts of its body.
const BETWEEN_PARTS: Duration = Duration::from_secs(10);
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

/// Finds the operation, checks the token, and forwards.
///
/// # Errors
/// A [`Problem`]: no such operation, no or a bad token, a body that is too large, a service that is away.
pub async fn handle(mut request: Request) -> poem::Result<Response> {
    let shared = request.data::<Arc<Shared>>().cloned().ok_or_else(|| Problem::internal("the gateway has no state"))?;
    if request.uri().path() == "/" {
        // poem's catch-all route takes the root as well, whatever else stands there.
        return Ok(docs::home());
    }
    let operation = shared.routes.find(request.method(), request.uri().path())?;
    tracing::Span::current().record("operation", operation.id.as_str());
    let identity = match operation.access {
        // Whoever refreshes an expired token sends it along; that must not be held against them.
        Access::Public => None,
        Access::Optional | Access::Required => shared.tokens.identify(request.header(header::AUTHORIZATION)).await?,
    };
    if operation.access == Access::Required && identity.is_none() {
        let detail = "This needs an access token: `Authorization: Bearer …`.";
        return Err(Problem::new(Code::Unauthenticated, detail).into());
    }
    let body = read(request.take_body()).await?;
    let head = request.method() == Method::HEAD;
    let forward = Forward {
        service: &operation.service,
        method: if head { "GET" } else { request.method().as_str() },
        target: request.uri().path_and_query().map_or("/", |target| target.as_str()),
        headers: passed_on(&request)?,
        identity: identity.as_ref(),
        body,
    };
    let answered = if operation.service == GATEWAY {
        forward.answer(&shared.own).await
    } else {
        forward.send(&shared.forwarder, &shared.objects).await
    };
    let answered = answered.map_err(problem)?;
    let mut response = answer(&shared, &request, answered).await?;
    if head {
        response.set_body(Body::empty());
    }
    Ok(response)
}

/// Reads the body, up to the limit. A little of what is too much is read and dropped: a client that is still sending when
/// the connection closes would not see the answer.
async fn read(body: Body) -> Result<Bytes, Problem> {
    let (mut content, mut dropped) = (BytesMut::new(), 0);
    let mut incoming = Box::pin(body.into_bytes_stream());
    loop {
        let part = tokio::time::timeout(BETWEEN_PARTS, incoming.next()).await.map_err(|_| {
            Problem::new(Code::MalformedRequest, format!("Nothing more of the body came within {BETWEEN_PARTS:?}."))
        })?;
        let Some(part) = part else { break };
        let part =
            part.map_err(|error| Problem::new(Code::MalformedRequest, format!("The body broke off: {error}.")))?;
        if dropped > 0 || content.len() + part.len() > LARGEST_BODY {
            dropped += part.len();
        } else {
            content.extend_from_slice(&part);
        }
        if dropped > MOST_DROPPED {
            break;
        }
    }
    if dropped > 0 {
        let detail = format!("The body is larger than {LARGEST_BODY} bytes, the most that is taken.");
        return Err(Problem::new(Code::PayloadTooLarge, detail));
    }
    Ok(content.freeze())
}

/// The headers that services read. One that cannot be read is refused: without its key, a request would be another one.
fn passed_on(request: &Request) -> Result<Vec<(String, String)>, Problem> {
    let headers = request.headers().iter().filter(|(name, _)| PASSED_ON.contains(name));
    let read = |(name, value): (&HeaderName, &HeaderValue)| match value.to_str() {
        Ok(text) => Ok((name.to_string(), text.to_owned())),
        Err(_) => Err(Problem::new(
            Code::MalformedRequest,
            format!("The header `{name}` has other than visible ASCII characters."),
        )),
    };
    headers.map(read).collect()
}

async fn answer(shared: &Shared, request: &Request, answered: Answered) -> Result<Response, Problem> {
    let status = StatusCode::from_u16(answered.status).map_err(Problem::internal)?;
    let mut response = Response::builder().status(status).finish();
    for (name, value) in &answered.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    match answered.object {
        // A body on its way is taken out of the store; a file that a service keeps stays and is streamed.
        Some((bucket, object)) if bucket == TRANSFER.name => {
            response.set_body(shared.objects.take(TRANSFER, &object).await.map_err(Problem::internal)?);
            Ok(response)
        }
        Some((bucket, object)) => download::stream(shared, request, response, &bucket, &object).await,
        None => {
            response.set_body(answered.body);
            Ok(response)
        }
    }
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
