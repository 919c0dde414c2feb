//! Large answers: streamed from the object store, with ranges (RFC 9110 section 14) and validators.

use nats::problem::{Code, Problem};
use poem::{
    Body, Request, Response,
    http::{HeaderValue, StatusCode, header},
};
use tokio::io::AsyncReadExt;

use crate::Shared;

/// What part of a file is wanted.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// All of it: no range, or one in a form that may be ignored.
    Whole,
    /// From the first to the last byte, inclusive.
    Bytes(u64, u64),
    /// A range that lies outside.
    Outside,
}

/// `response`, whose headers stand, with the object as its body.
///
/// # Errors
/// `range_not_satisfiable`, or an internal problem when the object cannot be read.
pub(crate) async fn stream(
    shared: &Shared,
    request: &Request,
    mut response: Response,
    bucket: &str,
    object: &str,
) -> Result<Response, Problem> {
    let unchanged = request
        .header(header::IF_NONE_MATCH)
        .zip(response.header(header::ETAG))
        .is_some_and(|(known, etag)| known.split(',').any(|one| one.trim() == etag || one.trim() == "*"));
    if unchanged {
        response.set_status(StatusCode::NOT_MODIFIED);
        response.headers_mut().remove(header::CONTENT_LENGTH);
        return Ok(response);
    }
    let mut reader = shared.objects.open(bucket, object).await.map_err(Problem::internal)?;
    let size = reader.info().size as u64;
    let ranges = response.header(header::ACCEPT_RANGES) == Some("bytes");
    let part = if ranges { part(request.header(header::RANGE), size) } else { Part::Whole };
    let (first, length) = match part {
        Part::Whole => (0, size),
        Part::Bytes(first, last) => {
            response.set_status(StatusCode::PARTIAL_CONTENT);
            set(&mut response, header::CONTENT_RANGE, &format!("bytes {first}-{last}/{size}"));
            (first, last - first + 1)
        }
        Part::Outside => {
            let detail =
                format!("The file has {size} bytes; ask for `Range: bytes=0-{}` or less.", size.saturating_sub(1));
            return Err(Problem::new(Code::RangeNotSatisfiable, detail));
        }
    };
    // The store has no seek: what lies before the range is read and dropped.
    tokio::io::copy(&mut (&mut reader).take(first), &mut tokio::io::sink()).await.map_err(Problem::internal)?;
    set(&mut response, header::CONTENT_LENGTH, &length.to_string());
    response.set_body(Body::from_async_read(reader.take(length)));
    Ok(response)
}

fn set(response: &mut Response, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// Reads a `Range` header; several ranges or other units are ignored, as the RFC allows.
fn part(range: Option<&str>, size: u64) -> Part {
    let Some(bytes) = range.and_then(|range| range.trim().strip_prefix("bytes=")) else { return Part::Whole };
    let Some((first, last)) = bytes.split_once('-') else { return Part::Whole };
    match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last && first < size => Part::Bytes(first, last.min(size - 1)),
        (Ok(first), Ok(last)) if first > last => Part::Whole,
        (Ok(first), Err(_)) if last.trim().is_empty() && first < size => Part::Bytes(first, size - 1),
        (Ok(_), Ok(_)) => Part::Outside,
        (Ok(_), Err(_)) if last.trim().is_empty() => Part::Outside,
        (Err(_), Ok(0)) if first.trim().is_empty() => Part::Outside,
        (Err(_), Ok(count)) if first.trim().is_empty() && size > 0 => Part::Bytes(size.saturating_sub(count), size - 1),
        _ => Part::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_as_the_rfc_says() {
        for (range, expected) in [
            (None, Part::Whole),
            (Some("bytes=0-0"), Part::Bytes(0, 0)),
            (Some("bytes=0-99"), Part::Bytes(0, 9)),
            (Some("bytes=3-"), Part::Bytes(3, 9)),
            (Some("bytes=-4"), Part::Bytes(6, 9)),
            (Some("bytes=-40"), Part::Bytes(0, 9)),
            (Some("bytes=10-"), Part::Outside),
            (Some("bytes=10-12"), Part::Outside),
            (Some("bytes=-0"), Part::Outside),
            (Some("bytes=5-3"), Part::Whole),
            (Some("bytes=0-1,3-4"), Part::Whole),
            (Some("lines=1-2"), Part::Whole),
            (Some("bytes=a-b"), Part::Whole),
        ] {
            assert_eq!(part(range, 10), expected, "{range:?} of 10 bytes");
        }
    }
}
